# SPDX-License-Identifier: Apache-2.0
"""Read and write TensorFlow Lite flatbuffers, with the schema that LiteRT ships."""

import struct
from copy import copy
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflm_build.errors import TflmBuildError

__all__ = [
    "ALIGNMENT",
    "MEMORY_PLAN",
    "behind_tables",
    "copy_tree",
    "indices",
    "load",
    "op_name",
    "packed_tensors",
    "schema",
    "store",
    "tensor_type_name",
    "unpack",
]

ALIGNMENT: Final = 16
"""Bytes: a buffer's place in the file, and the file's in flash. Small cores fault on a float32 off its alignment."""

MEMORY_PLAN: Final = b"OfflineMemoryAllocation"
"""The only metadata that TFLM reads. Words: version, subgraph, count of tensors, and an offset for each."""


class _SubGraph(schema.SubGraph):  # type: ignore[misc]
    """The reader of a subgraph without the tensors that nothing names, of which some files have tens of thousands."""

    def Init(self, buf: bytes, pos: int) -> None:  # noqa: N802 - the schema's own name
        super().Init(buf, pos)
        operators = [self.Operators(place) for place in range(self.OperatorsLength())]
        self._named = {*_numbers(self.InputsAsNumpy()), *_numbers(self.OutputsAsNumpy())}.union(
            *(_numbers(ends()) for each in operators for ends in (each.InputsAsNumpy, each.OutputsAsNumpy)),
            *(_numbers(each.IntermediatesAsNumpy()) for each in operators),
        )

    def Tensors(self, j: int) -> Any:  # noqa: N802
        return super().Tensors(j) if j in self._named else None


class _Model(schema.Model):  # type: ignore[misc]
    """The reader of a model with such subgraphs."""

    def Subgraphs(self, j: int) -> Any:  # noqa: N802
        table = super().Subgraphs(j)._tab  # noqa: SLF001 - the generated readers have no other door
        subgraph = _SubGraph()
        subgraph.Init(table.Bytes, table.Pos)
        return subgraph


def _numbers(vector: Any) -> list[int]:
    """Return a vector of numbers that a reader gave: 0 stands for an absent one."""
    return [] if isinstance(vector, int) else vector.tolist()


def unpack(data: bytes) -> Any:
    """Unpack a flatbuffer into the schema's object tree, with None for each tensor that nothing names.

    A stranger's file may be anything: whatever the library of flatbuffers raises then is not caught here.
    """
    reader = _Model()
    reader.Init(data, schema.Model.GetRootAs(data, 0)._tab.Pos)  # noqa: SLF001
    return schema.ModelT.InitFromObj(reader)


def load(data: bytes) -> Any:
    """Unpack a flatbuffer; data that lie behind its tables are taken into it, tensors that nothing names are empty.

    The offsets of a stranger's file must have been verified before (`verify.py`, which `read.py` calls).

    Raises:
        TflmBuildError: the bytes are not a valid TensorFlow Lite model.
    """
    try:
        model, empty = unpack(data), schema.TensorT()
        for subgraph in model.subgraphs or []:
            subgraph.tensors = [tensor or empty for tensor in subgraph.tensors or []]
        for buffer in filter(behind_tables, model.buffers or []):
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
        _check_references(model)
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:
        msg = f"the source is not a valid TensorFlow Lite model: {error}; convert it again"
        raise TflmBuildError(msg) from error
    return model


def copy_tree(model: Any) -> Any:
    """Copy an object tree so far that tables may be added, and fields of tensors and operators set, in the copy."""
    copied = copy(model)
    copied.buffers, copied.operatorCodes = list(model.buffers), list(model.operatorCodes)
    copied.metadata = None if model.metadata is None else list(model.metadata)
    copied.subgraphs = [copy(subgraph) for subgraph in model.subgraphs]
    for subgraph in copied.subgraphs:
        subgraph.tensors = [copy(tensor) for tensor in subgraph.tensors or []]
        subgraph.operators = [copy(operator) for operator in subgraph.operators or []]
    return copied


def behind_tables(buffer: Any) -> bool:
    """Say whether a buffer has its data elsewhere in the file; LiteRT's writer marks places not yet known by 1."""
    return bool(min(buffer.offset, buffer.size) > 1)


def _check_references(model: Any) -> None:
    """Refuse indices that point outside of their tables."""
    if not model.subgraphs or not model.operatorCodes or not model.buffers:
        msg = "it has no subgraphs, operators or buffers"
        raise ValueError(msg)
    for subgraph in model.subgraphs:
        tensors = subgraph.tensors or []
        if any(not 0 <= tensor.buffer < len(model.buffers) for tensor in tensors):
            msg = "a tensor names a buffer that does not exist"
            raise ValueError(msg)
        ends = [*indices(subgraph.inputs), *indices(subgraph.outputs)]
        for operator in subgraph.operators or []:
            if not 0 <= operator.opcodeIndex < len(model.operatorCodes):
                msg = "an operator names an operator code that does not exist"
                raise ValueError(msg)
            ends += indices(operator.outputs)
            ends += (index for index in indices(operator.inputs) if index != -1)  # -1: an optional input left out
            ends += (index for index in indices(operator.intermediates) if index != -1)
        if any(not 0 <= index < len(tensors) for index in ends):
            msg = "an operator or subgraph names a tensor that does not exist"
            raise ValueError(msg)


def indices(vector: Any) -> list[int]:
    """Return a vector of indices or sizes, absent or not, as a list."""
    return [] if vector is None else [int(index) for index in vector]


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data lies at a multiple of ALIGNMENT in the file."""

    def Pack(self, builder: "_SharingBuilder") -> int:  # noqa: N802 - the schema's own name
        data = None
        if self.data is not None:
            payload = bytes(self.data)
            builder.StartVector(1, len(payload), ALIGNMENT)
            builder.head -= len(payload)
            builder.Bytes[builder.head : builder.head + len(payload)] = payload
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Write equal vectors and equal tables once.

    A vector of plain numbers means the same wherever it lies, so a second one with the same bytes and the same
    alignment is taken back and the first one's offset returned. Vectors of offsets depend on where they lie. A table
    means the same if its numbers are equal and its offsets lead to the same places: so do the tables of tensors that
    are quantized alike, and of operators with the same options.
    """

    head: int
    current_vtable: list[int] | None

    def __init__(self) -> None:
        super().__init__(1 << 16)
        self._written: dict[tuple[int, bytes], int] = {}
        self._start: tuple[int, int, int] | None = None  # where the vector begins, its bytes, its alignment
        self._tables: dict[tuple[tuple[int, ...], bytes, tuple[tuple[int, int], ...]], int] = {}
        self._targets: dict[int, int] = {}  # of the table that is being written: where its offsets lead, by field

    def StartObject(self, numfields: int) -> None:  # noqa: N802
        self.Prep(4, 0)  # so that equal tables have equal bytes, and share their layout
        self._targets = {}
        super().StartObject(numfields)

    def PrependUOffsetTRelativeSlot(self, o: int, x: int, d: int) -> None:  # noqa: N802
        super().PrependUOffsetTRelativeSlot(o, x, d)
        if x != d:
            self._targets[o] = x

    def EndObject(self) -> int:  # noqa: N802
        begin, size = self.objectEnd, self.Offset() - self.objectEnd
        content = bytearray(self.Bytes[self.head : self.head + size])
        places = tuple(place and place - begin for place in self.current_vtable or ())
        for field in self._targets:  # an offset is written as a distance from its own place
            content[size - places[field] : size - places[field] + 4] = bytes(4)
        key = (places, bytes(content), tuple(sorted(self._targets.items())))
        if key in self._tables:
            self.head = len(self.Bytes) - begin
            self.current_vtable, self.nested = None, False
        else:
            self._tables[key] = int(super().EndObject())
        return self._tables[key]

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803
        before = self.Offset()
        result = int(super().StartVector(elemSize, numElems, alignment))
        self._start = (before, elemSize * numElems, max(alignment, 4))
        return result

    def PrependUOffsetTRelative(self, off: int) -> None:  # noqa: N802
        self._start = None
        super().PrependUOffsetTRelative(off)

    def EndVector(self) -> int:  # noqa: N802
        offset = int(super().EndVector())
        if self._start is None:
            return offset
        before, size, alignment = self._start
        self._start = None
        key = (alignment, bytes(self.Bytes[self.head : self.head + 4 + size]))  # 4: the length in front
        first = self._written.setdefault(key, offset)
        if first != offset:
            self.head = len(self.Bytes) - before
        return first


def store(model: Any) -> bytes:
    """Pack an object tree: equal vectors and tables are shared and every buffer's data is aligned to ALIGNMENT."""
    for index, buffer in enumerate(model.buffers):
        model.buffers[index] = _AlignedBuffer(data=buffer.data)
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _names(enumeration: type) -> dict[int, str]:
    """Turn one of the schema's enumerations around."""
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


_BUILTINS: Final = _names(schema.BuiltinOperator)
_TYPES: Final = _names(schema.TensorType)


def builtin_name(code: int) -> str:
    """Return the schema's name of a builtin operator, such as CONV_2D."""
    return _BUILTINS.get(code, f"builtin {code}")


def op_name(code: Any) -> str:
    """Return the name of an operator code: the schema's for a builtin, its own for a custom op."""
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin == schema.BuiltinOperator.CUSTOM:
        return bytes(code.customCode or b"?").decode("utf-8", "replace")
    return builtin_name(builtin)


def packed_tensors(subgraph: Any, codes: Any) -> set[int]:
    """Return the tensors that only TFLM_DECODE reads: packed bytes, with the quantization of what they unpack to."""
    packed: set[int] = set()
    others = {-1, *indices(subgraph.inputs), *indices(subgraph.outputs)}
    for operator in subgraph.operators or []:
        decodes = op_name(codes[operator.opcodeIndex]) == "TFLM_DECODE"
        (packed if decodes else others).update(indices(operator.inputs))
    return packed - others


def tensor_type_name(code: int) -> str:
    """Return the schema's name of an element type in lower case, such as int8."""
    return _TYPES.get(code, f"type {code}").lower()
