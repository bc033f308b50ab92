# SPDX-License-Identifier: Apache-2.0
"""Put operators in one order that a converter puts in another from run to run."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

import numpy as np

from tflm_build.model.flatbuffer import indices, load, op_name, store

__all__ = ["put_in_order"]

_BY_CHANCE: Final = frozenset({"DEQUANTIZE", "QUANTIZE"})
"""What TensorFlow's quantizer puts behind an operator of several outputs, in the order of a hash of addresses."""


def put_in_order(flatbuffer: bytes) -> bytes:
    """Order neighbours that only change the type of a tensor by what they read, and what they write likewise."""
    tree, changed = load(flatbuffer), False
    for number, subgraph in enumerate(tree.subgraphs):
        operators, moved = list[Any](), dict[int, int]()
        for run in _runs(tree, subgraph):
            if len(run) > 1:
                run = sorted(run, key=lambda operator: indices(operator.inputs)[0])  # noqa: PLW2901
                written = [indices(operator.outputs)[0] for operator in run]
                moved |= zip(written, sorted(written), strict=True)
            operators += run
        if any(before != after for before, after in moved.items()):
            changed = True
            _move(subgraph, operators, moved)
            for signature in tree.signatureDefs or []:
                for entry in signature.outputs if signature.subgraphIndex == number else ():
                    entry.tensorIndex = moved.get(entry.tensorIndex, entry.tensorIndex)
    return store(tree) if changed else flatbuffer


def _move(subgraph: Any, operators: list[Any], moved: dict[int, int]) -> None:
    """Give a subgraph its operators in another order, and some of its tensors other places."""
    tensors = list(subgraph.tensors)
    for before, after in moved.items():
        tensors[after] = subgraph.tensors[before]
    subgraph.operators, subgraph.tensors = operators, tensors
    for part in (*operators, subgraph):
        part.inputs, part.outputs = (
            np.array([moved.get(place, place) for place in indices(ends)], np.int32)
            for ends in (part.inputs, part.outputs)
        )


def _runs(tree: Any, subgraph: Any) -> Iterator[list[Any]]:
    """Yield neighbours of one op that do not read each other; an operator of any other op stands alone."""

    def kind(place: int) -> tuple[str, int]:
        op = op_name(tree.operatorCodes[subgraph.operators[place].opcodeIndex])
        return (op, -1) if op in _BY_CHANCE else (op, place)

    for (op, _), places in groupby(range(len(subgraph.operators)), kind):
        run = [subgraph.operators[place] for place in places]
        written = {place for operator in run for place in indices(operator.outputs)}
        together = op in _BY_CHANCE and not any(written & set(indices(operator.inputs)) for operator in run)
        yield from [run] if together else ([operator] for operator in run)
