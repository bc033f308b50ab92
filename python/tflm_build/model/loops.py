# SPDX-License-Identifier: Apache-2.0
"""Say how often the operators of each subgraph run in one run of the model."""

from collections.abc import Sequence

from tflm_build.model.graph import Graph, Operand, Operator, Subgraph

__all__ = ["count_runs"]


def count_runs(graph: Graph) -> tuple[int, ...]:
    """Return a number for each subgraph: the steps of a loop that counts to a constant, else 1.

    A loop counts where its condition is LESS of an element that it carries and of a constant, where the element is a
    constant at first, and where its body adds one to it. What another loop or branch would run is taken to run once.
    """
    runs = [1] * len(graph.subgraphs)
    for subgraph in graph.subgraphs:
        for operator in subgraph.operators:
            condition, body = (operator.option(f"{part}SubgraphIndex") for part in ("cond", "body"))
            if operator.op == "WHILE" and max(condition, body) < len(runs):
                steps = _steps(operator, graph.subgraphs[condition], graph.subgraphs[body])
                if steps is not None:
                    runs[condition], runs[body] = steps + 1, steps
    return tuple(runs)


def _steps(loop: Operator, condition: Subgraph, body: Subgraph) -> int | None:
    """Return the steps of a loop that counts; None for another."""
    compares = _writer(condition.operators, condition.outputs[0]) if condition.outputs else None
    if compares is None or compares.op != "LESS":
        return None
    counter, limit = compares.reads
    takes = _writer(condition.operators, counter.place)
    if takes is not None and takes.op == "SLICE" and _first(takes.reads[1]) == 0:
        counter = takes.reads[0]
    if counter.place not in condition.inputs:
        return None
    place = condition.inputs.index(counter.place)
    begin, end = _first(loop.inputs[place]), _first(limit)
    adds = _writer(body.operators, body.outputs[place])
    if adds is None or adds.op != "ADD" or adds.reads[0].place != body.inputs[place] or _first(adds.reads[1]) != 1:
        return None
    return None if begin is None or end is None else max(0, end - begin)


def _writer(operators: Sequence[Operator], place: int) -> Operator | None:
    """Return the operator that writes a tensor."""
    return next((each for each in operators if any(operand.place == place for operand in each.outputs)), None)


def _first(operand: Operand | None) -> int | None:
    """Return the first element of an integer constant."""
    data = None if operand is None or operand.type not in {"int32", "int64"} else operand.array
    return None if data is None or not data.size else int(data[0])
