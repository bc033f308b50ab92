# SPDX-License-Identifier: Apache-2.0
"""Cut a model between its operators, so that each is run on inputs that it is given and not on what others answered."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from tflm_build.model.flatbuffer import indices, schema, store

__all__ = ["StandAlone", "activations", "cut_apart", "keeps_state"]


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


def cut_apart(model: Any, operators: Collection[int]) -> StandAlone:
    """Keep some operators of the main subgraph, each reading inputs of the model instead of what others write.

    Constants stay constants. State stays within the model: what an operator keeps for its next run is no input of it.

    Args:
        model: the object tree; it is not changed.
        operators: places in the main subgraph.
    """
    main = model.subgraphs[0]
    chosen = [main.operators[place] for place in sorted(operators)]
    read = sorted({index for operator in chosen for index in activations(model, operator.inputs)})
    written = sorted({index for operator in chosen for index in activations(model, operator.outputs)})
    given = {index: len(main.tensors) + place for place, index in enumerate(read)}
    cut = _copy(main)
    cut.tensors = [*main.tensors, *(_copy(main.tensors[index]) for index in read)]
    cut.operators = [_copy(operator) for operator in chosen]
    for operator in cut.operators:
        operator.inputs = [given.get(index, index) for index in indices(operator.inputs)]
    cut.inputs, cut.outputs = list(given.values()), written
    result = _copy(model)
    result.subgraphs = [cut, *model.subgraphs[1:]]
    result.buffers = list(model.buffers)
    result.metadata = None  # a plan of the memory is that of the whole model
    return StandAlone(store(result), tuple(read), tuple(written))


def activations(model: Any, ends: Any) -> list[int]:
    """Return those of an operator's tensors that are neither constants nor state nor left out."""
    tensors = model.subgraphs[0].tensors
    return [
        index
        for index in indices(ends)
        if index != -1 and not keeps_state(tensors[index]) and model.buffers[tensors[index].buffer].data is None
    ]


def keeps_state(tensor: Any) -> bool:
    """Say whether a tensor is what a model remembers from run to run, or names it."""
    return bool(tensor.isVariable) or tensor.type == schema.TensorType.RESOURCE


def _copy(table: Any) -> Any:
    """Copy a table of the schema, but not those in it."""
    result = type(table)()
    vars(result).update(vars(table))
    return result
