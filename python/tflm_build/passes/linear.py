# SPDX-License-Identifier: Apache-2.0
"""Layers whose outputs are sums of products, in one form: what passes have to know of their weights and their edges."""

from dataclasses import dataclass

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import integers
from tflm_build.model.graph import Operand, Operator
from tflm_build.model.padding import padding_before

__all__ = ["Linear", "edges", "read_linear"]

_DENSE, _DEPTHWISE = frozenset({"CONV_2D", "FULLY_CONNECTED"}), "DEPTHWISE_CONV_2D"
_INT32_END = 1 << 31


@dataclass(frozen=True, eq=False)
class Linear:
    """CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED of integers.

    Attributes:
        weights: int64 (outputs, taps, inputs); the places of a kernel are its taps, as are the repetitions of the
            channels in a flat input. Of DEPTHWISE_CONV_2D each output has one input.
        bias: int64 (outputs,).
        inside: (taps,) whether a tap ever lies on the image.
        outside: (taps,) whether a tap ever lies on the padding.
        multiplier: outputs for each input of DEPTHWISE_CONV_2D; 0: every output reads every input.
        factor: (outputs,) what the sums are multiplied by.
        wide: whether sums have 64 bits.
    """

    weights: Array
    bias: Array
    inside: Array
    outside: Array
    multiplier: int
    factor: Array
    wide: bool

    def sums(self, low: Array, high: Array) -> tuple[Array, Array, Array]:
        """Bound the sums.

        Args:
            low: int64 (inputs of the layer,) the smallest elements, the zero point subtracted.
            high: the largest.

        Returns:
            The smallest sums, the largest, and where an int32 could wrap around, whatever is added first.
        """
        if self.multiplier:
            low, high = (np.repeat(end, self.multiplier)[:, None, None] for end in (low, high))
        edge, dead = self.outside[None, :, None], ~self.inside[None, :, None]
        low = np.where(dead, 0, np.where(edge, np.minimum(low, 0), low))
        high = np.where(dead, 0, np.where(edge, np.maximum(high, 0), high))
        one, other = self.weights * low, self.weights * high
        least, most = np.minimum(one, other), np.maximum(one, other)
        bottom = np.minimum(least, 0).sum(axis=(1, 2)) + np.minimum(self.bias, 0)
        top = np.maximum(most, 0).sum(axis=(1, 2)) + np.maximum(self.bias, 0)
        wraps = ((top >= _INT32_END) | (bottom < -_INT32_END)) & (not self.wide)
        return least.sum(axis=(1, 2)) + self.bias, most.sum(axis=(1, 2)) + self.bias, wraps


def read_linear(operator: Operator) -> Linear | None:
    """Read a layer of int8 or int16 elements with int8 weights; None for any other."""
    dense = operator.op in _DENSE
    if not dense and operator.op != _DEPTHWISE:
        return None
    source, kernel, bias = (*operator.inputs, None)[:3]
    output = operator.outputs[0]
    if source is None or kernel is None or not _quantized(source, output) or kernel.type != "int8":
        return None
    weights = integers(kernel)
    known = weights is not None and len(kernel.scales) and not kernel.zero_points.any()
    if not known or (bias is not None and bias.array is None):
        return None
    if source.type == "int16" and not dense and bias is not None and bias.type != "int64":
        return None  # TFLM takes whatever the bias is for int64
    outputs, channels = kernel.shape[0 if dense else -1], source.shape[-1]
    columns = kernel.shape[-1] if dense else channels
    if output.shape[-1] != outputs or len(kernel.scales) not in {1, outputs} or not channels or columns % channels:
        return None
    assert weights is not None
    weights = weights.astype(np.int64)
    if operator.op == "FULLY_CONNECTED":
        taps = columns // channels
        weights, inside, outside = weights.reshape(outputs, taps, channels), np.ones(taps, bool), np.zeros(taps, bool)
    else:
        if columns != channels or outputs % (1 if dense else channels) or len(source.shape) != 4:  # noqa: PLR2004 - an image
            return None
        if not dense and operator.option("depthMultiplier") != outputs // channels:
            return None
        inside, outside = (flags.reshape(-1) for flags in edges(operator))
        weights = weights.reshape(outputs, -1, channels) if dense else weights.reshape(-1, outputs).T[:, :, None]
    products = float(source.scales[0]) * kernel.scales.astype(np.float64)
    return Linear(
        weights=weights,
        bias=np.zeros(outputs, np.int64) if bias is None else _array(bias).astype(np.int64),
        inside=inside,
        outside=outside,
        multiplier=0 if dense else outputs // channels,
        factor=np.broadcast_to(products / float(output.scales[0]), (outputs,)),
        wide=source.type == "int16" and (bias is None or bias.type == "int64"),
    )


def _array(operand: Operand) -> Array:
    """Return the data of a constant."""
    assert operand.array is not None
    return operand.array


def _quantized(source: Operand, output: Operand) -> bool:
    """Say whether both are of one integer type with one scale each, and written while the model runs."""
    alike = source.type == output.type and source.type in {"int8", "int16"} and not source.constant
    return alike and len(source.scales) == len(output.scales) == 1 and bool(source.shape and output.shape)


def edges(operator: Operator) -> tuple[Array, Array]:
    """Return for each tap of a kernel (height, width) whether it ever lies on the image, and ever on the padding."""
    (source, kernel), output = operator.reads[:2], operator.outputs[0]
    sides = []
    for axis, side in ((1, "H"), (2, "W")):
        before, stride, dilation = padding_before(operator, axis, side)
        starts = np.arange(output.shape[axis]) * stride - before
        places = starts[None, :] + np.arange(kernel.shape[axis])[:, None] * dilation
        on_image = (places >= 0) & (places < source.shape[axis])
        sides.append((np.asarray(on_image.any(axis=1)), np.asarray(~on_image.all(axis=1))))
    (rows_in, rows_out), (columns_in, columns_out) = sides
    return rows_in[:, None] & columns_in, rows_out[:, None] | columns_out
