# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of quantized kernels: integers times a real factor that is held as a fraction and a power of two."""

from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import schema
from tflm_build.model.graph import Operand
from tflm_build.model.types import TYPES

__all__ = [
    "UNBOUNDED", "element_limits", "integers", "multiply_rounding_once", "multiply_rounding_twice", "rescaled_bounds",
    "scaling", "unpack_int4",
]  # fmt: skip

UNBOUNDED: Final = 1 << 31
"""Where nothing is known of what a kernel computes: behind the ends of every type."""

_GUARD: Final = 2.0**-20
"""How far a float32 product, and a factor of 31 bits or of three float32 numbers, can be off, and more."""

_BITS: Final = 31
_SHORT: Final = 15
"""Bits of the fraction: fewer where the integers have 64 bits, so that the product has no more."""


def multiply_rounding_twice(numbers: Array, factor: Array) -> Array:
    """Multiply by a fraction of 31 bits, then divide by the power of two; round a half away from zero both times.

    Args:
        numbers: integers of 32 bits, as int64.
        factor: real numbers, positive: one, or one for each place of the last axis.
    """
    products, exponents = _products(numbers, factor)
    highs = np.sign(products) * ((np.abs(products) + (1 << (_BITS - 1)) - (products < 0)) >> _BITS)
    return _divide_by_power(highs, exponents)


def _multiply_rounding_up(numbers: Array, factor: Array) -> Array:
    """Multiply like `multiply_rounding_twice`, but round a half up the first time, as CMSIS-NN and ESP-NN do."""
    products, exponents = _products(numbers, factor)
    return _divide_by_power((products + (1 << (_BITS - 1))) >> _BITS, exponents)


def _products(numbers: Array, factor: Array) -> tuple[Array, Array]:
    """Return the products with the fractions, and the exponents that are left to divide by."""
    fractions, exponents = _multipliers(factor)
    return (numbers << np.maximum(exponents, 0)) * fractions, np.maximum(-exponents, 0)


def _divide_by_power(numbers: Array, exponents: Array) -> Array:
    """Divide by a power of two, and round a half away from zero."""
    mask = (1 << exponents) - 1
    rounded: Array = (numbers >> exponents) + ((numbers & mask) > (mask >> 1) + (numbers < 0))
    return rounded


def rescaled_bounds(lows: Array, highs: Array, factor: Array, *, wide: bool) -> tuple[Array, Array]:
    """Bound what kernels make of sums, however they round: all roundings are monotone, so the ends suffice.

    It is the union of: rounding twice, as TFLM does; the same with the first half up (CMSIS-NN, ESP-NN); once with the
    fraction's 31 bits, in float32 or in float64, a half in either direction; for 64 bits, once with 15 bits.

    Args:
        lows: the smallest sums, as int64.
        highs: the largest.
        factor: real numbers, positive: one, or one for each place.
        wide: whether the sums have 64 bits.

    Returns:
        The ends behind the factor; -UNBOUNDED and UNBOUNDED where a sum leaves the integers that kernels compute with.
    """
    factor = np.broadcast_to(np.asarray(factor, np.float64), lows.shape)
    shifted = np.exp2(np.maximum(np.frexp(factor)[1] + 1, 0).astype(np.float64))
    largest = np.maximum(np.abs(lows), np.abs(highs)).astype(np.float64)
    short = largest * shifted < 1 << 31  # what a kernel of 32 bits can compute with
    known = short | (wide & (largest < 1 << 47))
    known &= (largest * factor < 1 << 30) & (factor < 1 << (_SHORT - 1))
    real_low, real_high = np.where(known, lows * factor, 0), np.where(known, highs * factor, 0)
    low = np.ceil(real_low - 0.5 - np.abs(real_low) * _GUARD).astype(np.int64)
    high = np.floor(real_high + 0.5 + np.abs(real_high) * _GUARD).astype(np.int64)
    ways = [(multiply_rounding_twice, short), (_multiply_rounding_up, short)]
    for way, computes in [*ways, (multiply_rounding_once, known)] if wide else ways:
        fits = computes & known
        low = np.where(fits, np.minimum(low, way(np.where(fits, lows, 0), factor)), low)
        high = np.where(fits, np.maximum(high, way(np.where(fits, highs, 0), factor)), high)
    return np.where(known, low, -UNBOUNDED), np.where(known, high, UNBOUNDED)


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
    if operand.type == "int4" and operand.constant:
        return unpack_int4(bytes(operand.data), operand.elements)
    return operand.array


def unpack_int4(data: bytes, count: int) -> Array:
    """Return integers of 4 bits, two in a byte, the first one in the low half, as int8 (count,)."""
    pairs = np.frombuffer(data, np.int8)
    return np.stack([pairs << 4 >> 4, pairs >> 4], axis=-1).reshape(-1)[:count]


def scaling(operand: Operand) -> tuple[float, int]:
    """Return scale and zero point."""
    return float(operand.scales[0]), int(operand.zero_points[0]) if len(operand.zero_points) else 0


def element_limits(output: Operand, activation: int) -> tuple[int, int]:
    """Return the smallest and the largest element that an output can have behind its activation function."""
    scale, zero_point = scaling(output)
    lowest, highest = TYPES[output.type].zero_points
    functions = schema.ActivationFunctionType

    def steps(real: float) -> int:  # in float32, a half away from zero, as kernels are prepared
        return int(np.trunc(np.float32(real) / np.float32(scale) + np.copysign(np.float32(0.5), np.float32(real))))

    if activation in {functions.RELU, functions.RELU6}:
        lowest = max(lowest, zero_point)
    if activation == functions.RELU6:
        highest = min(highest, zero_point + steps(6))
    if activation == functions.RELU_N1_TO_1:
        lowest, highest = max(lowest, zero_point + steps(-1)), min(highest, zero_point + steps(1))
    return lowest, highest
