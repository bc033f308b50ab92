# SPDX-License-Identifier: Apache-2.0
"""Put recurrent layers, as TFLM's own operators, into a model that was converted without them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import indices, load, schema, store
from tflm_build.model.recurrent import Recurrent
from tflm_build.passes.draft import Draft, Scaling

__all__ = ["Place", "splice"]

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
    work = Draft(load(flatbuffer))
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


def _insert(work: Draft, layer: Recurrent, read: int, written: int) -> None:
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


def _lstm(work: Draft, layer: Recurrent, sequences: int, kind: Any, scaling: Scaling) -> int:
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


def _clear(work: Draft, layer: Recurrent, hidden: int, cell: int) -> None:
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


def _weights(work: Draft, name: str, matrix: Array, *, quantized: bool) -> int:
    """Add weights, as int8 with one scale where they are quantized."""
    if not quantized:
        return work.constant(name, matrix.astype(np.float32))
    scale = float(np.abs(matrix).max()) / 127 or 1.0
    return work.constant(name, np.round(matrix / scale).astype(np.int8), (scale, 0))
