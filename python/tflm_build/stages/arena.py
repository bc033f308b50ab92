# SPDX-License-Identifier: Apache-2.0
"""Find the smallest arena: measure the model as TFLM plans it, and with a plan of our own where that is smaller."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tflm_build.arena.replay import ComputedArena
from tflm_build.arena.targets import (
    ANY_TARGET,
    HOST_TARGET,
    REFERENCE,
    OnTarget,
    Target,
    arena_on,
    arenas_by_target,
    targets,
    with_sizes,
)
from tflm_build.arrays import same_answers
from tflm_build.errors import TflmBuildError
from tflm_build.model.lifetimes import Block
from tflm_build.model.model import Model
from tflm_build.options import Options
from tflm_build.passes.memory_plan import blocks_of, greedy_head, lower_bound, make_plan, with_plan
from tflm_build.stages.golden import GoldenInputs
from tflm_build.stages.measure import INTERPRETER_SIZE, Measurement, measure

__all__ = ["Need", "PlannedModel", "expect_arena", "plan_arena"]

_WITH_SIZES: Final = " and the sizes of your TFLM's structures"


@dataclass(frozen=True)
class Need:
    """The arena that firmware has to hand out.

    Attributes:
        smallest: bytes that TFLM needs.
        head: bytes of it that activations and scratch memory share.
        tail: bytes of it that are kept from allocation on.
        basis: measured, on the host; computed, for a target with reference kernels; bound, for a target with optimized
            ones, whose versions differ, or one that is not known; device, where one reported the size.
        target: what it holds for.
        kernels: of the TFLM there.
        note: what else a user should know of where the size comes from; may be empty.
    """

    smallest: int
    head: int
    tail: int
    basis: str
    target: str
    kernels: str
    note: str

    @property
    def size(self) -> int:
        """Bytes that firmware has to hand out."""
        return self.smallest + INTERPRETER_SIZE

    @property
    def here(self) -> bool:
        """Whether the target is the machine that builds."""
        return self.target == HOST_TARGET


@dataclass(frozen=True)
class PlannedModel:
    """The model as it is shipped, and what its memory is used for.

    Attributes:
        model: canonical, with a plan if one helps.
        measured: what TFLM needed and answered on the host.
        need: what firmware has to hand out on the target.
        here: what a test has to hand out on the machine that builds.
        planned: whether the plan in it is ours.
        arena_unplanned: bytes of the smallest arena without our plan.
        lower_bound: bytes of activations that live at once; None where that is not known.
        greedy_head: bytes that TFLM's own planner takes for activations; None likewise.
        targets: what it needs on several kinds of chips, as computed.
        peak: the tensors that live at the fullest moment: the layer that writes each, and its bytes, largest first.
    """

    model: Model
    measured: Measurement
    need: Need
    here: Need
    planned: bool
    arena_unplanned: int
    lower_bound: int | None
    greedy_head: int | None
    targets: tuple[OnTarget, ...]
    peak: tuple[tuple[str, int], ...]


def plan_arena(
    options: Options, model: Model, golden: GoldenInputs, sizes: Mapping[str, tuple[int, int]]
) -> PlannedModel:
    """Measure a model, and plan its memory unless `plan` is off.

    A plan is kept only where TFLM then needs a smaller arena on the target, and gives the same answers here.

    Args:
        options: what the user decided.
        model: canonical.
        golden: the inputs that it is run on.
        sizes: of structures of the TFLM that runs it, where a probe told.

    Raises:
        TflmBuildError: TFLM does not run the model, or no device can have reported `ARENA`.
    """
    unplanned = best = measure(model, golden)
    need = before = _need(options, model, unplanned, sizes)
    blocks = blocks_of(model)
    candidate = _planned(options, model, sizes) if options.plan == "auto" else None
    planned = False
    if candidate is not None:
        measured = measure(candidate, golden)
        wanted = _need(options, candidate, measured, sizes)
        if wanted.smallest < before.smallest and same_answers(measured.outputs, unplanned.outputs):
            model, best, need, planned = candidate, measured, wanted, True
    return PlannedModel(
        model=model,
        measured=best,
        need=_reported(options, need, best),
        here=_need_here(model, best, sizes),
        planned=planned,
        arena_unplanned=before.smallest,
        lower_bound=None if blocks is None else lower_bound(blocks),
        greedy_head=None if blocks is None else greedy_head(blocks),
        targets=arenas_by_target(model),
        peak=() if blocks is None else _peak(blocks, model),
    )


def expect_arena(options: Options, model: Model) -> int | None:
    """Return the arena that a model will need on the target, with the interpreter, planned or not; None: not known.

    It is that of TFLM as published: what a probe tells of another one, `plan_arena` adds.
    """
    target, names = _target(options, {})
    planned = _planned(options, model, {}) if options.plan == "auto" else None
    needs = (_most(each, target, names)[1].bytes for each in (model, planned) if each is not None)
    known = [size for size in needs if size is not None]
    return min(known) + INTERPRETER_SIZE if known else None


def _planned(options: Options, model: Model, sizes: Mapping[str, tuple[int, int]]) -> Model | None:
    """Return the model with the plan that is best on the target: for activations alone, or with its kernels' memory."""
    target, names = _target(options, sizes)
    scratch = _most(model, target, names)[1].scratch
    plans = [make_plan(model), *([make_plan(model, scratch)] if scratch else [])]
    models = [with_plan(model, plan) for plan in plans if plan is not None]
    return min(models, key=lambda each: _most(each, target, names)[1].bytes or 0, default=None)


def _target(options: Options, sizes: Mapping[str, tuple[int, int]]) -> tuple[Target, list[str]]:
    """Return the target, and the libraries of kernels that it may have."""
    target = targets()[HOST_TARGET if options.target == "auto" else options.target]
    target = with_sizes(target, sizes) if sizes else target
    return target, [*target.layouts] if options.kernels == "auto" else [options.kernels]


def _most(model: Model, target: Target, names: Sequence[str]) -> tuple[str, ComputedArena]:
    """Return the library that needs most, and what it needs."""
    needs = ((name, arena_on(model, target, name)) for name in names)
    return max(needs, key=lambda pair: pair[1].bytes or 0)


def _need(options: Options, model: Model, measured: Measurement, sizes: Mapping[str, tuple[int, int]]) -> Need:
    """Return what the target needs, as computed; what the host needs where it is that, or has an op unknown."""
    target, names = _target(options, sizes)
    if target.name == HOST_TARGET:
        return _need_here(model, measured, sizes)
    kernels, arena = _most(model, target, names)
    if arena.bytes is None:
        return _need_here(model, measured, sizes)
    basis = "bound" if target.name == ANY_TARGET or kernels != REFERENCE else "computed"
    note = f"computed for {target.name} with {kernels} kernels"
    if target.name == ANY_TARGET:
        note = "the most that a chip of 32 bits needs with any kernels; TARGET and KERNELS say which it is"
    note += _WITH_SIZES if target != targets()[target.name] else ""
    return Need(arena.bytes, arena.head, arena.tail, basis, target.name, kernels, note)


def _need_here(model: Model, measured: Measurement, sizes: Mapping[str, tuple[int, int]]) -> Need:
    """Return what the host needs: as measured, or as computed where a TFLM is linked whose sizes are known."""
    basis = "measured" if measured.on_tflm else "computed"
    need = Need(measured.enough, measured.head, measured.tail, basis, HOST_TARGET, REFERENCE, measured.basis)
    arena = arena_on(model, with_sizes(targets()[HOST_TARGET], sizes), REFERENCE) if sizes else None
    if arena is None or arena.bytes is None:
        return need
    smallest = max(arena.bytes, need.smallest)  # a test may run on the interpreter of the wheel as well
    note = f"computed for {HOST_TARGET} with {REFERENCE} kernels{_WITH_SIZES}"
    return Need(smallest, arena.head, arena.tail, "computed", HOST_TARGET, REFERENCE, note)


def _reported(options: Options, need: Need, measured: Measurement) -> Need:
    """Return what a device reported, if the user has such a number; no device does with less than activations take."""
    reported = options.budget("arena")
    if reported is None:
        return need
    least = min(need.head, measured.head)
    if reported < least:
        msg = (
            f"`ARENA` got {reported:,} B; allowed: more than the {least:,} B that activations alone take; pass what "
            "tflm_arena_used() says of this model, or leave `ARENA` out"
        )
        raise TflmBuildError(msg)
    note = "as ARENA has it, which a device reported"
    return replace(need, smallest=reported - INTERPRETER_SIZE, basis="device", note=note)


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
