# SPDX-License-Identifier: Apache-2.0
"""Shrink a model step by step without changing an answer; a step stays only where flash falls and nothing else rises.

Nothing is run here: that the answers stay the same follows from the integers of the model.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.graph import Operator
from tflm_build.model.model import Model
from tflm_build.model.values import CHANNELS, Shrinkage, ShrinkStep, ShrunkLayer
from tflm_build.model.workload import count_macs, model_macs
from tflm_build.passes.channels import remove_channels
from tflm_build.passes.intervals import Analysis, Interval, analyse
from tflm_build.passes.kernels import cut_taps, fuse_padding
from tflm_build.passes.memory_plan import blocks_of, greedy_head, lower_bound
from tflm_build.passes.unread import drop_unread

__all__ = ["RECORDS", "STEPS", "Shrinking", "describe_shrinking", "shrink_model"]

_UNITS: Final = (1, 2, 4, 8)
"""Channels are removed in multiples of each of these, and the smallest model is taken."""

RECORDS: Final = "scales, shapes and options that no kernel reads"
"""The step that leaves every layer as it is."""


@dataclass(frozen=True, eq=False)
class Shrinking:
    """A model that was shrunk.

    Attributes:
        model: as it is now.
        origins: for each operator of the main subgraph its place in the model before.
        removed: by the operator's place in `model`: which channels went of what it wrote before.
        analysis: of the model before channels were removed, by its places; None where none were.
        written: for each operator of the main subgraph the place that its first output has in `analysis`.
        steps: that were kept.
    """

    model: Model
    origins: tuple[int, ...]
    removed: Mapping[int, Array] = field(default_factory=dict)
    analysis: Analysis | None = None
    written: tuple[int, ...] = ()
    steps: tuple[ShrinkStep, ...] = ()

    def interval(self, place: int) -> Interval | None:
        """Return the ends of the channels that an operator of `model` wrote before; None where nothing is known."""
        return None if self.analysis is None else self.analysis.intervals.get(self.written[place])


def shrink_model(model: Model) -> Shrinking:
    """Shrink a canonical model of integers; any other, and one that brings a plan of its memory, stays as it is."""
    shrunk = Shrinking(model, tuple(range(len(model.layers[0]))))
    if model.graph.quantization == "none" or model.tree.metadata:
        return shrunk
    costs = _costs(model)
    for what, step in STEPS.items():
        best, least = shrunk, costs
        for candidate in step(shrunk):
            found = _costs(candidate.model)
            if found[0] < least[0] and all(new <= old for new, old in zip(found, costs, strict=True)):
                best, least = candidate, found
        if best is not shrunk:
            saved = ShrinkStep(what, costs[0] - least[0], costs[1] - least[1])
            shrunk, costs = replace(best, steps=(*shrunk.steps, saved)), least
    return shrunk


def describe_shrinking(before: Model, shrunk: Shrinking) -> Shrinkage:
    """Say what shrinking brings, of a model that nothing was run of."""
    operators, layers = before.graph.subgraphs[0].operators, []
    for place, (origin, now) in enumerate(zip(shrunk.origins, shrunk.model.graph.subgraphs[0].operators, strict=True)):
        was, interval = operators[origin], shrunk.interval(place)
        macs = count_macs(was, lacking=True) - count_macs(now, lacking=True)
        gone = shrunk.removed.get(place, np.zeros(1, bool))
        if macs or gone.any():
            constant = 0 if interval is None else int((gone & interval.constant).sum())
            layers.append(
                ShrunkLayer(
                    layer=was.layer,
                    op=was.op,
                    channels=was.outputs[0].shape[-1],
                    constant=constant,
                    unread=int(gone.sum()) - constant,
                    bytes=_constants(was) - _constants(now),
                    macs=macs,
                )
            )
    return Shrinkage(
        bytes=(len(before.flatbuffer), len(shrunk.model.flatbuffer)),
        macs=(model_macs(before.graph), model_macs(shrunk.model.graph)),
        steps=shrunk.steps,
        layers=tuple(layers),
    )


def _constants(operator: Operator) -> int:
    """Return the bytes of the constants that an operator reads."""
    return sum(len(operand.data) for operand in operator.reads if operand.constant)


def _costs(model: Model) -> tuple[int, ...]:
    """Return bytes of flash, multiply-accumulates, and the activations' bytes where these can be planned."""
    blocks = blocks_of(model)
    memory = () if blocks is None else (greedy_head(blocks), lower_bound(blocks))
    return (len(model.flatbuffer), model_macs(model.graph), *memory)


def _unread(shrunk: Shrinking) -> Iterator[Shrinking]:
    yield replace(shrunk, model=drop_unread(shrunk.model))


def _padding(shrunk: Shrinking) -> Iterator[Shrinking]:
    model, gone = fuse_padding(shrunk.model)
    yield replace(shrunk, model=model, origins=tuple(place for place in shrunk.origins if place not in gone))


def _taps(shrunk: Shrinking) -> Iterator[Shrinking]:
    yield replace(shrunk, model=cut_taps(shrunk.model))


def _channels(shrunk: Shrinking) -> Iterator[Shrinking]:
    main = shrunk.model.graph.subgraphs[0]
    analysis = analyse(main)
    written = tuple(operator.outputs[0].place if operator.outputs else -1 for operator in main.operators)
    for unit in _UNITS:
        model, removed = remove_channels(shrunk.model, analysis, unit)
        if not removed:
            return
        yield replace(shrunk, model=model, removed=removed, analysis=analysis, written=written)


STEPS: Final[dict[str, Callable[[Shrinking], Iterator[Shrinking]]]] = {
    RECORDS: _unread,
    "PAD operators whose work SAME padding does": _padding,
    "kernel taps that never meet the image": _taps,
    CHANNELS: _channels,
}
"""What can be done, and the ways to do it, of which the best is taken."""
