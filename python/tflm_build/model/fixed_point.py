# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of quantized kernels: integers times a real factor that is held as a fraction and a power of two."""

from typing import Any, Final

import numpy as np

from tflm_build.model.flatbuffer import indices, schema

__all__ = ["element_limits", "integers", "multiply_rounding_once", "multiply_rounding_twice", "scaling"]

Array = np.ndarray[Any, Any]

_BITS: Final = 31
_SHORT: Final = 15
"""Bits of the fraction: fewer where the integers have 64 bits, so that the product has no more."""


def multiply_rounding_twice(numbers: Array, factor: Array) -> Array:
    """Multiply by a fraction of 31 bits, then divide by the power of two; round a half away from zero both times.

    Args:
        numbers: integers of 32 bits, as int64.
        factor: real numbers, positive: one, or one for each place of the last axis.
    """
    fractions, exponents = _multipliers(factor)
    products = (numbers << np.maximum(exponents, 0)) * fractions
    highs = np.sign(products) * ((np.abs(products) + (1 << (_BITS - 1)) - (products < 0)) >> _BITS)
    mask = (1 << np.maximum(-exponents, 0)) - 1
    rounded: Array = (highs >> np.maximum(-exponents, 0)) + ((highs & mask) > (mask >> 1) + (highs < 0))
    return rounded


def multiply_rounding_once(numbers: Array, factor: Array) -> Array:
    """Multiply by what 15 bits hold of the fraction, and divide by the power of two; round a half up.

    Args:
        numbers: integers of up to 48 bits, as int64.
        factor: real numbers, positive: one, or one for each place of the last axis.
    """
    fractions, exponents = _multipliers(factor)
    cut, right = _BITS - _SHORT, _SHORT - exponents
    short = np.minimum((fractions + (1 << (cut - 1))) >> cut, (1 << _SHORT) - 1)
    rounded: Array = (numbers * short + (np.int64(1) << (right - 1))) >> right
    return rounded


def _multipliers(factor: Array) -> tuple[Array, Array]:
    """Return a fraction of 31 bits and the exponent of a power of two for each factor."""
    mantissas, exponents = np.frexp(np.asarray(factor, np.float64))
    fractions = np.floor(mantissas * (1 << _BITS) + 0.5).astype(np.int64)
    whole = fractions == 1 << _BITS
    fractions, exponents = np.where(whole, fractions // 2, fractions), exponents.astype(np.int64) + whole
    vanishes = exponents < -_BITS
    return np.where(vanishes, 0, fractions), np.where(vanishes, 0, exponents)


def integers(model: Any, tensor: Any) -> Array | None:
    """Return the elements of a constant of integers; None where it is neither."""
    data = model.buffers[tensor.buffer].data
    if data is None:
        return None
    data = np.frombuffer(bytes(data), np.int8)
    if tensor.type == schema.TensorType.INT4:  # two in a byte, the first one in the low half
        return np.stack([data << 4 >> 4, data >> 4], axis=-1).reshape(-1)[: int(np.prod(indices(tensor.shape)))]
    kinds = {schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32, schema.TensorType.INT64: np.int64}
    return data.view(kinds[tensor.type]) if tensor.type in kinds else None


def scaling(tensor: Any) -> tuple[float, int]:
    """Return scale and zero point."""
    parameters = tensor.quantization
    return float(parameters.scale[0]), (indices(parameters.zeroPoint) or [0])[0]


def element_limits(kind: int, output: tuple[float, int], activation: int) -> tuple[int, int]:
    """Return the smallest and the largest element that an output can have behind its activation function."""
    ends = np.iinfo(np.int8 if kind == schema.TensorType.INT8 else np.int16)
    functions, (scale, zero_point) = schema.ActivationFunctionType, output
    low, high = {functions.RELU: (0, None), functions.RELU6: (0, 6), functions.RELU_N1_TO_1: (-1, 1)}.get(
        activation, (None, None)
    )
    return (
        ends.min if low is None else max(ends.min, zero_point + round(low / scale)),
        ends.max if high is None else min(ends.max, zero_point + round(high / scale)),
    )
