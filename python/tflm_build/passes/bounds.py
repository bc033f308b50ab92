# SPDX-License-Identifier: Apache-2.0
"""How operators that add up no products bound the channels that they write, and from which channels these are made."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import UNBOUNDED, element_limits, rescaled_bounds, scaling
from tflm_build.model.flatbuffer import schema
from tflm_build.model.graph import Operand, Operator
from tflm_build.model.types import TYPES

__all__ = ["COMBINING", "INTEGERS", "RULES", "Interval"]

INTEGERS: Final = frozenset({"int8", "int16"})
"""Types of the elements that are bounded."""

COMBINING: Final = frozenset({"ADD", "MAXIMUM", "MINIMUM", "MUL", "SUB"})
"""Operators of two operands, either of which may be a constant: one number, or one for each channel."""


class Interval(NamedTuple):
    """The smallest and the largest element of each channel, as int64 (channels,); both belong to it."""

    low: Array
    high: Array

    @property
    def constant(self) -> Array:
        """Which channels hold one element, whatever the input is."""
        same: Array = self.low == self.high
        return same


_Bounded = tuple[Interval, list[tuple[int, Array]]]
_Rule = Callable[[Operator, Mapping[int, Interval]], _Bounded | None]


def _alike(operands: Sequence[Operand], interval: Interval) -> _Bounded:
    """Couple channels one to one with those of what is read."""
    channels = np.arange(len(interval.low))
    return interval, [(operand.place, channels) for operand in operands if not operand.constant]


def _same_scale(*operands: Operand) -> bool:
    """Say whether equal elements stand for equal numbers."""
    return len({(operand.type, scaling(operand)) for operand in operands}) == 1


def _clipped(operator: Operator, low: Array, high: Array) -> Interval:
    """Apply the fused activation function."""
    limits = element_limits(operator.outputs[0], operator.option("fusedActivationFunction"))
    return Interval(low.clip(*limits), high.clip(*limits))


def _kept(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """Pooling and resizing: what is written lies between elements that are read."""
    source, output = operator.reads[0], operator.outputs[0]
    if not _same_scale(source, output):
        return None
    return _alike([source], _clipped(operator, *intervals[source.place]))


def _padded(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """PAD: zero points are written around what is read."""
    source, paddings = operator.reads[:2]
    output = operator.outputs[0]
    if paddings.array is None or not _same_scale(source, output):
        return None
    sides = paddings.array.reshape(-1, 2)
    if sides[-1].any():
        return None
    interval, zero = intervals[source.place], scaling(output)[1]
    if sides.any():
        interval = Interval(np.minimum(interval.low, zero), np.maximum(interval.high, zero))
    return _alike([source], interval)


def _rescaled(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """RELU, RELU6 and QUANTIZE: elements get another scale."""
    source, output = operator.reads[0], operator.outputs[0]
    if not source.type == output.type == "int8" or (operator.op == "RELU6" and not _same_scale(source, output)):
        return None  # TFLM clips in RELU6, and does not rescale
    (scale, zero), (to_scale, to_zero) = scaling(source), scaling(output)
    low, high = intervals[source.place]
    low, high = rescaled_bounds(low - zero, high - zero, np.array(scale / to_scale), wide=False)
    functions = schema.ActivationFunctionType
    activation = {"RELU": functions.RELU, "RELU6": functions.RELU6}.get(operator.op, functions.NONE)
    limits = element_limits(output, activation)
    return _alike([source], Interval((low + to_zero).clip(*limits), (high + to_zero).clip(*limits)))


def _leaking(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """LEAKY_RELU and PRELU: what is below zero gets a factor of its own."""
    source, output = operator.reads[0], operator.outputs[0]
    (scale, zero), (to_scale, to_zero) = scaling(source), scaling(output)
    low, high = (end - zero for end in intervals[source.place])
    below = (np.minimum(low, 0), np.minimum(high, 0))
    if operator.op == "PRELU":
        slope = operator.reads[1]
        if not slope.constant or slope.type != source.type or len(slope.scales) != 1 or not _fits(slope, len(low)):
            return None
        factor, middle = scaling(slope)
        products = [end * (each - middle) for end in below for each in intervals[slope.place]]
        below = (np.min(products, axis=0), np.max(products, axis=0))
    else:
        factor = float(operator.options.alpha)
    if source.type != output.type or factor <= 0:
        return None
    parts = [
        (low < 0, rescaled_bounds(*below, np.array(scale * factor / to_scale), wide=False)),
        (high >= 0, rescaled_bounds(low.clip(0), high.clip(0), np.array(scale / to_scale), wide=False)),
    ]
    lows = np.min([np.where(there, ends[0], UNBOUNDED) for there, ends in parts], axis=0)
    highs = np.max([np.where(there, ends[1], -UNBOUNDED) for there, ends in parts], axis=0)
    return _alike([source], _clipped(operator, lows + to_zero, highs + to_zero))


def _apart(operator: Operator, _: Mapping[int, Interval]) -> _Bounded | None:
    """Curves of one number: nothing is said of what they give, for kernels come near them in ways of their own."""
    source, output = operator.reads[0], operator.outputs[0]
    low, high = TYPES[output.type].zero_points
    channels = output.shape[-1]
    return _alike([source], Interval(np.full(channels, low, np.int64), np.full(channels, high, np.int64)))


def _sliced(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """SLICE and STRIDED_SLICE that take all channels."""
    source, begin = operator.reads[:2]
    output, rank = operator.outputs[0], len(source.shape)
    last = 1 << (rank - 1)
    masks = [operator.option(f"{name}Mask") for name in ("newAxis", "shrinkAxis", "ellipsis")]
    steps = operator.reads[3].array if operator.op == "STRIDED_SLICE" else np.ones(1)
    if begin.array is None or steps is None or operator.reads[2].array is None or not _same_scale(source, output):
        return None
    first = 0 if operator.option("beginMask") & last else int(begin.array[-1])
    other = masks[0] or masks[1] & last or masks[2] or first or operator.option("offset")
    whole = len(begin.array) == rank and not other and steps[-1] == 1
    return _alike([source], intervals[source.place]) if whole and output.shape[-1] == source.shape[-1] else None


def _reduced(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """MEAN, REDUCE_MAX and REDUCE_MIN over other axes than the channels'."""
    source, axes = operator.reads[:2]
    output = operator.outputs[0]
    rank = len(source.shape)
    if axes.array is None or rank - 1 in {int(axis) % rank for axis in axes.array} or source.type != output.type:
        return None
    low, high = intervals[source.place]
    if _same_scale(source, output):
        return _alike([source], Interval(low, high))
    if operator.op != "MEAN":
        return None
    zero, steps = scaling(source)[1], scaling(source)[0] / scaling(output)[0]
    return _near(operator, [source], (low - zero) * steps, (high - zero) * steps)


def _near(operator: Operator, operands: Sequence[Operand], low: Array, high: Array) -> _Bounded | None:
    """Allow a step of rounding around real numbers that are counted in steps of the output."""
    if np.abs([low, high]).max(initial=0) > 1 << 30:
        return None
    zero = scaling(operator.outputs[0])[1]
    low, high = np.floor(low).astype(np.int64) + zero - 1, np.ceil(high).astype(np.int64) + zero + 1
    return _alike(operands, _clipped(operator, low, high))


def _fits(operand: Operand, channels: int) -> bool:
    """Say whether an operand has a number for each channel, or is a constant that all share."""
    return bool(operand.shape) and operand.shape[-1] in ({1, channels} if operand.constant else {channels})


_SHIFTS: Final = {"int8": 20, "int16": 15}
"""Bits that kernels shift the operands of ADD and SUB by, before they round them to a common scale."""


def _combined(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """ADD, SUB, MUL, MAXIMUM and MINIMUM."""
    operands, output = operator.reads, operator.outputs[0]
    if len(operands) != 2 or any(operand.type != output.type or len(operand.scales) != 1 for operand in operands):  # noqa: PLR2004
        return None
    channels, ends, step = output.shape[-1], [], scaling(output)[0]
    if not all(_fits(operand, channels) for operand in operands):
        return None
    if operator.op in {"MAXIMUM", "MINIMUM"}:
        choose = np.maximum if operator.op == "MAXIMUM" else np.minimum
        pairs = zip(*(intervals[operand.place] for operand in operands), strict=True)
        chosen = Interval(*(np.broadcast_to(choose(*pair), (channels,)) for pair in pairs))
        return _alike(operands, chosen) if _same_scale(*operands, output) else None
    for operand in operands:
        scale, zero = scaling(operand)
        low, high = intervals[operand.place]
        ends.append(((low - zero) * scale / step, (high - zero) * scale / step))
    (low, high), (other_low, other_high) = ends
    if operator.op == "MUL":
        corners = [one * other * step for one in (low, high) for other in (other_low, other_high)]
        lows, highs = np.min(corners, axis=0), np.max(corners, axis=0)
    else:
        # Each operand is rounded to a 2^shift-th of twice the larger scale: that must stay under half a step.
        if 3 * max(scaling(operand)[0] for operand in operands) > 0.5 * step * (1 << _SHIFTS[output.type]):
            return None
        if operator.op == "SUB":
            other_low, other_high = -other_high, -other_low
        lows, highs = low + other_low, high + other_high
    return _near(operator, operands, *(np.broadcast_to(end, (channels,)) for end in (lows, highs)))


def _joined(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """CONCATENATION, along the channels or any other axis."""
    operands, output = operator.reads, operator.outputs[0]
    rank, channels = len(output.shape), output.shape[-1]
    if any(operand.constant or len(operand.scales) != 1 for operand in operands) or not _same_scale(*operands, output):
        return None
    lows, highs = zip(*(intervals[operand.place] for operand in operands), strict=True)
    if operator.option("axis") % rank != rank - 1:
        return _alike(operands, _clipped(operator, np.min(lows, axis=0), np.max(highs, axis=0)))
    couplings, start = [], 0
    for operand in operands:
        source = np.arange(channels) - start
        couplings.append((operand.place, np.where((source >= 0) & (source < operand.shape[-1]), source, -1)))
        start += operand.shape[-1]
    return _clipped(operator, np.concatenate(lows), np.concatenate(highs)), couplings


def _reshaped(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """RESHAPE that keeps channels together, or lays them side by side."""
    source, output = operator.reads[0], operator.outputs[0]
    before, after = source.shape[-1], output.shape[-1]
    if not before or after % before or not _same_scale(source, output):
        return None
    channels = np.tile(np.arange(before), after // before)
    low, high = intervals[source.place]
    return Interval(low[channels], high[channels]), [(source.place, channels)]


RULES: Final[dict[str, _Rule]] = {
    "ADD": _combined, "MAXIMUM": _combined, "MINIMUM": _combined, "MUL": _combined, "SUB": _combined,
    "AVERAGE_POOL_2D": _kept, "MAX_POOL_2D": _kept, "RESIZE_BILINEAR": _kept, "RESIZE_NEAREST_NEIGHBOR": _kept,
    "CONCATENATION": _joined, "PAD": _padded, "RESHAPE": _reshaped,
    "ELU": _apart, "HARD_SWISH": _apart, "LOGISTIC": _apart, "TANH": _apart,
    "LEAKY_RELU": _leaking, "PRELU": _leaking,
    "MEAN": _reduced, "REDUCE_MAX": _reduced, "REDUCE_MIN": _reduced,
    "QUANTIZE": _rescaled, "RELU": _rescaled, "RELU6": _rescaled,
    "SLICE": _sliced, "STRIDED_SLICE": _sliced,
}  # fmt: skip
