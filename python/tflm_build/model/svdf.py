# SPDX-License-Identifier: Apache-2.0
"""Compute an SVDF of int8 as TFLM does: LiteRT takes an int8 state for one of int16, and dies or errs.

A filter's newest activation goes to the end of its state, the oldest one is forgotten, and the output is the sum of the
state weighted over time. `tests/python/test_own_references.py` compares it with TFLM.
"""

from dataclasses import dataclass

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import element_limits, integers, multiply_rounding_twice, scaling
from tflm_build.model.graph import Operator
from tflm_build.model.types import TYPES

__all__ = ["Svdf", "read_svdf"]


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
        state_limits: those of the state's type.
    """

    feature_weights: Array
    time_weights: Array
    bias: Array | None
    rank: int
    factors: tuple[float, float]
    zero_points: tuple[int, int, int]
    limits: tuple[int, int]
    state_limits: tuple[int, int]

    def answer(self, elements: Array) -> Array:
        """Return the output's elements (vectors, outputs) as int64 for vectors (vectors, features), in their order."""
        source, kept, target = self.zero_points
        state = np.full(self.time_weights.shape, kept, np.int64)
        answers = []
        for vector in elements.reshape(len(elements), -1).astype(np.int64) - source:
            newest = multiply_rounding_twice(self.feature_weights @ vector, np.array(self.factors[0])) + kept
            newest = np.clip(newest, *self.state_limits)  # TFLM wraps where the zero point takes int8 past: it errs
            state = np.concatenate([state[:, 1:], newest[:, None]], axis=1)
            sums = ((state - kept) * self.time_weights).sum(axis=1).reshape(-1, self.rank).sum(axis=1)
            sums = sums if self.bias is None else sums + self.bias
            answers.append(np.clip(multiply_rounding_twice(sums, np.array(self.factors[1])) + target, *self.limits))
        return np.stack(answers)


def read_svdf(operator: Operator) -> Svdf | None:
    """Read the parameters of an operator; None for one that LiteRT computes."""
    if operator.op != "SVDF":
        return None
    source, features, time, bias, state = operator.inputs
    if source is None or features is None or time is None or state is None:
        return None
    feature_weights, time_weights = integers(features), integers(time)
    if state.type not in {"int8", "int16"} or source.shape[0] != 1 or feature_weights is None or time_weights is None:
        return None
    output = operator.outputs[0]
    rank = operator.option("rank")
    if rank < 1 or not all(len(operand.scales) for operand in (source, features, time, state, output)):
        return None
    step, feature, weight, kept = (scaling(operand)[0] for operand in (source, features, time, state))
    return Svdf(
        feature_weights=feature_weights.reshape(features.shape).astype(np.int64),
        time_weights=time_weights.reshape(time.shape).astype(np.int64),
        bias=None if bias is None else integers(bias),
        rank=rank,
        factors=(step * feature / kept, kept * weight / scaling(output)[0]),
        zero_points=(scaling(source)[1], scaling(state)[1], scaling(output)[1]),
        limits=element_limits(output, operator.option("fusedActivationFunction")),
        state_limits=TYPES[state.type].zero_points,
    )
