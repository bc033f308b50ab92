# SPDX-License-Identifier: Apache-2.0
"""Place a model's activations in the arena, where TFLM's own planner would leave gaps, and write the places down.

TFLM places the largest block first, each at the lowest offset that is free while it lives. The same rule gives the best
of all plans when the blocks come in the right order: by their offset in it. So what is searched for is an order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.model.flatbuffer import ALIGNMENT, indices, load, schema, store, tensor_type_name
from tflm_build.passes.canonical import MEMORY_PLAN, canonicalize

__all__ = [
    "Block", "Plan", "greedy_head", "lifetimes", "live_bytes", "lower_bound", "make_plan", "place", "with_plan",
]  # fmt: skip

_VERSION: Final = 1
_ONLINE: Final = -1  # the offset of a tensor that TFLM itself places, or that needs no place

_EFFORT: Final = 10_000_000
"""Pairs of blocks that a search may look at, a second or two: counted, so that every machine finds the same plan."""

_TRY: Final = 50
"""What a try costs beside its pairs of blocks, in the time that a pair takes."""

_MAX_BLOCKS: Final = 2000
"""More than this many activations are left to TFLM: what is worked out here grows with their square."""

_ELEMENT_BYTES: Final = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "int32": 4, "uint32": 4, "float32": 4,
    "int64": 8, "uint64": 8, "float64": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Memory that a tensor needs while it lives.

    Attributes:
        tensor: its index in the subgraph.
        bytes: a multiple of 16.
        first: the operator that writes it, counted from 1; 0 for an input, -1 for a tensor that no operator names.
        last: the last operator that names it; the model's last one for an output.
    """

    tensor: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """Where the tensors lie.

    Attributes:
        offsets: bytes from the start of the arena, per tensor of the subgraph; -1 for one that has no block.
        head: bytes that they take together.
        lower_bound: bytes that live at once: no plan takes less.
        greedy_head: bytes that TFLM's own planner takes.
    """

    offsets: tuple[int, ...]
    head: int
    lower_bound: int
    greedy_head: int


def lifetimes(flatbuffer: bytes) -> list[Block] | None:
    """Return the blocks that TFLM plans, without the scratch memory that kernels ask for.

    Returns:
        None for a model with several subgraphs, with elements of no fixed size, or with too many blocks to plan.

    Raises:
        TflmBuildError: the bytes are not a TensorFlow Lite model.
    """
    return _few(_blocks(load(flatbuffer)))


def live_bytes(model: Any) -> list[int] | None:
    """Return for each operator the bytes of the blocks that live while it runs.

    Args:
        model: the unpacked flatbuffer.

    Returns:
        None for a model with several subgraphs, or with elements of no fixed size.
    """
    blocks = _blocks(model)
    if blocks is None:
        return None
    steps = len(model.subgraphs[0].operators or [])
    changes = [0] * (steps + 2)
    for block in blocks:
        if block.last > 0:
            changes[max(block.first, 1)] += block.bytes
            changes[block.last + 1] -= block.bytes
    return list(accumulate(changes[1 : steps + 1]))


def lower_bound(blocks: Sequence[Block]) -> int:
    """Return the largest sum of bytes that live at once."""
    return max((sum(other.bytes for other in blocks if _meet(block.first, other)) for block in blocks), default=0)


def greedy_head(blocks: Sequence[Block]) -> int:
    """Return the bytes that TFLM's planner takes for these blocks."""
    return _head(blocks, _first_fit(blocks, _neighbours(blocks), _greedy_order(blocks)))


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


def make_plan(flatbuffer: bytes) -> Plan | None:
    """Plan a model's memory.

    Returns:
        None where TFLM's own plan is as good, or where the model cannot be planned.

    Raises:
        TflmBuildError: the bytes are not a TensorFlow Lite model.
    """
    model = load(flatbuffer)
    blocks = _few(_blocks(model))
    if blocks is None:
        return None
    greedy, placed = greedy_head(blocks), place(blocks)
    head = _head(blocks, placed)
    if head == greedy:
        return None
    offsets = [_ONLINE] * len(model.subgraphs[0].tensors)
    for block, offset in zip(blocks, placed, strict=True):
        offsets[block.tensor] = offset
    return Plan(tuple(offsets), head, lower_bound(blocks), greedy)


def with_plan(flatbuffer: bytes, plan: Plan) -> bytes:
    """Write a plan into a canonical model, in place of one that it has; it stays canonical and its names stay.

    Raises:
        TflmBuildError: the bytes are not a TensorFlow Lite model.
    """
    model = load(flatbuffer)
    words = np.array([_VERSION, 0, len(plan.offsets), *plan.offsets], "<i4")  # 0: the subgraph
    entry = schema.MetadataT(name=MEMORY_PLAN, buffer=len(model.buffers))
    model.metadata = [*(kept for kept in model.metadata or [] if kept.name != MEMORY_PLAN), entry]
    model.buffers.append(schema.BufferT(data=words.view(np.uint8)))
    return canonicalize(store(model), keep_names=True).flatbuffer


def _blocks(model: Any) -> list[Block] | None:
    """Follow TFLM: it plans every tensor that has elements, but no data in the file and no state to keep."""
    if len(model.subgraphs) != 1:
        return None
    (subgraph,) = model.subgraphs
    operators = subgraph.operators or []
    first = dict.fromkeys(indices(subgraph.inputs), 0)
    last = dict(first)
    for step, operator in enumerate(operators, 1):
        first |= dict.fromkeys(indices(operator.outputs), step)
        last |= dict.fromkeys([*indices(operator.inputs), *indices(operator.outputs)], step)
    last |= dict.fromkeys(indices(subgraph.outputs), len(operators))

    blocks = []
    for index, tensor in enumerate(subgraph.tensors or []):
        data = model.buffers[tensor.buffer].data
        if tensor.isVariable or (data is not None and len(data)):
            continue
        element = _ELEMENT_BYTES.get(tensor_type_name(tensor.type))
        if element is None:
            return None
        steps = -(-prod(indices(tensor.shape)) * element // ALIGNMENT)  # rounded up
        if steps:
            blocks.append(Block(index, steps * ALIGNMENT, first.get(index, -1), last.get(index, -1)))
    return blocks


def _few(blocks: list[Block] | None) -> list[Block] | None:
    """Pass as many blocks as can be planned."""
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
