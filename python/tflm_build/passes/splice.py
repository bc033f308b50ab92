# SPDX-License-Identifier: Apache-2.0
"""Put recurrent layers, as TFLM's own operators, into a model that was converted without them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tflm_build.model.flatbuffer import indices, load, schema, store
from tflm_build.model.recurrent import LstmWeights, Recurrent
from tflm_build.passes.editor import Editor, Scaling
from tflm_build.passes.loop import insert_loop, weights, wide_bias

__all__ = ["Place", "splice"]

_CELL_POWERS: Final = (0, 6)
"""The cell's state reaches a power of two: 2^6 at most, for TFLM, where its tanh is 1 long before; 2^0 at least, for
LiteRT, whose tanh of less is 1 everywhere."""


@dataclass(frozen=True)
class Place:
    """Where a layer belongs.

    Attributes:
        writes: the place of what it writes among the model's inputs.
        reads: the place of what it reads among the model's outputs.
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
    draft = Editor(load(flatbuffer))
    inputs, outputs = draft.inputs, draft.outputs
    ends = [(draft.after_quantize(inputs[at.writes]), draft.before_dequantize(outputs[at.reads])) for at in places]
    taken, given = {at.writes for at in places}, {at.reads for at in places}
    draft.inputs = [tensor for place, tensor in enumerate(inputs) if place not in taken]
    draft.outputs = [tensor for place, tensor in enumerate(outputs) if place not in given]
    for layer, (written, read) in zip(layers, ends, strict=True):
        _insert(draft, layer, read, written)
    draft.order()
    draft.join_reshapes()
    return store(draft.tree)


def _insert(draft: Editor, layer: Recurrent, read: int, written: int) -> None:
    """Add the operators of one layer."""
    if layer.fused is None:
        answer = insert_loop(draft, layer, draft.reshape(read, (layer.steps, layer.features)))
    else:
        sequences = draft.reshape(read, (layer.batch, layer.steps, layer.features))
        answer = _lstm(draft, layer, layer.fused, sequences, draft.step(written))
    made, wanted = draft.tensor(answer), draft.tensor(written)
    if made.type != wanted.type or draft.step(answer) != draft.step(written):
        name = f"{layer.layer}/scaled"
        scaled = draft.add_tensor(name, indices(made.shape), wanted.type, draft.step(written))
        draft.add_operator("QUANTIZE", [answer], scaled)
        answer = scaled
    draft.reshape(answer, indices(draft.tensor(written).shape), written)


def _lstm(draft: Editor, layer: Recurrent, given: LstmWeights, sequences: int, scaling: Scaling) -> int:
    """Add a UNIDIRECTIONAL_SEQUENCE_LSTM; return what it writes.

    A state that nobody writes begins with zero bytes, so that it needs the zero point 0.
    """
    kind = draft.tensor(sequences).type
    cell_kind, cell_scaling = kind, None
    if scaling is not None:
        output, cell_range = (max(abs(seen.low), abs(seen.high)) for seen in layer.seen)
        if layer.stateful and scaling[1]:
            scaling = (output / 127 or 1.0, 0)
        power = np.ceil(np.log2(max(cell_range, 1e-3))).clip(*_CELL_POWERS)
        cell_kind, cell_scaling = schema.TensorType.INT16, (2.0 ** (float(power) - 15), 0)
    state = (layer.batch, layer.units)
    hidden = draft.add_tensor(f"{layer.layer}/output_state", state, kind, scaling, variable=True)
    cell = draft.add_tensor(f"{layer.layer}/cell_state", state, cell_kind, cell_scaling, variable=True)
    written = draft.add_tensor(layer.layer, (layer.batch, layer.steps, layer.units), kind, scaling)
    kernels, recurrents = (
        [
            weights(draft, f"{layer.layer}/{title}", np.ascontiguousarray(matrix.T), quantized=scaling is not None)
            for matrix in np.split(matrices, 4, axis=-1)
        ]
        for matrices, title in ((given.kernel, "kernel"), (given.recurrent, "recurrent_kernel"))
    )
    biases = [
        wide_bias(draft, f"{layer.layer}/bias", bias, sequences, kernel, kind)
        for bias, kernel in zip(np.split(given.bias, 4), kernels, strict=True)
    ]
    if not layer.stateful:
        _clear(draft, layer, hidden, cell)
    operator = draft.add_operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [sequences, *kernels, *recurrents, *[-1] * 3, *biases, -1, -1, hidden, cell, *[-1] * 4],
        written,
        fusedActivationFunction=schema.ActivationFunctionType.TANH,
    )
    if kind == schema.TensorType.INT8:  # LiteRT asks for five, and reads the scale of the last one alone
        operator.intermediates = [draft.add_tensor(f"{layer.layer}/intermediate", (0,), kind, scaling)] * 5
    return written


def _clear(draft: Editor, layer: Recurrent, hidden: int, cell: int) -> None:
    """Let each run begin with a state of zeros.

    FILL, which TFLM lacks for int16, writes real numbers; QUANTIZE turns a zero into that of each type.
    """
    state = (layer.batch, layer.units)
    if draft.tensor(cell).type == schema.TensorType.FLOAT32:
        sizes = draft.add_constant("shape", np.array(state, np.int32))
        zero = draft.add_constant("zero", np.zeros((), np.float32))
        for tensor in (hidden, cell):
            draft.add_operator("FILL", [sizes, zero], tensor)
        return
    nothing = draft.add_constant("zeros", np.zeros(state, np.int8), (1.0, 0))
    for tensor in (hidden, cell):
        draft.add_operator("QUANTIZE", [nothing], tensor)
