# SPDX-License-Identifier: Apache-2.0
"""Place a model's activations in the arena, where TFLM's own planner would leave gaps, and write the places down.

TFLM places the largest block first, each at the lowest offset that is free while it lives. The same rule gives the best
of all plans when the blocks come in the right order: by their offset in it. So what is searched for is an order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tflm_build.arena.planner import Planned, planned_head
from tflm_build.model.flatbuffer import MEMORY_PLAN
from tflm_build.model.graph import Subgraph
from tflm_build.model.lifetimes import Block, lifetimes
from tflm_build.model.model import Model
from tflm_build.passes.canonical import with_metadata

__all__ = ["Plan", "blocks_of", "greedy_head", "lower_bound", "make_plan", "place", "share_memory", "with_plan"]

_VERSION: Final = 1
_ONLINE: Final = -1  # the offset of a tensor that TFLM itself places, or that needs no place

_EFFORT: Final = 10_000_000
"""Pairs of blocks that a search may look at, a second or two: counted, so that every machine finds the same plan."""

_TRY: Final = 50
"""What a try costs beside its pairs of blocks, in the time that a pair takes."""

_MAX_BLOCKS: Final = 2000
"""More than this many activations are left to TFLM: what is worked out here grows with their square."""


@dataclass(frozen=True)
class Plan:
    """Where the tensors lie.

    Attributes:
        offsets: bytes from the start of the arena, per tensor of the subgraph; -1 for one that has no block.
        head: bytes that they take together.
        lower_bound: bytes that live at once: no plan takes less, unless operators work in place.
        greedy_head: bytes that TFLM's own planner takes.
    """

    offsets: tuple[int, ...]
    head: int
    lower_bound: int
    greedy_head: int


def lower_bound(blocks: Sequence[Block]) -> int:
    """Return the largest sum of bytes that live at once."""
    return max((sum(other.bytes for other in blocks if _meet(block.first, other)) for block in blocks), default=0)


def greedy_head(blocks: Sequence[Block]) -> int:
    """Return the bytes that TFLM's planner takes for these blocks."""
    return planned_head(tuple(Planned(block.bytes, block.first, block.last) for block in blocks))


def place(blocks: Sequence[Block]) -> list[int]:
    """Search for offsets that take as little memory together as can be; never more than TFLM's planner takes.

    From the order that TFLM uses, a block that lies on top, or one that it had to give way to, changes places with any
    other; what takes no more memory is kept.

    Returns:
        Per block its offset in bytes.
    """
    neighbours = _neighbours(blocks)
    order = _greedy_order(blocks)
    offsets = _first_fit(blocks, neighbours, order)
    head, bound = _head(blocks, offsets), lower_bound(blocks)
    tries = _EFFORT // (_TRY + sum(1 + len(near) for near in neighbours))
    for chances in np.random.RandomState(0).random_sample((tries, 3)):  # this stream is frozen
        if head == bound:
            break
        top = _choose([index for index in order if offsets[index] + blocks[index].bytes == head], chances[0])
        moved = order.index(_choose([top, *neighbours[top]], chances[1]))
        other = _choose(range(len(order)), chances[2])
        changed = [*order]
        changed[moved], changed[other] = order[other], order[moved]
        tried = _first_fit(blocks, neighbours, changed)
        if _head(blocks, tried) <= head:
            order, offsets, head = changed, tried, _head(blocks, tried)
    return offsets


def make_plan(model: Model, scratch: Sequence[Planned] = ()) -> Plan | None:
    """Plan a model's memory.

    Args:
        model: canonical.
        scratch: memory of kernels, which TFLM places itself: the plan leaves room where it would best lie.

    Returns:
        None where TFLM's own plan is as good, or where the model cannot be planned: it has several subgraphs, of which
        TFLM takes a plan for all at once, or elements of no fixed size.
    """
    blocks = blocks_of(model)
    if blocks is None or len(model.graph.subgraphs) > 1:
        return None
    shared = share_memory(model.graph.subgraphs[0], blocks)
    kernels = [Block(_ONLINE, each.bytes, each.first, each.last, 0) for each in scratch]
    together = [*{id(block): block for block in shared}.values(), *kernels]
    greedy, placed = greedy_head([*blocks, *kernels]), place(together)
    head = _head(together, placed)
    if head >= greedy:
        return None
    places = {id(block): offset for block, offset in zip(together, placed, strict=True)}
    offsets = [_ONLINE] * len(model.graph.subgraphs[0].operands)
    for block, whole in zip(blocks, shared, strict=True):
        offsets[block.tensor] = places[id(whole)]
    return Plan(tuple(offsets), head, lower_bound(blocks), greedy)


def share_memory(subgraph: Subgraph, blocks: Sequence[Block]) -> list[Block]:
    """Let what RESHAPE reads and writes lie in one place: its kernel then does nothing, and both hold the same.

    An input of the model is not shared with an output: who passes inputs may do so while outputs are still read.

    Args:
        subgraph: the only one.
        blocks: its blocks.

    Returns:
        For each block the one that it is a part of, or itself.
    """
    found = {block.tensor: block for block in blocks}
    for operator in subgraph.operators:
        if operator.op != "RESHAPE" or not {operator.reads[0].place, operator.outputs[0].place} <= found.keys():
            continue
        one, other = found[operator.reads[0].place], found[operator.outputs[0].place]
        parts = {place for place, block in found.items() if block is one or block is other}
        if one.bytes == other.bytes and not (parts & {*subgraph.inputs} and parts & {*subgraph.outputs}):
            whole = replace(one, first=min(one.first, other.first), last=max(one.last, other.last))
            found |= dict.fromkeys(parts, whole)
    return [found[block.tensor] for block in blocks]


def with_plan(model: Model, plan: Plan) -> Model:
    """Write a plan into a model, in place of one that it has; it stays canonical and its names stay."""
    words = np.array([_VERSION, 0, len(plan.offsets), *plan.offsets], "<i4")  # 0: the subgraph
    return with_metadata(model, MEMORY_PLAN, words.tobytes())


def blocks_of(model: Model) -> list[Block] | None:
    """Return the blocks of a model; None where they are not known, or are too many to plan."""
    blocks = lifetimes(model.graph)
    return blocks if blocks is not None and len(blocks) <= _MAX_BLOCKS else None


def _meet(step: int, block: Block) -> bool:
    """Say whether a block lives at a step."""
    return block.first <= step <= block.last


def _neighbours(blocks: Sequence[Block]) -> list[list[int]]:
    """Return for each block the indices of those that live at a time with it."""
    return [
        [
            index
            for index, other in enumerate(blocks)
            if other is not block and (_meet(block.first, other) or _meet(other.first, block))
        ]
        for block in blocks
    ]


def _greedy_order(blocks: Sequence[Block]) -> list[int]:
    """Return the order in which TFLM places blocks: the largest first, of equal ones the last first."""
    return sorted(range(len(blocks)), key=lambda index: (-blocks[index].bytes, -index))


def _first_fit(blocks: Sequence[Block], neighbours: Sequence[Sequence[int]], order: Sequence[int]) -> list[int]:
    """Place blocks in an order, each at the lowest offset where no placed one lies that lives at a time with it."""
    offsets = [-1] * len(blocks)
    for index in order:
        lowest = 0
        for offset, near in sorted((offsets[near], near) for near in neighbours[index] if offsets[near] >= 0):
            if offset - lowest >= blocks[index].bytes:
                break
            lowest = max(lowest, offset + blocks[near].bytes)
        offsets[index] = lowest
    return offsets


def _head(blocks: Sequence[Block], offsets: Sequence[int]) -> int:
    """Return the bytes that placed blocks take together."""
    return max((offset + block.bytes for block, offset in zip(blocks, offsets, strict=True)), default=0)


def _choose(among: Sequence[int], chance: float) -> int:
    """Return the element that a number from [0, 1) points at."""
    return among[int(chance * len(among))]
