# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of quantized kernels: integers times a real factor that is held as a fraction and a power of two."""

from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import schema
from tflm_build.model.graph import Operand
from tflm_build.model.types import TYPES

__all__ = ["element_limits", "integers", "multiply_rounding_once", "multiply_rounding_twice", "scaling"]

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


def integers(operand: Operand) -> Array | None:
    """Return the elements of a constant, flat; None where there is none."""
    if operand.type == "int4" and operand.constant:  # two in a byte, the first one in the low half
        pairs = np.frombuffer(bytes(operand.data), np.int8)
        return np.stack([pairs << 4 >> 4, pairs >> 4], axis=-1).reshape(-1)[: operand.elements]
    return operand.array


def scaling(operand: Operand) -> tuple[float, int]:
    """Return scale and zero point."""
    return float(operand.scales[0]), int(operand.zero_points[0]) if len(operand.zero_points) else 0


def element_limits(output: Operand, activation: int) -> tuple[int, int]:
    """Return the smallest and the largest element that an output can have behind its activation function."""
    scale, zero_point = scaling(output)
    lowest, highest = TYPES[output.type].zero_points
    functions = schema.ActivationFunctionType
    if activation in {functions.RELU, functions.RELU6}:
        lowest = max(lowest, zero_point)
    if activation == functions.RELU6:
        highest = min(highest, zero_point + round(6 / scale))
    if activation == functions.RELU_N1_TO_1:
        lowest, highest = max(lowest, zero_point + round(-1 / scale)), min(highest, zero_point + round(1 / scale))
    return lowest, highest
