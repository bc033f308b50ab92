# SPDX-License-Identifier: Apache-2.0
"""The one reader of a model's operators and operands: all later stages see them as plain values."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import indices, op_name, tensor_type_name
from tflm_build.model.types import INTERFACE, TYPES, bytes_of
from tflm_build.model.values import Tensor

__all__ = ["Graph", "Operand", "Operator", "Subgraph", "read_graph"]

_NONE: Array = np.zeros(0)


@dataclass(frozen=True, eq=False)
class Operand:
    """A tensor of a subgraph.

    Attributes:
        place: its index in the subgraph.
        type: the element type's name in the schema.
        shape: its sizes.
        buffer: the index of its data: tensors with the same one share it.
        data: the data that the model holds, as bytes of an array; None: it is written while the model runs.
        scales: what it is quantized with: none, one, or one per channel.
        zero_points: as many.
        variable: whether it keeps its elements from one run to the next.
    """

    place: int
    type: str
    shape: tuple[int, ...]
    buffer: int
    data: Any
    scales: Array
    zero_points: Array
    variable: bool

    @property
    def constant(self) -> bool:
        """Whether the model holds the data."""
        return self.data is not None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int | None:
        """Size; None for elements of no fixed size."""
        return bytes_of(self.elements, self.type) if self.type in TYPES else None

    @property
    def array(self) -> Array | None:
        """The data as a flat array; None where there is none, or of a type that numpy lacks."""
        dtype = TYPES[self.type].dtype if self.type in TYPES else None
        if self.data is None or dtype is None:
            return None
        content = bytes(self.data)
        return np.frombuffer(content[: len(content) // dtype.itemsize * dtype.itemsize], dtype)


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator.

    Attributes:
        op: its name in the schema, or the custom op's own.
        layer: its layer's name in the source.
        options: what the schema's object API unpacks its options to.
        inputs: what it reads; None stands for an optional input that is left out.
        outputs: what it writes.
    """

    op: str
    layer: str
    options: Any
    inputs: tuple[Operand | None, ...]
    outputs: tuple[Operand, ...]

    @property
    def reads(self) -> tuple[Operand, ...]:
        """The inputs that are there."""
        return tuple(operand for operand in self.inputs if operand is not None)

    def option(self, name: str) -> int:
        """Return a number of the options; 0, as TFLM takes it, where there are none or those of another op."""
        return int(getattr(self.options, name, 0))


@dataclass(frozen=True, eq=False)
class Subgraph:
    """A subgraph: all its tensors, the places of its inputs and outputs among them, and its operators."""

    operands: tuple[Operand, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """Inputs and outputs of the model, and its subgraphs in the order of the flatbuffer; the first is run."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    subgraphs: tuple[Subgraph, ...]

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """The operators of all subgraphs."""
        return tuple(operator for subgraph in self.subgraphs for operator in subgraph.operators)

    @property
    def quantization(self) -> str:
        """Say what the operators compute with: none (float32), int8, int16x8, or mixed."""
        computing = [operator for operator in self.operators if operator.op not in {"QUANTIZE", "DEQUANTIZE", "FILL"}]
        operands = [operand for operator in computing for operand in (*operator.reads, *operator.outputs)]
        # A kernel chooses the type of its state itself: the cell of an int8 LSTM is int16.
        types = {operand.type for operand in operands if not (operand.constant or operand.variable)}
        types &= {"float32", "int8", "uint8", "int16"}
        if types <= {"float32"}:
            return "none"
        return {frozenset({"int8"}): "int8", frozenset({"int16"}): "int16x8"}.get(frozenset(types), "mixed")


def read_graph(
    tree: Any, layers: tuple[tuple[str, ...], ...], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> Graph:
    """Read an unpacked model.

    Args:
        tree: what the flatbuffer unpacks to.
        layers: per subgraph, per operator: the name of its layer.
        inputs: names of the model's inputs.
        outputs: names of the model's outputs.

    Raises:
        TflmBuildError: an input or output has a type or shape that firmware cannot pass.
    """
    subgraphs = tuple(_subgraph(tree, subgraph, names) for subgraph, names in zip(tree.subgraphs, layers, strict=True))
    main = subgraphs[0]
    if not main.inputs or not main.outputs:
        msg = f"the model has {len(main.inputs)} inputs and {len(main.outputs)} outputs; at least one of each is needed"
        raise TflmBuildError(msg)
    return Graph(
        tuple(_interface(main, place, name) for place, name in zip(main.inputs, inputs, strict=True)),
        tuple(_interface(main, place, name) for place, name in zip(main.outputs, outputs, strict=True)),
        subgraphs,
    )


def _subgraph(tree: Any, subgraph: Any, layers: tuple[str, ...]) -> Subgraph:
    """Read a subgraph."""
    operands = tuple(_operand(tree, place, tensor) for place, tensor in enumerate(subgraph.tensors or []))
    return Subgraph(
        operands,
        tuple(indices(subgraph.inputs)),
        tuple(indices(subgraph.outputs)),
        tuple(
            Operator(
                op=op_name(tree.operatorCodes[operator.opcodeIndex]),
                layer=layer,
                options=operator.builtinOptions,
                inputs=tuple(None if place == -1 else operands[place] for place in indices(operator.inputs)),
                outputs=tuple(operands[place] for place in indices(operator.outputs)),
            )
            for operator, layer in zip(subgraph.operators or [], layers, strict=True)
        ),
    )


def _operand(tree: Any, place: int, tensor: Any) -> Operand:
    """Read a tensor; data of no bytes is none."""
    data = tree.buffers[tensor.buffer].data
    parameters = tensor.quantization
    scales = None if parameters is None else parameters.scale
    zero_points = None if parameters is None else parameters.zeroPoint
    return Operand(
        place=place,
        type=tensor_type_name(tensor.type),
        shape=tuple(indices(tensor.shape)),
        buffer=tensor.buffer,
        data=data if data is not None and len(data) else None,
        scales=_NONE if scales is None else np.asarray(scales),
        zero_points=_NONE if zero_points is None else np.asarray(zero_points),
        variable=bool(tensor.isVariable),
    )


def _interface(main: Subgraph, place: int, name: str) -> Tensor:
    """Return an input or output as firmware sees it."""
    operand = main.operands[place]
    kind, shape = operand.type, operand.shape
    if kind not in INTERFACE:
        msg = f"tensor '{name}' has elements of {kind}; allowed: {', '.join(INTERFACE)}; change the model's signature"
        raise TflmBuildError(msg)
    if any(size < 1 for size in shape):
        msg = f"tensor '{name}' has shape {shape}; TFLM needs fixed, positive sizes; fix the model's input shape"
        raise TflmBuildError(msg)
    scale = float(operand.scales[0]) if len(operand.scales) else 0.0
    if len(operand.scales) and not (np.isfinite(scale) and scale > 0):
        msg = f"tensor '{name}' has scale {scale}; a positive, finite number is allowed; convert the model again"
        raise TflmBuildError(msg)
    zero_point = int(operand.zero_points[0]) if scale and len(operand.zero_points) else 0
    lowest, highest = TYPES[kind].zero_points
    if scale and kind in {"int8", "uint8", "int16", "int32"} and not lowest <= zero_point <= highest:
        msg = f"tensor '{name}' has zero point {zero_point}; allowed for {kind}: {lowest} to {highest}"
        raise TflmBuildError(msg)
    return Tensor(name, kind, shape, scale, zero_point, _step(main, operand))


def _step(main: Subgraph, operand: Operand) -> float:
    """Return the scale of the integers behind QUANTIZE, or before DEQUANTIZE; 0 where there are none."""
    if operand.type != "float32":
        return 0.0
    for operator in main.operators:
        for op, mine, theirs in (
            ("QUANTIZE", operator.reads, operator.outputs),
            ("DEQUANTIZE", operator.outputs, operator.reads),
        ):
            if operator.op == op and operand in mine and theirs and len(theirs[0].scales):
                return float(theirs[0].scales[0])
    return 0.0
