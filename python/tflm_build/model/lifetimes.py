# SPDX-License-Identifier: Apache-2.0
"""Find out when each activation lives: the blocks of memory that TFLM plans."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from tflm_build.model.flatbuffer import ALIGNMENT
from tflm_build.model.graph import Graph, Operand, Operator
from tflm_build.model.types import TYPES

__all__ = ["Block", "Timeline", "is_planned", "lifetimes", "live_bytes", "timeline"]

_MOST_VISITS: Final = 300
"""Of subgraphs, each as often as it is called: TFLM's time grows with them too, and it never ends a circle of calls."""

_CALLS: Final = {
    "CALL_ONCE": ("initSubgraphIndex",),
    "IF": ("thenSubgraphIndex", "elseSubgraphIndex"),
    "WHILE": ("condSubgraphIndex", "bodySubgraphIndex"),
}


@dataclass(frozen=True)
class Block:
    """Memory that a tensor needs while it lives.

    Attributes:
        tensor: its index in its subgraph.
        bytes: a multiple of 16.
        first: the step that writes it, counted from 1; 0 for an input of the model. Where none writes it, the model's
            last one for an output, else -1. Each operator is a step, and so is each call of a subgraph.
        last: the last step that names it; the model's last one for an output.
        subgraph: the tensor's.
    """

    tensor: int
    bytes: int
    first: int
    last: int
    subgraph: int = 0


@dataclass(frozen=True)
class Timeline:
    """When tensors and operators live, in steps: one for each operator, and one for each call of a subgraph.

    A tensor that is written more than once lives, as TFLM has it, from the last time on.

    Attributes:
        tensors: per subgraph, by the tensor's place: its first step and its last one; none that no operator names.
        operators: per subgraph, by the operator's number: its first step, and the last one of what it calls.
    """

    tensors: tuple[dict[int, tuple[int, int]], ...]
    operators: tuple[dict[int, tuple[int, int]], ...]


def timeline(graph: Graph) -> Timeline | None:
    """Return when tensors and operators live; None where subgraphs call each other too often, or in a circle."""
    line = Timeline(tuple({} for _ in graph.subgraphs), tuple({} for _ in graph.subgraphs))
    visits = step = 0

    def visit(index: int) -> bool:
        nonlocal visits, step
        visits += 1
        if visits > _MOST_VISITS or not 0 <= index < len(graph.subgraphs):
            return False
        subgraph, lives = graph.subgraphs[index], line.tensors[index]
        lives |= dict.fromkeys(subgraph.inputs, (step, step))
        for number, operator in enumerate(subgraph.operators):
            step += 1
            first = step
            lives |= dict.fromkeys((operand.place for operand in operator.outputs), (step, step))
            for called in _called(operator):
                step += 1
                if not visit(called):
                    return False
            for operand in (*operator.reads, *operator.outputs):
                lives[operand.place] = (lives.get(operand.place, (-1, -1))[0], step)
            line.operators[index][number] = (first, step)
        for place in subgraph.outputs:
            lives[place] = (lives.get(place, (step, step))[0], step)
        return True

    return line if visit(0) else None


def _called(operator: Operator) -> tuple[int, ...]:
    """Return the subgraphs that an operator calls."""
    return tuple(operator.option(name) for name in _CALLS.get(operator.op, ()))


def is_planned(operand: Operand) -> bool:
    """Say whether TFLM plans memory for a tensor: it has neither data in the file nor a state to keep."""
    return not operand.variable and not operand.constant


def lifetimes(graph: Graph) -> list[Block] | None:
    """Return the blocks that TFLM plans, without the scratch memory that kernels ask for.

    Returns:
        None for a model with elements of no fixed size, or whose subgraphs call each other too often.
    """
    line = timeline(graph)
    if line is None:
        return None
    blocks = []
    for place, (subgraph, lives) in enumerate(zip(graph.subgraphs, line.tensors, strict=True)):
        for operand in filter(is_planned, subgraph.operands):
            if operand.type == "resource":
                continue
            if operand.bytes is None or TYPES[operand.type].dtype is None:
                return None
            units = -(-operand.bytes // ALIGNMENT)  # rounded up
            if units:
                ends = lives.get(operand.place, (-1, -1))
                blocks.append(Block(operand.place, units * ALIGNMENT, *ends, place))
    return blocks


def live_bytes(graph: Graph) -> list[int] | None:
    """Return for each operator of all subgraphs the bytes of the blocks that live while it runs; 0 if nothing runs it.

    Returns:
        None for a model with elements of no fixed size, or whose subgraphs call each other too often.
    """
    line, blocks = timeline(graph), lifetimes(graph)
    if line is None or blocks is None:
        return None
    ends = [block.last for block in blocks] + [last for steps in line.operators for _, last in steps.values()]
    changes = [0] * (max(ends, default=0) + 2)
    for block in blocks:
        if block.last > 0:
            changes[max(block.first, 1)] += block.bytes
            changes[block.last + 1] -= block.bytes
    live = list(accumulate(changes))
    return [
        live[steps[number][0]] if number in steps else 0
        for subgraph, steps in zip(graph.subgraphs, line.operators, strict=True)
        for number in range(len(subgraph.operators))
    ]
