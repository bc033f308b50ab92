# SPDX-License-Identifier: Apache-2.0
"""Change a canonical model: operators, constants and shapes of its main subgraph, on a copy of what is changed."""

import copy
from typing import Any

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import copy_tree, indices, schema
from tflm_build.model.model import Model
from tflm_build.passes.canonical import repack

__all__ = ["ModelDraft"]


class ModelDraft:
    """A model's tree, to be changed.

    Attributes:
        tensors: of the main subgraph.
        operators: of the main subgraph, in the order of `model.graph`.
    """

    def __init__(self, model: Model) -> None:
        """Copy what may be changed of a canonical model."""
        self._model = model
        self._tree = copy_tree(model.tree)
        main = self._tree.subgraphs[0]
        for operator in (operator for subgraph in self._tree.subgraphs for operator in subgraph.operators):
            operator.inputs, operator.builtinOptions = indices(operator.inputs), copy.copy(operator.builtinOptions)
        self.tensors, self.operators = main.tensors, main.operators
        names = list(model.tensors[0])
        self._names = {id(tensor): name for tensor, name in zip(self.tensors, names, strict=True)}
        self._layers = {id(operator): name for operator, name in zip(self.operators, model.layers[0], strict=True)}

    def replace_input(self, operator: Any, number: int, content: Array, scales: Array | None = None) -> Any:
        """Give an operator a constant of its own in place of one that it reads; return its tensor.

        Args:
            operator: one of `operators`.
            number: of the input.
            content: the elements, in the tensor's type and in the new shape.
            scales: which scales and zero points are kept, where there is one for each channel; None: all.
        """
        old = self.tensors[operator.inputs[number]]
        tensor = copy.copy(old)
        tensor.buffer = len(self._tree.buffers)
        tensor.shape = np.array(content.shape, np.int32)
        self._tree.buffers.append(schema.BufferT(data=np.frombuffer(content.tobytes(), np.uint8)))
        parameters = tensor.quantization
        if scales is not None and parameters is not None and parameters.scale is not None and len(parameters.scale) > 1:
            tensor.quantization = copy.copy(parameters)
            tensor.quantization.scale = np.array(parameters.scale, np.float32)[scales]
            tensor.quantization.zeroPoint = np.array(parameters.zeroPoint, np.int64)[scales]
        operator.inputs[number] = len(self.tensors)
        self.tensors.append(tensor)
        self._names[id(tensor)] = self._names[id(old)]
        return tensor

    def remove(self, places: set[int]) -> None:
        """Remove operators, by their places."""
        self.operators[:] = [operator for place, operator in enumerate(self.operators) if place not in places]

    def finish(self) -> Model:
        """Return the changed model; it is canonical."""
        layers = (tuple(self._layers[id(operator)] for operator in self.operators), *self._model.layers[1:])
        return repack(self._model, self._tree, layers, self._names)
