# SPDX-License-Identifier: Apache-2.0
"""Give weights a scale at which their bias has a place in its integer type.

A bias has the scale of the input times that of the weights. Where a filter is all zeros, or close to it, its scale is
so small that the bias leaves the range; cut off there, or wrapped, it turns the channel into another one.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import indices, op_name, schema, tensor_type_name

__all__ = ["hold_biases"]

_OPERANDS: Final = {
    "CONV_2D": (0, 1, 2), "DEPTHWISE_CONV_2D": (0, 1, 2), "FULLY_CONNECTED": (0, 1, 2), "TRANSPOSE_CONV": (2, 1, 3),
}  # fmt: skip
"""Where these operators have input, weights and bias."""

_LIMIT: Final = float(1 << 30)
"""The largest bias. In int32, the products that are added to it need room as well; int64 has more, but kernels take a
multiplier below 2^-31 for 0, and a bias of one step of the output then needs one that is not."""


def hold_biases(model: Any, constants: Mapping[bytes, Array]) -> None:
    """Enlarge, in place, the scales of weights that are too small for a bias, and quantize both again.

    Args:
        model: an unpacked model with int8 weights.
        constants: the float model's weights and biases, in their shapes, by the name of the tensor.
    """
    for subgraph in model.subgraphs:
        layers = [operands for operator in subgraph.operators if (operands := _operands(model, subgraph, operator))]
        layers = [layer for layer in layers if layer[1].name in constants and layer[2].name in constants]
        before = {id(weights): weights.quantization.scale for _, weights, _ in layers}
        for source, weights, bias in layers:
            given = weights.quantization.scale
            needed = np.abs(constants[bias.name]) / (source.quantization.scale[0] * _LIMIT)
            weights.quantization.scale = np.maximum(given, needed if len(given) > 1 else needed.max()).astype("<f4")
        for source, weights, bias in layers:
            scale = weights.quantization.scale
            if np.array_equal(scale, before[id(weights)]):
                continue
            along = [1] * len(weights.shape)
            along[weights.quantization.quantizedDimension if len(scale) > 1 else 0] = len(scale)
            quantized = np.round(constants[weights.name] / scale.astype(np.float64).reshape(along))
            _write(model, weights, quantized.clip(-127, 127).astype(np.int8))
            bias.quantization.scale = source.quantization.scale[0] * scale
            values = np.round(constants[bias.name] / bias.quantization.scale.astype(np.float64))
            _write(model, bias, values.astype(tensor_type_name(bias.type)))


def _operands(model: Any, subgraph: Any, operator: Any) -> list[Any] | None:
    """Return input, weights and bias of an operator that computes in integers; None for any other."""
    wanted, given = _OPERANDS.get(op_name(model.operatorCodes[operator.opcodeIndex])), indices(operator.inputs)
    if wanted is None or len(given) <= wanted[-1] or given[wanted[-1]] == -1:
        return None
    found = [subgraph.tensors[given[place]] for place in wanted]
    quantized = all(tensor.quantization is not None and tensor.quantization.scale is not None for tensor in found)
    return found if quantized and tensor_type_name(found[2].type) in {"int32", "int64"} else None


def _write(model: Any, tensor: Any, content: Array) -> None:
    """Give a tensor a buffer of its own."""
    tensor.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT(data=np.frombuffer(content.tobytes(), np.uint8)))
