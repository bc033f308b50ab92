# SPDX-License-Identifier: Apache-2.0
"""Hold a model that was shrunk to what it was, on TFLM, channel by channel: what tests and the benchmark share."""

from dataclasses import dataclass

import numpy as np

from support.interpreters import Array
from support.random_graphs import random_graph, random_inputs
from tflm_build.model.model import Model
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.intervals import analyse
from tflm_build.passes.shrink import STEPS, Shrinking

__all__ = ["Counts", "check_graph"]


@dataclass(frozen=True)
class Counts:
    """What was compared: models, those that became smaller, channels removed, elements and inputs compared."""

    models: int = 0
    shrunk: int = 0
    constant: int = 0
    unread: int = 0
    padded: int = 0
    elements: int = 0
    inputs: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(one + more for one, more in zip(vars(self).values(), vars(other).values(), strict=True)))


def trace(model: Model, inputs: Array) -> dict[int, Array]:
    """Return what all operators write, by the tensor's place, for vectors."""
    from tflite_micro import runtime

    keep_all = runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_bytes(model.flatbuffer, [], 1 << 18, keep_all)
    places = [operator.outputs[0].place for operator in model.graph.subgraphs[0].operators]
    held = []
    for vector in inputs:
        interpreter.set_input(vector, 0)
        interpreter.invoke()
        held.append([np.array(interpreter.GetTensor(place, 0)["tensor_data"]) for place in places])
    return {place: np.stack(column) for place, column in zip(places, zip(*held, strict=True), strict=True)}


def check_graph(seed: int, vectors: int = 8) -> Counts:
    """Shrink a random model by every step, whether it pays or not, and compare.

    Raises:
        AssertionError: an element is outside of its interval, or not what it was.
    """
    model = canonicalize(random_graph(seed))
    shrunk = Shrinking(model, tuple(range(len(model.layers[0]))))
    for step in STEPS.values():
        ways = list(step(shrunk)) or [shrunk]
        shrunk = ways[seed % len(ways)]
    (tensor,) = model.graph.inputs
    inputs = random_inputs(tensor.shape, tensor.dtype, seed, vectors)
    before, after = trace(model, inputs), trace(shrunk.model, inputs)
    for place, interval in analyse(model.graph.subgraphs[0]).intervals.items():
        if place in before:
            seen = before[place]
            assert ((seen >= interval.low) & (seen <= interval.high)).all(), f"seed {seed}: tensor {place}"
    old, new = (each.graph.subgraphs[0].operators for each in (model, shrunk.model))
    counts = Counts(1, int(shrunk.model.flatbuffer != model.flatbuffer), padded=len(old) - len(new), inputs=vectors)
    for place, origin in enumerate(shrunk.origins):
        was, now = before[old[origin].outputs[0].place], after[new[place].outputs[0].place]
        gone = shrunk.removed.get(place, np.zeros(was.shape[-1], bool))
        np.testing.assert_array_equal(was[..., ~gone], now, err_msg=f"seed {seed}: operator {origin}")
        if gone.any():
            assert shrunk.analysis is not None
            same = shrunk.analysis.intervals[shrunk.written[place]].constant
            counts += Counts(constant=int((gone & same).sum()), unread=int((gone & ~same).sum()))
        counts += Counts(elements=now.size)
    return counts
