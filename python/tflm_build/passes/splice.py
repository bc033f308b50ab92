# SPDX-License-Identifier: Apache-2.0
"""Put recurrent layers, as TFLM's own operators, into a model that was converted without them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import indices, load, op_name, schema, store
from tflm_build.model.recurrent import Recurrent

__all__ = ["Place", "splice"]

_TYPES: Final = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
}
_ACTIVATIONS: Final = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8}
_CELL_POWERS: Final = (0, 6)
"""The cell's state reaches a power of two: 2^6 at most, for TFLM, where its tanh is 1 long before; 2^0 at least, for
LiteRT, whose tanh of less is 1 everywhere."""


@dataclass(frozen=True)
class Place:
    """Where a layer belongs: the places of what it writes among the model's inputs, and of what it reads among its
    outputs.
    """

    writes: int
    reads: int


def splice(flatbuffer: bytes, layers: Sequence[Recurrent], places: Sequence[Place]) -> bytes:
    """Join a model and the recurrent layers that were cut out of it.

    Args:
        flatbuffer: the model, of which each layer's output is an input, and its input is an output: both of one type,
            or of real numbers behind a QUANTIZE and in front of a DEQUANTIZE, which are taken off.
        layers: in the order in which they run.
        places: where each belongs.

    Returns:
        The model without these inputs and outputs. A layer begins each run of the model with a state of zeros, which
        two operators write, unless it is stateful: TFLM's kernel alone would go on from where the last run ended.
    """
    work = _Work(load(flatbuffer))
    main = work.main
    inputs, outputs = indices(main.inputs), indices(main.outputs)
    ends = [(work.after_quantize(inputs[at.writes]), work.before_dequantize(outputs[at.reads])) for at in places]
    taken, given = {at.writes for at in places}, {at.reads for at in places}
    main.inputs = [tensor for place, tensor in enumerate(inputs) if place not in taken]
    main.outputs = [tensor for place, tensor in enumerate(outputs) if place not in given]
    for layer, (written, read) in zip(layers, ends, strict=True):
        _insert(work, layer, read, written)
    work.order()
    work.join_reshapes()
    return store(work.model)


class _Work:
    """A model that is changed."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.main = model.subgraphs[0]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: Any,
        scaling: tuple[float, int] | None = None,
        data: Array | None = None,
        *,
        variable: bool = False,
    ) -> int:
        """Add a tensor; return its place."""
        tensor = schema.TensorT(name=name.encode(), shape=list(shape), type=kind, isVariable=variable, hasRank=True)
        if scaling is not None:
            scale, zero_point = scaling
            tensor.quantization = schema.QuantizationParametersT(
                scale=np.array([scale], np.float32), zeroPoint=np.array([zero_point], np.int64)
            )
        tensor.buffer = 0
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
        self.main.tensors.append(tensor)
        return len(self.main.tensors) - 1

    def constant(self, name: str, data: Array, scaling: tuple[float, int] | None = None) -> int:
        """Add a constant; return its place."""
        return self.tensor(name, data.shape, _TYPES[data.dtype], scaling, data)

    def operator(
        self, op: str, inputs: Sequence[int], output: int, kind: str = "", version: int = 1, **options: Any
    ) -> Any:
        """Add an operator; return it."""
        code = getattr(schema.BuiltinOperator, op)
        known = [op_name(entry) == op and entry.version == version for entry in self.model.operatorCodes]
        if not any(known):
            entry = schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=version)
            self.model.operatorCodes.append(entry)
            known.append(True)
        operator = schema.OperatorT(opcodeIndex=known.index(True), inputs=list(inputs), outputs=[output])
        if kind:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
            for name, value in options.items():
                setattr(operator.builtinOptions, name, value)
        self.main.operators.append(operator)
        return operator

    def named(self, operator: Any) -> str:
        """Return the name of an operator's op."""
        return op_name(self.model.operatorCodes[operator.opcodeIndex])

    def scaling(self, place: int) -> tuple[float, int]:
        """Return scale and zero point of a tensor."""
        found = self.main.tensors[place].quantization
        return float(found.scale[0]), int(found.zeroPoint[0])

    def writer(self, place: int) -> Any:
        """Return the operator that writes a tensor, None for none."""
        return next((found for found in self.main.operators if place in indices(found.outputs)), None)

    def readers(self, place: int) -> list[Any]:
        """Return the operators that read a tensor."""
        return [found for found in self.main.operators if place in indices(found.inputs)]

    def after_quantize(self, place: int) -> int:
        """Return an input, or what the QUANTIZE behind it makes of it, which is taken off."""
        readers = self.readers(place)
        if len(readers) != 1 or self.named(readers[0]) != "QUANTIZE":
            return place
        self.main.operators.remove(readers[0])
        return indices(readers[0].outputs)[0]

    def before_dequantize(self, place: int) -> int:
        """Return an output, or what the DEQUANTIZE in front of it is made from, which is taken off."""
        writer = self.writer(place)
        if writer is None or self.named(writer) != "DEQUANTIZE":
            return place
        self.main.operators.remove(writer)
        return indices(writer.inputs)[0]

    def reshape(self, place: int, shape: Sequence[int], target: int | None = None) -> int:
        """Add a RESHAPE, into a tensor that is there or a new one; return that."""
        source = self.main.tensors[place]
        scaling = None if source.type == schema.TensorType.FLOAT32 else self.scaling(place)
        if target is None:
            target = self.tensor(f"{bytes(source.name).decode()}/shaped", shape, source.type, scaling)
        sizes = self.constant("shape", np.array(shape, np.int32))
        self.operator("RESHAPE", [place, sizes], target, "ReshapeOptions", newShape=list(shape))
        return target

    def order(self) -> None:
        """Put each operator behind those that it reads from, and otherwise leave the order as it is."""
        waiting = list(self.main.operators)
        ordered: list[Any] = []
        while waiting:
            pending = {place for operator in waiting for place in indices(operator.outputs)}
            ready = next(
                operator
                for operator in waiting
                if not pending.intersection(set(indices(operator.inputs)) - set(indices(operator.outputs)))
            )
            waiting.remove(ready)
            ordered.append(ready)
        self.main.operators = ordered

    def join_reshapes(self) -> None:
        """Leave out RESHAPEs that only another RESHAPE reads, and those that change nothing."""
        for operator in list(self.main.operators):
            source, target = indices(operator.inputs)[:1], indices(operator.outputs)[0]
            if self.named(operator) != "RESHAPE" or target in indices(self.main.outputs):
                continue
            same = indices(self.main.tensors[source[0]].shape) == indices(self.main.tensors[target].shape)
            readers = self.readers(target)
            if same or all(self.named(reader) == "RESHAPE" for reader in readers):
                for reader in readers:
                    reader.inputs = [source[0] if place == target else place for place in indices(reader.inputs)]
                self.main.operators.remove(operator)


def _insert(work: _Work, layer: Recurrent, read: int, written: int) -> None:
    """Add the operators of one layer."""
    kind = work.main.tensors[read].type
    floating = kind == schema.TensorType.FLOAT32
    sequences = work.reshape(read, (layer.batch, layer.steps, layer.features))
    answer = _lstm(work, layer, sequences, kind, None if floating else work.scaling(written))
    flat = indices(work.main.tensors[written].shape)
    if not floating and work.scaling(answer) != work.scaling(written):
        shape = indices(work.main.tensors[answer].shape)
        scaled = work.tensor(f"{layer.layer}/scaled", shape, kind, work.scaling(written))
        work.operator("QUANTIZE", [answer], scaled, "QuantizeOptions")
        answer = scaled
    work.reshape(answer, flat, written)


def _lstm(work: _Work, layer: Recurrent, sequences: int, kind: Any, scaling: tuple[float, int] | None) -> int:
    """Add a UNIDIRECTIONAL_SEQUENCE_LSTM; return what it writes.

    A state that nobody writes begins with zero bytes, so that it needs the zero point 0.
    """
    names = ("input", "forget", "cell", "output")
    kernels, recurrents, biases = (
        np.split(weights, 4, axis=-1) for weights in (layer.kernel, layer.recurrent, layer.bias)
    )
    cell_kind, cell_scaling = kind, None
    if scaling is not None:
        if layer.stateful and scaling[1]:
            scaling = (layer.output_range / 127, 0)
        power = np.ceil(np.log2(max(layer.cell_range, 1e-3))).clip(*_CELL_POWERS)
        cell_kind, cell_scaling = schema.TensorType.INT16, (2.0 ** (float(power) - 15), 0)
    state = (layer.batch, layer.units)
    hidden = work.tensor(f"{layer.layer}/output_state", state, kind, scaling, variable=True)
    cell = work.tensor(f"{layer.layer}/cell_state", state, cell_kind, cell_scaling, variable=True)
    written = work.tensor(layer.layer, (layer.batch, layer.steps, layer.units), kind, scaling)
    inputs = [sequences]
    step = 0.0 if scaling is None else work.scaling(sequences)[0]
    offsets = []
    for matrices, title in ((kernels, "kernel"), (recurrents, "recurrent_kernel")):
        for matrix, gate in zip(matrices, names, strict=True):
            name = f"{layer.layer}/{gate}_{title}"
            inputs.append(_weights(work, name, np.ascontiguousarray(matrix.T), quantized=scaling is not None))
    for place, (bias, gate) in enumerate(zip(biases, names, strict=True)):
        name = f"{layer.layer}/{gate}_bias"
        if scaling is None:
            offsets.append(work.constant(name, np.ascontiguousarray(bias)))
            continue
        scale = step * work.scaling(inputs[1 + place])[0]
        wide = np.int32 if kind == schema.TensorType.INT8 else np.int64
        offsets.append(work.constant(name, np.round(bias.astype(np.float64) / scale).astype(wide), (scale, 0)))
    inputs += [*[-1] * 3, *offsets, -1, -1, hidden, cell, *[-1] * 4]
    if not layer.stateful:
        _clear(work, layer, hidden, cell)
    operator = work.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs,
        written,
        "UnidirectionalSequenceLSTMOptions",
        fusedActivationFunction=schema.ActivationFunctionType.TANH,
    )
    if kind == schema.TensorType.INT8:  # LiteRT asks for five, and reads the scale of the last one alone
        operator.intermediates = [work.tensor(f"{layer.layer}/intermediate", (0,), kind, scaling)] * 5
    return written


def _clear(work: _Work, layer: Recurrent, hidden: int, cell: int) -> None:
    """Let each run begin with a state of zeros.

    FILL, which TFLM lacks for int16, writes real numbers; QUANTIZE turns a zero into that of each type.
    """
    state = (layer.batch, layer.units)
    if work.main.tensors[cell].type == schema.TensorType.FLOAT32:
        sizes, zero = (
            work.constant("shape", np.array(state, np.int32)),
            work.constant("zero", np.zeros((), np.float32)),
        )
        for tensor in (hidden, cell):
            work.operator("FILL", [sizes, zero], tensor, "FillOptions")
        return
    zeros = work.constant("zeros", np.zeros(state, np.int8), (1.0, 0))
    for tensor in (hidden, cell):
        work.operator("QUANTIZE", [zeros], tensor, "QuantizeOptions")


def _weights(work: _Work, name: str, matrix: Array, *, quantized: bool) -> int:
    """Add weights, as int8 with one scale where they are quantized."""
    if not quantized:
        return work.constant(name, matrix.astype(np.float32))
    scale = float(np.abs(matrix).max()) / 127 or 1.0
    return work.constant(name, np.round(matrix / scale).astype(np.int8), (scale, 0))
