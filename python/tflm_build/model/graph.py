# SPDX-License-Identifier: Apache-2.0
"""The model as the later stages see it: tensors and operators as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import indices, load, op_name, tensor_type_name
from tflm_build.passes.canonical import Canonical

__all__ = ["Graph", "Operand", "Operator", "Tensor", "read_graph", "write_shape"]

_DTYPES = {
    "float32": np.float32, "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "int32": np.int32,
    "int64": np.int64, "bool": np.bool_,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """An input or output of the model.

    Attributes:
        name, type, shape: as in the signature.
        scale, zero_point: `real = scale * (element - zero_point)`; scale 0: not quantized.
        step: for real numbers the scale of the integers that the model quantizes them to, or dequantizes them from; 0
            for all else.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    step: float = 0.0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type, as numpy's."""
        return np.dtype(_DTYPES[self.type])

    @property
    def bytes(self) -> int:
        """Size of one tensor."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True)
class Operand:
    """What an operator reads or writes.

    Attributes:
        type: the element type's name in the schema.
        constant: whether the model holds the data.
        scales: how many it is quantized with: more than one for a scale per channel.
    """

    type: str
    constant: bool
    scales: int


@dataclass(frozen=True)
class Operator:
    """One operator: its name in the schema (or the custom op's own) and its layer's name in the source."""

    op: str
    layer: str
    reads: tuple[Operand, ...]
    writes: tuple[Operand, ...]


@dataclass(frozen=True)
class Graph:
    """Inputs and outputs of the model, and the operators of all its subgraphs, in the order of the flatbuffer."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]

    @property
    def quantization(self) -> str:
        """Say what the operators compute with: none (float32), int8, int16x8, or mixed."""
        computing = [operator for operator in self.operators if operator.op not in {"QUANTIZE", "DEQUANTIZE"}]
        operands = [operand for operator in computing for operand in (*operator.reads, *operator.writes)]
        types = {operand.type for operand in operands if not operand.constant} & {"float32", "int8", "uint8", "int16"}
        if types <= {"float32"}:
            return "none"
        return {frozenset({"int8"}): "int8", frozenset({"int16"}): "int16x8"}.get(frozenset(types), "mixed")


def write_shape(shape: Sequence[int]) -> str:
    """Write a shape for people."""
    return "x".join(map(str, shape)) or "scalar"


def read_graph(canonical: Canonical) -> Graph:
    """Read a canonical model.

    Raises:
        TflmBuildError: an input or output has a type or shape that firmware cannot pass.
    """
    model = load(canonical.flatbuffer)
    main = model.subgraphs[0]
    inputs, outputs = indices(main.inputs), indices(main.outputs)
    if not inputs or not outputs:
        msg = f"the model has {len(inputs)} inputs and {len(outputs)} outputs; at least one of each is needed"
        raise TflmBuildError(msg)
    return Graph(
        inputs=tuple(_end(model, index, name) for index, name in zip(inputs, canonical.inputs, strict=True)),
        outputs=tuple(_end(model, index, name) for index, name in zip(outputs, canonical.outputs, strict=True)),
        operators=tuple(
            Operator(
                op=op_name(model.operatorCodes[operator.opcodeIndex]),
                layer=layer,
                reads=_operands(model, subgraph, operator.inputs),
                writes=_operands(model, subgraph, operator.outputs),
            )
            for subgraph, layers in zip(model.subgraphs, canonical.layers, strict=True)
            for operator, layer in zip(subgraph.operators or [], layers, strict=True)
        ),
    )


def _operands(model: Any, subgraph: Any, ends: Any) -> tuple[Operand, ...]:
    """Read what an operator reads or writes; -1 stands for an optional input that is left out."""
    tensors = [subgraph.tensors[index] for index in indices(ends) if index != -1]
    return tuple(
        Operand(
            type=tensor_type_name(tensor.type),
            constant=model.buffers[tensor.buffer].data is not None,
            scales=0 if tensor.quantization is None else len(tensor.quantization.scale),
        )
        for tensor in tensors
    )


def _end(model: Any, index: int, name: str) -> Tensor:
    """Read an input or output, and the step of its integers behind QUANTIZE or before DEQUANTIZE."""
    main = model.subgraphs[0]
    result = _tensor(main.tensors[index], name)
    for operator in main.operators or []:
        op = op_name(model.operatorCodes[operator.opcodeIndex])
        ends = [*indices(operator.inputs), *indices(operator.outputs)]
        if (op, ends.index(index) if index in ends else -1) in {("QUANTIZE", 0), ("DEQUANTIZE", 1)} and result.type == "float32":
            (other,) = (end for end in ends if end != index)
            return replace(result, step=_quantization(main.tensors[other], name)[0])
    return result


def _tensor(tensor: Any, name: str) -> Tensor:
    """Read one input or output."""
    kind = tensor_type_name(tensor.type)
    if kind not in _DTYPES:
        msg = f"tensor '{name}' has elements of {kind}; allowed: {', '.join(_DTYPES)}; change the model's signature"
        raise TflmBuildError(msg)
    shape = tuple(indices(tensor.shape))
    if any(size < 1 for size in shape):
        msg = f"tensor '{name}' has shape {shape}; TFLM needs fixed, positive sizes; fix the model's input shape"
        raise TflmBuildError(msg)
    scale, zero_point = _quantization(tensor, name)
    result = Tensor(name, kind, shape, scale, zero_point)
    if scale and result.dtype.kind in "iu":
        limits = np.iinfo(result.dtype)
        if not limits.min <= zero_point <= limits.max:
            msg = f"tensor '{name}' has zero point {zero_point}; allowed for {kind}: {limits.min} to {limits.max}"
            raise TflmBuildError(msg)
    return result


def _quantization(tensor: Any, name: str) -> tuple[float, int]:
    """Return scale and zero point; (0, 0) for a tensor that is not quantized."""
    parameters = tensor.quantization
    if parameters is None:
        return 0.0, 0
    scale = float(parameters.scale[0])
    if not (np.isfinite(scale) and scale > 0):
        msg = f"tensor '{name}' has scale {scale}; a positive, finite number is allowed; convert the model again"
        raise TflmBuildError(msg)
    zero_points = parameters.zeroPoint
    return scale, int(zero_points[0]) if zero_points is not None and len(zero_points) else 0
