# SPDX-License-Identifier: Apache-2.0
"""Refuse a flatbuffer that is damaged or made to harm, before anything reads it.

First the bytes: all that unpacking follows must lie within the file, and add up to what is in proportion to it. Then
the meaning: every number that an interpreter uses as an index, a size, a divisor or an enumerator must be one.
"""

import graphlib
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import behind_tables, packed_tensors, unpack
from tflm_build.model.types import TYPES, ElementType

__all__ = ["check_flatbuffer"]

_VERSION: Final = 3
_MAX_TABLES: Final = 1 << 16  # unpacking takes some 0.1 ms for each
_MAX_CONTENT: Final = (1 << 24, 4)  # bytes, and how many times the file's size: vectors may be shared
_MIN_ALIGNMENT: Final = 4  # bytes: some writers align 8-byte numbers no better; the canonical form does
_MAX_RANK: Final = 8
_MAX_ACTIVATION: Final = 1 << 28  # bytes: the largest arena that is tried
_MAX_INTERFACE: Final = 1 << 24  # bytes of an input or output: every golden vector holds one of each


class _InvalidError(Exception):
    """What is wrong with a model."""


def check_flatbuffer(flatbuffer: bytes) -> None:
    """Check the structure and the meaning of a TensorFlow Lite model.

    Args:
        flatbuffer: a file of unknown origin.

    Raises:
        TflmBuildError: it is not a TensorFlow Lite model, or not a valid one.
    """
    try:
        _require(flatbuffer[4:8] == b"TFL3", f"it has {flatbuffer[4:8]!r} where b'TFL3' would identify one")
        _Walk(flatbuffer).visit(schema.Model.GetRootAs(flatbuffer, 0))
        _check_model(unpack(flatbuffer), len(flatbuffer))
    except (_InvalidError, struct.error, TypeError, ValueError) as error:
        fault = error if isinstance(error, _InvalidError) else "an offset leads out of the file"
        msg = f"the source is not a valid TensorFlow Lite model: {fault}; convert it again"
        raise TflmBuildError(msg) from error


def _require(condition: object, fault: str) -> None:
    """Refuse the model if a condition does not hold."""
    if not condition:
        raise _InvalidError(fault)


class _Table(flatbuffers.table.Table):  # type: ignore[misc]
    """A table of the flatbuffer library, which never looks outside of it. Names are the library's own."""

    __slots__ = ("_end", "_slots")

    def __init__(self, data: bytes, position: int) -> None:
        super().__init__(data, position)
        _require(position % 4 == 0, f"the offset of a table, {position}, is no multiple of 4")
        vtable = position - struct.unpack_from("<i", data, position)[0]
        _require(0 <= vtable <= len(data) - 4 and vtable % 2 == 0, "a table has no description within the file")
        described, size = struct.unpack_from("<HH", data, vtable)
        _require(described >= 4 and described % 2 == 0 and size >= 4, "the description of a table has no valid size")  # noqa: PLR2004 - two uint16
        self._slots = struct.unpack_from(f"<{described // 2}H", data, vtable)
        self._end = position + size
        _require(self._end <= len(data) and max(self._slots[2:], default=0) < size, "a table reaches beyond its end")

    def Offset(self, vtableOffset: int) -> int:  # noqa: N802, N803
        slot = vtableOffset // 2
        return self._slots[slot] if slot < len(self._slots) else 0

    def Get(self, flags: Any, off: int) -> Any:  # noqa: N802
        _require(off + flags.bytewidth <= self._end, "a field reaches beyond its table")
        aligned = off % min(flags.bytewidth, _MIN_ALIGNMENT) == 0
        _require(aligned, f"the offset of a field, {off}, is no multiple of its size")
        value = super().Get(flags, off)
        _require(value or flags is not flatbuffers.number_types.UOffsetTFlags, "an offset is 0")
        return value

    def String(self, off: int) -> bytes:  # noqa: N802
        text = bytes(super().String(off))
        end = self.Indirect(off) + 4 + struct.unpack_from("<I", self.Bytes, self.Indirect(off))[0]
        _require(self.Bytes[end : end + 1] == b"\0", "a string has no end within the file")
        return text

    def GetVectorAsNumpy(self, flags: Any, off: int) -> Any:  # noqa: N802
        aligned = self.Vector(off) % min(flags.bytewidth, _MIN_ALIGNMENT) == 0
        _require(aligned, "the offset of a vector is no multiple of its elements' size")
        return super().GetVectorAsNumpy(flags, off)


_UNIONS: Final[dict[str, Any]] = {
    "ArrayIndices": schema.SparseIndexVector,
    "ArraySegments": schema.SparseIndexVector,
    "BuiltinOptions": schema.BuiltinOptions,
    "BuiltinOptions2": schema.BuiltinOptions2,
    "Details": schema.QuantizationDetails,
}


def _items(vector: Any) -> Any:
    """Return a vector that may be absent."""
    return () if vector is None else vector


def _names(enumeration: type) -> dict[int, str]:
    """Turn one of the schema's enumerations around."""
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


class _Asked:
    """What the generated readers take for a table without fields; it keeps which one they asked for."""

    def Offset(self, vtableOffset: int) -> int:  # noqa: N802, N803
        self.slot = vtableOffset
        return 0


@cache
def _fields(table: Any) -> tuple[tuple[int, str], ...]:
    """Name the methods by which unpacking reads all fields of a table, each behind the field's place in its vtable."""
    methods = [name for name in vars(table) if name[0].isupper() and name != "Init"]
    vectors = {name.removesuffix("IsNone") for name in methods if name.endswith("IsNone")}
    numbers = {name for name in vectors if f"{name}AsNumpy" in methods}
    others = {f"{name}{suffix}" for name in vectors for suffix in ("AsNumpy", "IsNone", "Length")}
    static = ("GetRootAs", f"{table.__name__}BufferHasIdentifier")
    fields = [name for name in methods if name not in others and not name.startswith(static)]
    asked, reader = _Asked(), table()
    reader._tab = asked  # noqa: SLF001 - the generated readers have no other door
    found = []
    for name in fields:
        getattr(reader, f"{name}IsNone" if name in vectors else name)()
        suffix = "AsNumpy" if name in numbers else "[]" if name in vectors else ""
        found.append((asked.slot, name + suffix))
    return tuple(found)


class _Walk:
    """Read every field of every table that unpacking would read, and count."""

    def __init__(self, flatbuffer: bytes) -> None:
        self._tables = _MAX_TABLES
        self._content = _MAX_CONTENT[0] + _MAX_CONTENT[1] * len(flatbuffer)

    def visit(self, table: Any) -> None:
        """Read a table of the generated schema."""
        self._tables -= 1
        _require(self._tables >= 0, f"it has more than {_MAX_TABLES:,} tables")
        table._tab = _Table(table._tab.Bytes, table._tab.Pos)  # noqa: SLF001 - the generated readers have no other door
        for slot, field in _fields(table.__class__):
            for value in self._values(table, field) if table._tab.Offset(slot) else ():  # noqa: SLF001
                if isinstance(value, bytes | np.ndarray):
                    self._content -= len(value) if isinstance(value, bytes) else value.nbytes
                    _require(self._content >= 0, "its vectors share more bytes than a model can need")
                elif isinstance(value, flatbuffers.table.Table):
                    self._visit_union(table, field, value)
                elif hasattr(value, "_tab"):
                    self.visit(value)

    @staticmethod
    def _values(table: Any, field: str) -> Iterator[Any]:
        """Yield the value of a field; all elements of a vector that does not hold plain numbers."""
        if not field.endswith("[]"):
            yield getattr(table, field)()
            return
        name = field.removesuffix("[]")
        for index in range(getattr(table, f"{name}Length")()):
            yield getattr(table, name)(index)

    def _visit_union(self, table: Any, field: str, value: Any) -> None:
        """Read the table that a union holds."""
        name = _names(_UNIONS[field]).get(getattr(table, f"{field}Type")())
        _require(name, f"the union {field} holds an unknown table")
        if name != "NONE":
            member = getattr(schema, str(name))()
            member.Init(value.Bytes, value.Pos)
            self.visit(member)


_TYPES: Final = _names(schema.TensorType)
_OPERATORS: Final = _names(schema.BuiltinOperator)
_ENUMERATIONS: Final = {
    "fusedActivationFunction": _names(schema.ActivationFunctionType), "padding": _names(schema.Padding),
    "mode": _names(schema.MirrorPadMode), "weightsFormat": _names(schema.FullyConnectedOptionsWeightsFormat),
    "kernelType": _names(schema.LSTMKernelType), "inDataType": _TYPES, "outDataType": _TYPES, "outType": _TYPES,
    "outputType": _TYPES, "idxOutType": _TYPES, "quantizedBiasType": _TYPES,
}  # fmt: skip
_DIVISORS: Final = ("stride", "dilation", "filter", "block")


def _check_model(model: Any, size: int) -> None:
    """Check what the tables of a model say of each other."""
    subgraphs, codes, buffers = (_items(table) for table in (model.subgraphs, model.operatorCodes, model.buffers))
    _require(len(subgraphs) and len(codes) and len(buffers), "it has no subgraphs, operators or buffers")
    _require(model.version == _VERSION, f"its schema has version {model.version}, and not {_VERSION}")
    for code in codes:
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        _require(number in _OPERATORS, f"the builtin operator {number} is not in the schema")
    shared = _MAX_CONTENT[0] + _MAX_CONTENT[1] * size
    lengths = [_length(buffer, size) for buffer in buffers]
    _require(sum(lengths) <= shared, "its buffers share more bytes than a model can need")
    for index, subgraph in enumerate(subgraphs):
        named = ((place, tensor) for place, tensor in enumerate(_items(subgraph.tensors)) if tensor)
        tensors = {place: _Tensor(tensor, lengths) for place, tensor in named}
        shared -= sum(tensor.constant for tensor in tensors.values())
        _require(shared >= 0, "its tensors share more bytes than a model can need")
        _check_order(subgraph, tensors, codes)
        for place in sorted(tensors.keys() - packed_tensors(subgraph, codes)):
            tensors[place].check_quantization(subgraph.tensors[place].quantization)
        ends = [*_items(subgraph.inputs), *_items(subgraph.outputs)] if index == 0 else []
        _require(
            all(tensors[end].size <= _MAX_INTERFACE for end in ends), f"an input or output exceeds {_MAX_INTERFACE} B"
        )
    _check_calls(subgraphs)


def _length(buffer: Any, size: int) -> int:
    """Return the bytes of a buffer, which may lie behind the tables of a file of some size."""
    length = len(_items(buffer.data))
    if not behind_tables(buffer):
        return length
    _require(not length, "a buffer has data both in the tables and behind them")
    _require(buffer.offset + buffer.size <= size, "a buffer lies outside of the file")
    return int(buffer.size)


def _check_indices(indices: Iterable[int], count: int, who: str) -> None:
    """Refuse indices of tensors that do not exist."""
    _require(all(0 <= index < count for index in indices), f"{who} names a tensor that does not exist")


class _Tensor:
    """What other checks need to know of a tensor that has passed its own."""

    def __init__(self, tensor: Any, lengths: list[int]) -> None:
        """Check type, shape, content and quantization."""
        shape = [int(extent) for extent in _items(tensor.shape)[: _MAX_RANK + 1]]
        kind = _TYPES.get(tensor.type, "").lower()
        who = f"the tensor '{(tensor.name or b'').decode('utf-8', 'replace')}'"
        _require(kind, f"{who} has the unknown type {tensor.type}")
        if tensor.sparsity is not None:
            msg = f"{who} is sparse, which TFLM cannot read; convert the model with dense weights, without DENSIFY"
            raise TflmBuildError(msg)
        allowed = len(shape) <= _MAX_RANK and min(shape, default=0) >= 0  # 0: an empty constant, as a scalar's shape is
        _require(allowed, f"{who} has the shape {shape}; allowed: up to {_MAX_RANK} sizes, none negative")
        _require(tensor.buffer < len(lengths), f"{who} names a buffer that does not exist")
        _require(not tensor.externalBuffer, f"{who} has its data in another file")
        self.constant = lengths[tensor.buffer]
        self.size = (math.prod(shape) * TYPES.get(kind, ElementType(8)).bits + 7) // 8
        self.open = bool(tensor.isVariable or not self.size)
        self.known = bool(self.constant or self.open)
        if self.constant and kind in TYPES:  # strings and the like have no fixed size, and no kernel in TFLM
            _require(self.constant == self.size, f"{who} needs {self.size} B and has {self.constant}")
        _require(self.constant or self.size <= _MAX_ACTIVATION, f"{who} needs {self.size} B of memory")
        _require(not (tensor.isVariable and self.constant), f"{who} is variable and constant")
        self._who, self._kind, self._shape = who, kind, shape

    def check_quantization(self, parameters: Any) -> None:
        """Check that there is one scale and zero point, or one for each slice."""
        if parameters is not None:
            _check_quantization(parameters, self._shape, self._kind, self._who)


def _check_quantization(parameters: Any, shape: list[int], kind: str, who: str) -> None:
    """Check that there is one scale and zero point, or one for each slice."""
    scales, zero_points = _items(parameters.scale), _items(parameters.zeroPoint)
    count, axis = len(scales), int(parameters.quantizedDimension)
    if not count:
        return
    # Fewer zero points, and an axis that cannot be meant, are repaired.
    _require(len(zero_points) in {0, 1, count}, f"{who} has {count} scales and {len(zero_points)} zero points")
    known = 0 <= axis < len(shape)
    _require(known or count == 1 or len(shape) <= 1, f"{who} is quantized along its axis {axis}")
    slices = shape[axis if known else 0] if shape else 1
    _require(count in {1, slices}, f"{who} has {count} scales for {slices} slices")
    _require(np.isfinite(scales).all() and np.greater(scales, 0).all(), f"{who} has a scale that is not positive")
    low, high = TYPES.get(kind, ElementType(8)).zero_points
    _require(
        low <= min(zero_points, default=low) <= max(zero_points, default=low) <= high,
        f"{who} has a zero point outside of {low} to {high}",
    )


def _check_order(subgraph: Any, tensors: Mapping[int, _Tensor], codes: Any) -> None:
    """Check that a tensor is written once and not read before, and the options of the operators."""
    inputs, count = _items(subgraph.inputs), len(_items(subgraph.tensors))
    _check_indices((*inputs, *_items(subgraph.outputs)), count, "a subgraph")
    known = {index for index, tensor in tensors.items() if tensor.known} | {int(index) for index in inputs}
    for place, operator in enumerate(_items(subgraph.operators)):
        who = f"operator {place}"
        _require(operator.opcodeIndex < len(codes), f"{who} names an operator code that does not exist")
        _require(not operator.largeCustomOptionsOffset, f"{who} has options outside of the flatbuffer")
        read = [int(index) for index in _items(operator.inputs) if index != -1]  # -1: an optional input left out
        written = [int(index) for index in _items(operator.outputs)]
        _check_indices((*read, *written), count, who)
        _check_indices((index for index in _items(operator.intermediates) if index != -1), count, who)
        _require(known.issuperset(read), f"{who} reads a tensor before it is written")
        for index in written:
            _require(index not in known or tensors[index].open, f"{who} writes a tensor that has a value already")
            known.add(index)
        for name, value in vars(operator.builtinOptions).items() if operator.builtinOptions else ():
            allowed = _ENUMERATIONS.get(name)
            _require(allowed is None or value in allowed, f"{who} has the unknown {name} {value}")
            _require(not name.startswith(_DIVISORS) or value > 0, f"{who} has the {name} {value}")
    _require(known.issuperset(map(int, _items(subgraph.outputs))), "an output is never written")


def _check_calls(subgraphs: Any) -> None:
    """Check that subgraphs which call subgraphs name them, and come to an end."""
    calls: dict[int, set[int]] = {}
    for caller, subgraph in enumerate(subgraphs):
        for operator in _items(subgraph.operators):
            for options in filter(None, (operator.builtinOptions, operator.builtinOptions2)):
                for name, value in vars(options).items():
                    if name.endswith(("SubgraphIndex", "subgraph")):
                        _require(0 <= value < len(subgraphs), "an operator calls a subgraph that does not exist")
                        calls.setdefault(caller, set()).add(value)
    try:
        graphlib.TopologicalSorter(calls).prepare()
    except graphlib.CycleError:
        _require(None, "a subgraph calls itself")
