# SPDX-License-Identifier: Apache-2.0
"""A subgraph while passes rewrite it: who writes and reads each tensor, and how operators come and go."""

from collections.abc import Iterable, Sequence
from copy import copy
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import indices, op_name, schema, store, tensor_type_name
from tflm_build.model.types import TYPES

__all__ = ["Draft"]

_OPTIONS: Final = {
    "MAX_POOL_2D": "Pool2DOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "REDUCE_ALL": "ReducerOptions",
    "SUM": "ReducerOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
}
"""The schema's name of an op's options, where it is not the op's own."""


class Draft:
    """One subgraph of an unpacked model, which is changed in place.

    Tensors are only added; `drop_unnamed` takes those away that nothing names any more.
    """

    def __init__(self, tree: Any, subgraph: Any) -> None:
        """Begin with a subgraph as it is."""
        self._tree, self._subgraph = tree, subgraph
        self._ends: tuple[dict[int, Any], dict[int, list[Any]]] | None = None

    @property
    def inputs(self) -> tuple[int, ...]:
        """The tensors that whoever runs the subgraph writes."""
        return tuple(indices(self._subgraph.inputs))

    @inputs.setter
    def inputs(self, inputs: Sequence[int]) -> None:
        self._subgraph.inputs = list(inputs)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The tensors that whoever runs the subgraph reads."""
        return tuple(indices(self._subgraph.outputs))

    @outputs.setter
    def outputs(self, outputs: Sequence[int]) -> None:
        self._subgraph.outputs = list(outputs)

    @property
    def operators(self) -> list[Any]:
        """The operators, in the order in which they run."""
        return list(self._subgraph.operators or [])

    @operators.setter
    def operators(self, operators: list[Any]) -> None:
        self._subgraph.operators, self._ends = operators, None

    def tensor(self, index: int) -> Any:
        """Return a tensor."""
        return self._subgraph.tensors[index]

    def op(self, operator: Any) -> str:
        """Return an operator's op: its name in the schema, or the custom op's own."""
        return op_name(self._tree.operatorCodes[operator.opcodeIndex])

    def custom(self, operator: Any) -> bool:
        """Say whether an operator's op is no builtin."""
        code = self._tree.operatorCodes[operator.opcodeIndex]
        return bool(max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.CUSTOM)

    def shape(self, index: int) -> tuple[int, ...]:
        """Return a tensor's sizes."""
        return tuple(indices(self.tensor(index).shape))

    def type(self, index: int) -> str:
        """Return the name of a tensor's element type."""
        return tensor_type_name(self.tensor(index).type)

    def scaling(self, index: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """Return a tensor's scales and zero points."""
        given = self.tensor(index).quantization
        if given is None or given.scale is None:
            return (), ()
        return tuple(map(float, given.scale)), tuple(indices(given.zeroPoint))

    def alike(self, one: int, other: int) -> bool:
        """Say whether the same elements mean the same in two tensors, whatever their shapes."""
        return self.type(one) == self.type(other) and self.scaling(one) == self.scaling(other)

    def value(self, index: int) -> Array | None:
        """Return a constant; None for an activation, and for elements that numpy lacks."""
        data, dtype = self._data(index), getattr(TYPES.get(self.type(index)), "dtype", None)
        shape = self.shape(index)
        if data is None or dtype is None or len(data) != prod(shape) * dtype.itemsize:
            return None
        return np.frombuffer(bytes(data), dtype).reshape(shape)

    def constant(self, index: int) -> bool:
        """Say whether the model holds a tensor's elements."""
        return self._data(index) is not None

    def _data(self, index: int) -> Any:
        """Return the bytes of a constant, as they are; None for any other tensor."""
        data = self._tree.buffers[self.tensor(index).buffer].data
        return data if data is not None and len(data) else None

    def size(self, index: int) -> int:
        """Return the bytes of a constant; 0 for any other tensor."""
        return 0 if self._data(index) is None else len(self._data(index))

    def writer(self, index: int) -> Any:
        """Return the operator that writes a tensor; None for an input or constant."""
        return self._find_ends()[0].get(index)

    def readers(self, index: int) -> list[Any]:
        """Return the operators that read a tensor."""
        return self._find_ends()[1].get(index, [])

    def needed(self, index: int) -> bool:
        """Say whether an operator, or who runs the subgraph, reads a tensor."""
        return index in self.outputs or bool(self.readers(index))

    def _find_ends(self) -> tuple[dict[int, Any], dict[int, list[Any]]]:
        """Find the writers and readers of all tensors, once after each change."""
        if self._ends is None:
            writers: dict[int, Any] = {}
            readers: dict[int, list[Any]] = {}
            for operator in self.operators:
                writers.update(dict.fromkeys(indices(operator.outputs), operator))
                for index in dict.fromkeys(indices(operator.inputs)):
                    readers.setdefault(index, []).append(operator)
            self._ends = writers, readers
        return self._ends

    def hold(self, index: int, values: Array) -> None:
        """Make a tensor a constant; its shape and type stay."""
        dtype = TYPES[self.type(index)].dtype
        content = np.ascontiguousarray(values, dtype).tobytes()
        self.tensor(index).buffer = len(self._tree.buffers)
        self._tree.buffers.append(schema.BufferT(data=np.frombuffer(content, np.uint8)))

    def new(self, shape: Sequence[int], *, like: int, name: str) -> int:
        """Add an activation with the type and quantization of another tensor.

        Args:
            shape: its sizes.
            like: a tensor.
            name: of the layer that writes it: what the tensor is called.
        """
        tensor = copy(self.tensor(like))
        tensor.shape, tensor.name, tensor.buffer = np.array(shape, np.int32), self._part_of(name), 0
        tensor.shapeSignature, tensor.isVariable = None, False
        return self._add(tensor)

    def new_constant(self, values: Array, kind: str) -> int:
        """Add a constant that is not quantized; its shape is that of the values."""
        tensor = schema.TensorT()
        tensor.type, tensor.name, tensor.hasRank = getattr(schema.TensorType, kind.upper()), b"", not values.ndim
        tensor.shape = np.array(values.shape, np.int32)
        index = self._add(tensor)
        self.hold(index, values)
        return index

    def new_plain(self, shape: Sequence[int], kind: str, name: str) -> int:
        """Add an activation that is not quantized."""
        tensor = schema.TensorT()
        tensor.type, tensor.name = getattr(schema.TensorType, kind.upper()), self._part_of(name)
        tensor.shape, tensor.hasRank = np.array(shape, np.int32), not len(shape)
        return self._add(tensor)

    def _part_of(self, name: str) -> bytes:
        """Return a name of its own for a tensor within a layer."""
        return f"{name}/{len(self._subgraph.tensors)}".encode()

    def _add(self, tensor: Any) -> int:
        """Add a tensor."""
        self._subgraph.tensors = [*self._subgraph.tensors, tensor]
        return len(self._subgraph.tensors) - 1

    def new_operator(self, op: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> Any:
        """Return an operator that is not in the subgraph yet; options that are not given are the schema's."""
        number = getattr(schema.BuiltinOperator, op)
        codes = self._tree.operatorCodes
        place = next((index for index, code in enumerate(codes) if op_name(code) == op), len(codes))
        if place == len(codes):
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
            codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = place
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        kind = _OPTIONS.get(op, op.title().replace("_", "") + "Options")
        if hasattr(schema.BuiltinOptions, kind):
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
            vars(operator.builtinOptions).update(options)
        return operator

    def option(self, operator: Any, name: str) -> int:
        """Return a number of an operator's options; 0, as TFLM takes it, where it has none of that name."""
        return int(getattr(operator.builtinOptions, name, 0))

    def keeps(self, operator: Any) -> bool:
        """Say whether an operator reads or writes a state: what it writes there stays, and runs again each time."""
        named = (*indices(operator.inputs), *indices(operator.outputs))
        return any(index != -1 and self.tensor(index).isVariable for index in named)

    def fused(self, operator: Any) -> bool:
        """Say whether an operator applies an activation function to what it writes."""
        return self.option(operator, "fusedActivationFunction") != 0

    def given(self, operator: Any, count: int) -> tuple[list[int], list[int]] | None:
        """Return an operator's inputs and outputs; None where it has other numbers of them than its op should."""
        read, written = indices(operator.inputs), indices(operator.outputs)
        return (read, written) if len(read) == count and len(written) == 1 and -1 not in read else None

    def replace(self, operator: Any, others: Iterable[Any]) -> None:
        """Put operators in the place of one."""
        at = next(place for place, each in enumerate(self.operators) if each is operator)
        self.operators = [*self.operators[:at], *others, *self.operators[at + 1 :]]

    def can_join(self, source: int, target: int) -> bool:
        """Say whether one tensor can stand for both: not if each is an end of the subgraph or a constant."""
        ends = {*self.inputs, *self.outputs}
        return target not in ends or not (source in ends or self.constant(source))

    def join(self, source: int, target: int) -> None:
        """Let one tensor stand for two that are equal, the second of which nothing writes any more."""
        gone, kept = target, source
        if target in self.outputs:
            gone, kept = source, target
            self.tensor(kept).name = self.tensor(gone).name
        for operator in self.operators:
            for field in ("inputs", "outputs"):
                found = indices(getattr(operator, field))
                if gone in found:
                    setattr(operator, field, np.array([kept if place == gone else place for place in found], np.int32))
        self._ends = None

    def cut(self, operators: Sequence[Any], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return a model of some operators alone.

        Args:
            operators: which, in the order in which they run; none has a subgraph of its own.
            inputs: what they are given.
            outputs: what is asked of them.
        """
        named = [*inputs, *outputs]
        for operator in operators:
            named += [*indices(operator.inputs), *indices(operator.outputs), *indices(operator.intermediates)]
        kept = sorted({*named} - {-1})
        moved = {-1: -1} | {old: new for new, old in enumerate(kept)}
        used = sorted({operator.opcodeIndex for operator in operators})
        model, main = schema.ModelT(), schema.SubGraphT()
        model.version, model.subgraphs, model.buffers = 3, [main], [schema.BufferT()]
        model.operatorCodes = [self._tree.operatorCodes[place] for place in used] or self._tree.operatorCodes[:1]
        main.tensors, main.operators = [copy(self.tensor(place)) for place in kept], [copy(each) for each in operators]
        for place, tensor in zip(kept, main.tensors, strict=True):
            data, tensor.buffer, tensor.name = self._data(place), 0, None
            if data is not None and place not in inputs:
                tensor.buffer = len(model.buffers)
                model.buffers.append(schema.BufferT(data=data))
            tensor.shapeSignature = None
        for operator in main.operators:
            operator.opcodeIndex = used.index(operator.opcodeIndex)
            for field in ("inputs", "outputs", "intermediates"):
                vector = getattr(operator, field)
                if vector is not None:
                    setattr(operator, field, np.array([moved[place] for place in indices(vector)], np.int32))
        main.inputs, main.outputs = (np.array([moved[place] for place in ends], np.int32) for ends in (inputs, outputs))
        return store(model)

    def drop_dead(self) -> None:
        """Take away the operators whose answers nobody reads, unless they may do more than answer."""
        asked, kept = set(self.outputs), []
        for operator in reversed(self.operators):
            written, read = indices(operator.outputs), indices(operator.inputs)
            acts = (
                not written
                or self.custom(operator)
                or self.op(operator) in {"IF", "WHILE", "CALL"}
                or any(index != -1 and self.tensor(index).isVariable for index in read)
            )
            if acts or asked & set(written):
                asked.update(read)
                kept.append(operator)
        if len(kept) < len(self.operators):
            self.operators = kept[::-1]
