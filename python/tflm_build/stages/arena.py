# SPDX-License-Identifier: Apache-2.0
"""Find the smallest arena: measure the model as TFLM plans it, and with a plan of our own where that is smaller."""

from collections.abc import Sequence
from dataclasses import dataclass

from tflm_build.arena.targets import OnTarget, arenas_by_target
from tflm_build.arrays import same_answers
from tflm_build.model.lifetimes import Block
from tflm_build.model.model import Model
from tflm_build.options import Options
from tflm_build.passes.memory_plan import blocks_of, greedy_head, lower_bound, make_plan, with_plan
from tflm_build.stages.golden import GoldenInputs
from tflm_build.stages.measure import Measurement, measure

__all__ = ["PlannedModel", "plan_arena"]


@dataclass(frozen=True)
class PlannedModel:
    """The model as it is shipped, and what its memory is used for.

    Attributes:
        model: canonical, with a plan if one helps.
        measured: what TFLM needed and answered.
        planned: whether the plan in it is ours.
        arena_unplanned: bytes of the smallest arena without our plan.
        lower_bound: bytes of activations that live at once; None where that is not known.
        greedy_head: bytes that TFLM's own planner takes for activations; None likewise.
        targets: what it needs on several kinds of chips, as computed.
        peak: the tensors that live at the fullest moment: the layer that writes each, and its bytes, largest first.
    """

    model: Model
    measured: Measurement
    planned: bool
    arena_unplanned: int
    lower_bound: int | None
    greedy_head: int | None
    targets: tuple[OnTarget, ...]
    peak: tuple[tuple[str, int], ...]


def plan_arena(options: Options, model: Model, golden: GoldenInputs) -> PlannedModel:
    """Measure a model, and plan its memory unless `plan` is off.

    A plan is kept only where TFLM then works in a smaller arena and gives the same answers.

    Raises:
        TflmBuildError: TFLM does not run the model.
    """
    unplanned = best = measure(model, golden)
    blocks = blocks_of(model)
    plan = make_plan(model) if options.plan == "auto" else None
    planned = False
    if plan is not None:
        candidate = with_plan(model, plan)
        measured = measure(candidate, golden)
        if measured.smallest_arena < unplanned.smallest_arena and same_answers(measured.answers, unplanned.answers):
            model, best, planned = candidate, measured, True
    return PlannedModel(
        model=model,
        measured=best,
        planned=planned,
        arena_unplanned=unplanned.smallest_arena,
        lower_bound=None if blocks is None else lower_bound(blocks),
        greedy_head=None if blocks is None else greedy_head(blocks),
        targets=arenas_by_target(model),
        peak=() if blocks is None else _peak(blocks, model),
    )


def _peak(blocks: Sequence[Block], model: Model) -> tuple[tuple[str, int], ...]:
    """Return what lives at the fullest moment."""
    steps = range(1 + max((block.last for block in blocks), default=0))
    live = [[block for block in blocks if block.first <= step <= block.last] for step in steps]
    fullest = max(live, key=lambda together: sum(block.bytes for block in together))
    writers = {
        (place, operand.place): operator.layer
        for place, subgraph in enumerate(model.graph.subgraphs)
        for operator in subgraph.operators
        for operand in operator.outputs
    }
    named = [(writers.get((block.subgraph, block.tensor), "input"), block.bytes) for block in fullest]
    return tuple(sorted(named, key=lambda pair: -pair[1]))
