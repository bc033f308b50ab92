# SPDX-License-Identifier: Apache-2.0
"""Find out when each activation lives: the blocks of memory that TFLM plans."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from tflm_build.model.flatbuffer import ALIGNMENT
from tflm_build.model.graph import Graph, Operator
from tflm_build.model.types import TYPES

__all__ = ["Block", "lifetimes", "live_bytes"]

_CALLS: Final = {
    "CALL_ONCE": ("initSubgraphIndex",),
    "IF": ("thenSubgraphIndex", "elseSubgraphIndex"),
    "WHILE": ("condSubgraphIndex", "bodySubgraphIndex"),
}
"""Ops that run subgraphs, and the options that name these, in TFLM's order."""

_MOST: Final = 100_000  # operators that are followed: subgraphs that call others many times over are not


@dataclass(frozen=True)
class Block:
    """Memory that a tensor needs while it lives.

    Attributes:
        tensor: its index in its subgraph.
        bytes: a multiple of 16.
        first: the step that writes it; 0 for an input of the model, -1 for a tensor that no operator writes. Each
            operator is a step, counted from 1; behind one that runs subgraphs come a step for each and its operators.
        last: the last step that names it; the model's last one for an output.
        subgraph: the tensor's.
    """

    tensor: int
    bytes: int
    first: int
    last: int
    subgraph: int = 0


@dataclass
class _Walk:
    """The steps of a run: of tensors the first and the last one, of operators all, by subgraph and place."""

    graph: Graph
    step: int = 0
    first: dict[tuple[int, int], int] = field(default_factory=dict)
    last: dict[tuple[int, int], int] = field(default_factory=dict)
    steps: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def follow(self, place: int, callers: tuple[int, ...] = ()) -> bool:
        """Go through a subgraph and those that it runs; return False if there is no end."""
        subgraph = self.graph.subgraphs[place]
        for tensor in subgraph.inputs:
            self.first.setdefault((place, tensor), self.step)
            self.last[place, tensor] = self.step
        for index, operator in enumerate(subgraph.operators):
            self.step += 1
            if self.step > _MOST:
                return False
            self.steps.setdefault((place, index), []).append(self.step)
            for operand in operator.outputs:
                self.first.setdefault((place, operand.place), self.step)
            for called in _called(operator):
                self.step += 1
                above = (*callers, place)
                if called in above or called >= len(self.graph.subgraphs) or not self.follow(called, above):
                    return False
            for operand in (*operator.reads, *operator.outputs):
                self.last[place, operand.place] = self.step
        for tensor in subgraph.outputs:
            self.last[place, tensor] = self.step
        return True


def _called(operator: Operator) -> Iterator[int]:
    """Yield the subgraphs that an operator runs."""
    return (operator.option(name) for name in _CALLS.get(operator.op, ()))


def _walk(graph: Graph) -> _Walk | None:
    """Follow a run of the model; None where it has no end."""
    walk = _Walk(graph)
    return walk if walk.follow(0) else None


def lifetimes(graph: Graph) -> list[Block] | None:
    """Return the blocks that TFLM plans, without the scratch memory that kernels ask for.

    TFLM plans every tensor that has elements, but no data in the file and no state to keep.

    Returns:
        None for a model with elements of no fixed size, or that calls itself.
    """
    walk = _walk(graph)
    return None if walk is None else _blocks(graph, walk)


def _blocks(graph: Graph, walk: _Walk) -> list[Block] | None:
    """Return the blocks of a run."""
    blocks = []
    for place, subgraph in enumerate(graph.subgraphs):
        for operand in subgraph.operands:
            if operand.variable or operand.constant or operand.type == "resource":
                continue
            if operand.bytes is None or TYPES[operand.type].dtype is None:
                return None
            units = -(-operand.bytes // ALIGNMENT)  # rounded up
            if units:
                key = place, operand.place
                ends = walk.first.get(key, -1), walk.last.get(key, -1)
                blocks.append(Block(operand.place, units * ALIGNMENT, *ends, place))
    return blocks


def live_bytes(graph: Graph) -> list[int] | None:
    """Return for each operator of all subgraphs the bytes of the blocks that live while it runs; 0 if nothing runs it.

    Returns:
        None for a model with elements of no fixed size, or that calls itself.
    """
    walk = _walk(graph)
    blocks = None if walk is None else _blocks(graph, walk)
    if walk is None or blocks is None:
        return None
    changes = [0] * (walk.step + 2)
    for block in blocks:
        if block.last > 0:
            changes[max(block.first, 1)] += block.bytes
            changes[block.last + 1] -= block.bytes
    live = list(accumulate(changes))
    return [
        max((live[step] for step in walk.steps.get((place, index), [])), default=0)
        for place, subgraph in enumerate(graph.subgraphs)
        for index in range(len(subgraph.operators))
    ]
