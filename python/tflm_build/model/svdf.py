# SPDX-License-Identifier: Apache-2.0
"""Compute an SVDF of int8 with int8 state as TFLM does: LiteRT takes such a state for one of int16, and dies or errs.

A filter's newest activation goes to the end of its state, the oldest one is forgotten, and the output is the sum of the
state weighted over time. `tests/python/test_own_references.py` compares it with TFLM.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_build.model.fixed_point import element_limits, integers, multiply_rounding_twice, scaling
from tflm_build.model.flatbuffer import indices, schema

__all__ = ["Svdf", "read_svdf"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Svdf:
    """Parameters of a layer.

    Attributes:
        feature_weights: integers (filters, features).
        time_weights: integers (filters, steps).
        bias: integers (outputs,); None where there is none.
        rank: filters that are summed to an output.
        factors: from a product with features to the state, and from one with the state to the output.
        zero_points: of input, state and output.
        limits: smallest and largest element that the activation function and the output's type allow.
    """

    feature_weights: Array
    time_weights: Array
    bias: Array | None
    rank: int
    factors: tuple[float, float]
    zero_points: tuple[int, int, int]
    limits: tuple[int, int]

    def answer(self, elements: Array) -> Array:
        """Return the output's elements (vectors, outputs) as int64 for vectors (vectors, features), in their order."""
        source, kept, target = self.zero_points
        state = np.zeros(self.time_weights.shape, np.int64)  # TFLM clears it with 0, not with its zero point
        answers = []
        for vector in elements.reshape(len(elements), -1).astype(np.int64) - source:
            newest = multiply_rounding_twice(self.feature_weights @ vector, np.array(self.factors[0])) + kept
            state = np.concatenate([state[:, 1:], np.clip(newest, -128, 127)[:, None]], axis=1)
            sums = ((state - kept) * self.time_weights).sum(axis=1).reshape(-1, self.rank).sum(axis=1)
            sums = sums if self.bias is None else sums + self.bias
            answers.append(np.clip(multiply_rounding_twice(sums, np.array(self.factors[1])) + target, *self.limits))
        return np.stack(answers)


def read_svdf(model: Any, subgraph: Any, operator: Any) -> Svdf | None:
    """Read the parameters of an operator; None for one that LiteRT computes."""
    code = model.operatorCodes[operator.opcodeIndex]
    if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.SVDF:
        return None
    places = indices(operator.inputs)
    source, features, time, bias, state = (None if place == -1 else subgraph.tensors[place] for place in places)
    target = subgraph.tensors[int(operator.outputs[0])]
    weights = [integers(model, tensor) for tensor in (features, time)]
    if state.type != schema.TensorType.INT8 or indices(source.shape)[0] != 1 or any(each is None for each in weights):
        return None
    scale = {name: scaling(each)[0] for name, each in (("in", source), ("f", features), ("t", time), ("s", state))}
    output = scaling(target)
    return Svdf(
        feature_weights=weights[0].reshape(indices(features.shape)).astype(np.int64),
        time_weights=weights[1].reshape(indices(time.shape)).astype(np.int64),
        bias=None if bias is None else integers(model, bias),
        rank=operator.builtinOptions.rank,
        factors=(scale["in"] * scale["f"] / scale["s"], scale["s"] * scale["t"] / output[0]),
        zero_points=(scaling(source)[1], scaling(state)[1], output[1]),
        limits=element_limits(target.type, output, operator.builtinOptions.fusedActivationFunction),
    )
