# SPDX-License-Identifier: Apache-2.0
"""Make TensorFlow Lite models by hand, without TensorFlow and without our compiler."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES = {
    "float32": 0, "float16": 1, "int32": 2, "int64": 4, "string": 5, "bool": 6, "int16": 7, "int8": 9, "resource": 13,
    "uint32": 15, "int4": 17,
}  # fmt: skip

schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
flatbuffers: Any = importlib.import_module("flatbuffers")


class Tensor(NamedTuple):
    """A tensor of a model to be built; with `data` a constant. Several scales are one per channel, along `axis`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: Any = 0.0
    zero_point: int = 0
    data: np.ndarray[Any, Any] | None = None
    variable: bool = False
    axis: int = 0


class Op(NamedTuple):
    """An operator over tensor indices, with the class name and fields of its options; any unknown code is custom."""

    code: str
    options: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    settings: Mapping[str, Any] = MappingProxyType({})


class Model(NamedTuple):
    """A model to be built: tensors, operators, and which tensors go in and come out."""

    name: str
    tensors: list[Tensor]
    ops: list[Op]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arena_size: int


def _tensor_table(model: Model, buffers: list[Any]) -> list[Any]:
    tables = []
    for tensor in model.tensors:
        table = schema.TensorT()
        table.name = tensor.name
        table.shape = list(tensor.shape)
        table.type = TYPES[tensor.dtype]
        if tensor.scale:
            table.quantization = schema.QuantizationParametersT()
            scales = tensor.scale if isinstance(tensor.scale, tuple) else (tensor.scale,)
            table.quantization.scale = list(scales)
            table.quantization.zeroPoint = [tensor.zero_point] * len(scales)
            table.quantization.quantizedDimension = tensor.axis
        if tensor.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(tensor.data.tobytes(), np.uint8)
            table.buffer = len(buffers)
            buffers.append(buffer)
        table.isVariable = tensor.variable
        tables.append(table)
    return tables


def flatbuffer(model: Model) -> bytes:
    """Return the model as a TensorFlow Lite flatbuffer."""
    root, subgraph, buffers = schema.ModelT(), schema.SubGraphT(), [schema.BufferT()]
    subgraph.tensors = _tensor_table(model, buffers)
    subgraph.inputs, subgraph.outputs, subgraph.operators = list(model.inputs), list(model.outputs), []
    root.version, root.subgraphs, root.buffers, root.operatorCodes = 3, [subgraph], buffers, []
    for index, op in enumerate(model.ops):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, op.code, schema.BuiltinOperator.CUSTOM)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode = None if hasattr(schema.BuiltinOperator, op.code) else op.code
        code.version = 1
        root.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = index, list(op.inputs), list(op.outputs)
        if op.options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, op.options)
            operator.builtinOptions = getattr(schema, f"{op.options}T")()
            vars(operator.builtinOptions).update(op.settings)
        subgraph.operators.append(operator)
    builder = flatbuffers.Builder(1024)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())
