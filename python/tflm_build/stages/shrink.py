# SPDX-License-Identifier: Apache-2.0
"""Shrink a model without loss, and prove on TFLM that its answers stay the same, bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.child.run import run_in_child
from tflm_build.child.table import COMPARE_SHRUNK, RUN_TFLM
from tflm_build.errors import TflmBuildError
from tflm_build.model.model import Model
from tflm_build.model.values import Shrinkage
from tflm_build.model.workload import model_macs
from tflm_build.options import Options
from tflm_build.passes.shrink import RECORDS, Shrinking, describe_shrinking, shrink_model
from tflm_build.stages.deaths import naming_layers
from tflm_build.stages.drive import driving_inputs
from tflm_build.stages.golden import GoldenInputs

__all__ = ["Shrunk", "shrink"]

_EFFORT: Final = (100_000_000, 1 << 28)
"""Multiply-accumulates, and bytes of activations, that the inputs beside the golden ones may take: a second.
Counted, so that every machine compares the same inputs."""

_VECTORS: Final = (4, 32)
"""The fewest and the most of these inputs."""


@dataclass(frozen=True, eq=False)
class Shrunk:
    """What shrinking made of a model.

    Attributes:
        model: the model that goes on.
        removed: by the place of an operator in the main subgraph: which channels went of what it wrote.
        shrinkage: what that brought.
    """

    model: Model
    removed: Mapping[int, Array]
    shrinkage: Shrinkage


def shrink(options: Options, model: Model, golden: GoldenInputs) -> Shrunk:
    """Shrink a model unless SHRINK is off; one that TFLM does not run, or runs in more memory then, stays as it is.

    Raises:
        TflmBuildError: an answer, or a channel of a layer, is not what it was.
    """
    unchanged = Shrinking(model, tuple(range(len(model.layers[0]))))
    shrinking = shrink_model(model) if options.shrink == "auto" else unchanged
    arena, vectors = (0, 0), 0
    if shrinking.steps:
        inputs = _inputs(model, shrinking, golden)
        with naming_layers(RUN_TFLM, model, golden.arrays):
            answer = run_in_child(COMPARE_SHRUNK, _request(model, shrinking, inputs))
        if answer["arena"] and answer["arena"][1] <= answer["arena"][0]:
            _hold(shrinking, answer["differences"])
            arena, vectors = (answer["arena"][0], answer["arena"][1]), len(inputs[0])
        else:
            shrinking = unchanged
    return Shrunk(
        model=shrinking.model,
        removed=shrinking.removed,
        shrinkage=replace(describe_shrinking(model, shrinking), arena=arena, inputs=vectors),
    )


def _inputs(model: Model, shrinking: Shrinking, golden: GoldenInputs) -> tuple[Array, ...]:
    """Return the golden inputs and, where a layer was changed, as many others as the model's size allows.

    Where no layer was, four of them tell that no kernel reads what was dropped.
    """
    if {step.what for step in shrinking.steps} == {RECORDS}:
        return tuple(np.concatenate([array[:1], array[1 - _VECTORS[0] :]]) for array in golden.arrays)
    macs, memory = _EFFORT
    tensors = model.graph.subgraphs[0].operands
    activations = sum(tensor.bytes or 0 for tensor in tensors if not tensor.constant)
    fewest, most = _VECTORS
    count = max(fewest, min(most, macs // max(1, model_macs(model.graph)), memory // max(1, activations)))
    others = driving_inputs(model.graph, count)
    return tuple(np.concatenate(pair) for pair in zip(golden.arrays, others, strict=True))


def _request(model: Model, shrinking: Shrinking, vectors: tuple[Array, ...]) -> dict[str, Any]:
    """Ask for each operator's first output, and for the model's."""
    before, after = (each.graph.subgraphs[0].operators for each in (model, shrinking.model))
    tensors, kept, low, high = [], [], [], []
    nothing = np.zeros(0, np.int64)
    for place, origin in enumerate(shrinking.origins):
        for number, (one, other) in enumerate(zip(before[origin].outputs, after[place].outputs, strict=True)):
            gone = shrinking.removed.get(place) if number == 0 else None
            interval = shrinking.interval(place) if number == 0 else None
            tensors.append([one.place, other.place])
            kept.append(np.zeros(0, bool) if gone is None else ~gone)
            low.append(nothing if interval is None else interval.low)
            high.append(nothing if interval is None else interval.high)
    return {
        "before": model.flatbuffer,
        "after": shrinking.model.flatbuffer,
        "inputs": vectors,
        "outputs": len(model.graph.outputs),
        "tensors": tensors,
        "kept": kept,
        "low": low,
        "high": high,
    }


def _hold(shrinking: Shrinking, differences: list[Array]) -> None:
    """Refuse any difference."""
    operators = shrinking.model.graph.subgraphs[0].operators
    count = len(differences[0])
    wrote = [f"layer '{operator.layer}' ({operator.op})" for operator in operators for _ in operator.outputs]
    for row, (difference, vector, outside) in enumerate(zip(*(column.tolist() for column in differences), strict=True)):
        if difference or outside:
            who = wrote[row] if row < len(wrote) < count else "an output"  # else outputs alone were compared
            what = (
                f"differs by {difference:g} in vector {vector} from what it was"
                if difference
                else f"has {outside} elements outside of their computed bounds"
            )
            msg = f"`SHRINK`: {who} {what}; allowed: no difference; set `SHRINK` to off, and report the model"
            raise TflmBuildError(msg)
