# SPDX-License-Identifier: Apache-2.0
"""Find out when each activation lives: the blocks of memory that TFLM plans."""

from dataclasses import dataclass
from itertools import accumulate

from tflm_build.model.flatbuffer import ALIGNMENT
from tflm_build.model.graph import Graph
from tflm_build.model.types import TYPES

__all__ = ["Block", "lifetimes", "live_bytes"]


@dataclass(frozen=True)
class Block:
    """Memory that a tensor needs while it lives.

    Attributes:
        tensor: its index in the subgraph.
        bytes: a multiple of 16.
        first: the operator that writes it, counted from 1; 0 for an input, -1 for a tensor that no operator writes.
        last: the last operator that names it; the model's last one for an output.
    """

    tensor: int
    bytes: int
    first: int
    last: int


def lifetimes(graph: Graph) -> list[Block] | None:
    """Return the blocks that TFLM plans, without the scratch memory that kernels ask for.

    TFLM plans every tensor that has elements, but no data in the file and no state to keep.

    Returns:
        None for a model with several subgraphs, or with elements of no fixed size.
    """
    if len(graph.subgraphs) != 1:
        return None
    (subgraph,) = graph.subgraphs
    first = dict.fromkeys(subgraph.inputs, 0)
    last = dict(first)
    for step, operator in enumerate(subgraph.operators, 1):
        first |= dict.fromkeys((operand.place for operand in operator.outputs), step)
        last |= dict.fromkeys((operand.place for operand in (*operator.reads, *operator.outputs)), step)
    last |= dict.fromkeys(subgraph.outputs, len(subgraph.operators))

    blocks = []
    for operand in subgraph.operands:
        if operand.variable or operand.constant:
            continue
        if operand.bytes is None or TYPES[operand.type].dtype is None:
            return None
        steps = -(-operand.bytes // ALIGNMENT)  # rounded up
        if steps:
            place = operand.place
            blocks.append(Block(place, steps * ALIGNMENT, first.get(place, -1), last.get(place, -1)))
    return blocks


def live_bytes(graph: Graph) -> list[int] | None:
    """Return for each operator the bytes of the blocks that live while it runs.

    Returns:
        None for a model with several subgraphs, or with elements of no fixed size.
    """
    blocks = lifetimes(graph)
    if blocks is None:
        return None
    steps = len(graph.operators)
    changes = [0] * (steps + 2)
    for block in blocks:
        if block.last > 0:
            changes[max(block.first, 1)] += block.bytes
            changes[block.last + 1] -= block.bytes
    return list(accumulate(changes[1 : steps + 1]))
