# SPDX-License-Identifier: Apache-2.0
"""Find out what a model keeps from one run to the next."""

from typing import Final

from tflm_build.model.graph import Graph, Operator, Subgraph
from tflm_build.model.values import State

__all__ = ["Variable", "find_state", "variable_handles"]

Variable = tuple[bytes, bytes]
"""What a resource variable is known by: container and shared name."""

_HANDLES: Final = {"READ_VARIABLE", "ASSIGN_VARIABLE"}

_OWN_MEMORY: Final = frozenset(
    ("CIRCULAR_BUFFER", "SignalDelay", "SignalFilterBankSpectralSubtraction", "SignalFramer", "SignalOverlapAdd",
     "SignalStacker")
)  # fmt: skip
"""Ops whose kernels keep what no tensor of the model has."""


def find_state(graph: Graph) -> State:
    """Return the state of a model; it lies in the arena."""
    names: set[Variable] = set()
    sizes: dict[Variable, int] = {}
    for subgraph in graph.subgraphs:
        handles = variable_handles(subgraph)
        names |= set(handles.values())
        for operator in subgraph.operators:
            if operator.op in _HANDLES and operator.reads and operator.reads[0].place in handles:
                name = handles[operator.reads[0].place]
                values = (*operator.reads[1:], *operator.outputs)
                sizes[name] = max([sizes.get(name, 0), *(value.bytes or 0 for value in values)])
    kept = sum(
        operand.bytes or 0
        for subgraph in graph.subgraphs
        for operand in subgraph.operands
        if operand.variable and not _set_first(subgraph, operand.place)
    )
    kernels = sorted({operator.op for operator in graph.operators} & _OWN_MEMORY)
    return State(sum(sizes.values()) + kept, len(names), tuple(kernels))


def _set_first(subgraph: Subgraph, place: int) -> bool:
    """Say whether each run begins by writing a tensor, as in front of an LSTM that is not stateful: nothing is kept."""
    for operator in subgraph.operators:
        reads, writes = ({operand.place for operand in operands} for operands in (operator.reads, operator.outputs))
        if place in reads | writes:
            return place not in reads
    return False


def variable_handles(subgraph: Subgraph) -> dict[int, Variable]:
    """Return, by the tensor's place, the resource variables that tensors of a subgraph stand for."""
    return {
        operator.outputs[0].place: _name(operator)
        for operator in subgraph.operators
        if operator.op == "VAR_HANDLE" and operator.outputs
    }


def _name(operator: Operator) -> Variable:
    """Return what TFLM tells variables apart by."""
    options = operator.options
    return bytes(getattr(options, "container", None) or b""), bytes(getattr(options, "sharedName", None) or b"")
