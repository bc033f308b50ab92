# SPDX-License-Identifier: Apache-2.0
"""Find the smallest arena: measure the model as TFLM plans it, and with a plan of our own where that is smaller."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_build.model.graph import Graph
from tflm_build.options import Options
from tflm_build.passes.canonical import Canonical
from tflm_build.passes.memory_plan import Block, greedy_head, lifetimes, lower_bound, make_plan, with_plan
from tflm_build.stages.golden import GoldenInputs
from tflm_build.stages.measure import Measurement, measure

__all__ = ["Arrangement", "arrange"]


@dataclass(frozen=True)
class Arrangement:
    """The model as it is shipped, and what its memory is used for.

    Attributes:
        flatbuffer: canonical, with a plan if one helps.
        measured: what TFLM needed and answered.
        planned: whether the plan in it is ours.
        arena_unplanned: bytes of the smallest arena without our plan.
        lower_bound: bytes of activations that live at once; None where the model cannot be planned.
        greedy_head: bytes that TFLM's own planner takes for activations; None likewise.
        peak: the tensors that live at the fullest moment: the layer that writes each, and its bytes, largest first.
    """

    flatbuffer: bytes
    measured: Measurement
    planned: bool
    arena_unplanned: int
    lower_bound: int | None
    greedy_head: int | None
    peak: tuple[tuple[str, int], ...]


def arrange(options: Options, canonical: Canonical, graph: Graph, golden: GoldenInputs) -> Arrangement:
    """Measure a model, and plan its memory unless told otherwise.

    A plan is kept only where TFLM then works in a smaller arena and gives the same answers.

    Raises:
        TflmBuildError: TFLM does not run the model.
    """
    flatbuffer = canonical.flatbuffer
    unplanned = best = measure(flatbuffer, graph, golden)
    planned = False
    plan = make_plan(flatbuffer) if options.plan == "auto" else None
    if plan is not None:
        candidate = with_plan(flatbuffer, plan)
        measured = measure(candidate, graph, golden)
        if measured.smallest_arena < unplanned.smallest_arena and _same(measured, unplanned):
            flatbuffer, best, planned = candidate, measured, True
    blocks = lifetimes(flatbuffer)
    return Arrangement(
        flatbuffer=flatbuffer,
        measured=best,
        planned=planned,
        arena_unplanned=unplanned.smallest_arena,
        lower_bound=None if blocks is None else lower_bound(blocks),
        greedy_head=None if blocks is None else greedy_head(blocks),
        peak=() if blocks is None else _peak(blocks, canonical),
    )


def _same(one: Measurement, other: Measurement) -> bool:
    """Say whether TFLM gave the same answers to all vectors."""
    pairs = zip((*one.outputs, *one.further), (*other.outputs, *other.further), strict=True)
    return all(np.array_equal(mine, theirs) for mine, theirs in pairs)


def _peak(blocks: Sequence[Block], canonical: Canonical) -> tuple[tuple[str, int], ...]:
    """Return what lives at the fullest moment."""
    steps = range(len(canonical.layers[0]) + 1)
    live = [[block for block in blocks if block.first <= step <= block.last] for step in steps]
    fullest = max(live, key=lambda together: sum(block.bytes for block in together))
    named = [(canonical.layers[0][block.first - 1] if block.first > 0 else "input", block.bytes) for block in fullest]
    return tuple(sorted(named, key=lambda pair: -pair[1]))
