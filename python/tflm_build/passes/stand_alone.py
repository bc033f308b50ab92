# SPDX-License-Identifier: Apache-2.0
"""Cut a model between its operators, so that each is run on inputs that it is given and not on what others answered."""

from collections.abc import Collection, Iterable
from copy import copy
from dataclasses import dataclass

from tflm_build.model.flatbuffer import indices, store
from tflm_build.model.graph import Operand
from tflm_build.model.model import Model

__all__ = ["StandAlone", "activations", "cut_apart"]


@dataclass(frozen=True)
class StandAlone:
    """Operators side by side in one model.

    Attributes:
        flatbuffer: the model: one interpreter then runs all of them.
        inputs: for each input of it the tensor of the whole model whose elements it takes.
        outputs: for each output of it the tensor of the whole model that it stands for.
    """

    flatbuffer: bytes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def cut_apart(model: Model, places: Collection[int], *, joined: bool = False) -> StandAlone:
    """Keep some operators of the main subgraph, each reading inputs of the model instead of what others write.

    Constants stay constants. State stays within the model: what an operator keeps for its next run is no input of it.

    Args:
        model: the whole model.
        places: of operators in its main subgraph.
        joined: leave them connected among each other.
    """
    main, operators = model.tree.subgraphs[0], model.graph.subgraphs[0].operators
    read = sorted({operand.place for place in places for operand in activations(operators[place].reads)})
    written = sorted({operand.place for place in places for operand in activations(operators[place].outputs)})
    read = [index for index in read if not (joined and index in written)]
    given = {index: len(main.tensors) + place for place, index in enumerate(read)}
    cut, result = copy(main), copy(model.tree)
    cut.tensors = [*main.tensors, *(copy(main.tensors[index]) for index in read)]
    cut.operators = [copy(main.operators[place]) for place in sorted(places)]
    for operator in cut.operators:
        operator.inputs = [given.get(index, index) for index in indices(operator.inputs)]
    cut.inputs, cut.outputs = list(given.values()), written
    result.subgraphs = [cut, *model.tree.subgraphs[1:]]
    result.buffers = list(model.tree.buffers)
    result.metadata = None  # a plan of the memory is that of the whole model
    return StandAlone(store(result), tuple(read), tuple(written))


def activations(operands: Iterable[Operand]) -> tuple[Operand, ...]:
    """Return those of an operator's tensors that are neither constants nor state nor the names of variables."""
    return tuple(
        operand for operand in operands if not (operand.constant or operand.variable or operand.type == "resource")
    )
