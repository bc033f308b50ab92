# SPDX-License-Identifier: Apache-2.0
"""Bound what each channel of a model can hold, for every input and under every rounding that kernels use.

A channel is a place along a tensor's last axis. Of an operator that is not known here, nothing is known of what it
writes: its channels have the whole range of their type.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import element_limits, rescaled_bounds, scaling
from tflm_build.model.flatbuffer import schema
from tflm_build.model.graph import Operand, Operator, Subgraph
from tflm_build.model.types import TYPES
from tflm_build.passes.linear import Linear, read_linear

__all__ = ["Analysis", "Interval", "analyse"]

_TYPES: Final = frozenset({"int8", "int16"})


class Interval(NamedTuple):
    """The smallest and the largest element of each channel, as int64 (channels,); both belong to it."""

    low: Array
    high: Array

    @property
    def constant(self) -> Array:
        """Which channels hold one element, whatever the input is."""
        same: Array = self.low == self.high
        return same


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is known of the main subgraph.

    Attributes:
        intervals: by the tensor's place, of all int8 and int16 tensors.
        linear: by the operator's place: those that add up products.
        wraps: by the operator's place: the outputs of these whose int32 sum could wrap around.
        couplings: by the operator's place: what it reads, and for each channel that it writes the channel of that which
            it is made from, -1 for none. An operator that is not here is opaque.
    """

    intervals: dict[int, Interval] = field(default_factory=dict)
    linear: dict[int, Linear] = field(default_factory=dict)
    wraps: dict[int, Array] = field(default_factory=dict)
    couplings: dict[int, list[tuple[int, Array]]] = field(default_factory=dict)


def analyse(subgraph: Subgraph) -> Analysis:
    """Bound the channels of a subgraph's tensors."""
    found = Analysis()
    for operand in subgraph.operands:
        if operand.type in _TYPES and operand.shape:
            found.intervals[operand.place] = _given(operand)
    for place, operator in enumerate(subgraph.operators):
        if len(operator.outputs) == 1 and operator.outputs[0].place in found.intervals:
            # Of a stranger's operator, inputs may be missing and shapes may not fit: it is opaque, and TFLM refuses it.
            with contextlib.suppress(IndexError, ValueError):
                _bound(found, place, operator)
    return found


def _bound(found: Analysis, place: int, operator: Operator) -> None:
    """Add what is known of one operator."""
    linear = read_linear(operator)
    if linear is not None:
        _bound_linear(found, place, operator, linear)
        return
    rule, output = _RULES.get(operator.op), operator.outputs[0]
    if rule is None or not _one_scale(operator) or (operator.reads[0].constant and rule is not _combined):
        return
    bounded = rule(operator, found.intervals)
    if bounded is not None and len(bounded[0].low) == output.shape[-1]:
        found.intervals[output.place], found.couplings[place] = bounded


def _given(operand: Operand) -> Interval:
    """Return what is known without an operator: a constant's elements, or the range of the type."""
    channels = operand.shape[-1]
    if operand.array is not None and operand.elements:
        rows = operand.array.reshape(-1, channels).astype(np.int64)
        return Interval(rows.min(axis=0), rows.max(axis=0))
    low, high = TYPES[operand.type].zero_points
    return Interval(np.full(channels, low, np.int64), np.full(channels, high, np.int64))


def _one_scale(operator: Operator) -> bool:
    """Say whether all elements that an operator computes with have a scale."""
    ends = [operand for operand in (*operator.reads[:1], *operator.outputs) if operand.type in _TYPES]
    return len(ends) > 1 and all(len(operand.scales) == 1 and operand.shape for operand in ends)


def _bound_linear(found: Analysis, place: int, operator: Operator, linear: Linear) -> None:
    """Add a layer of sums of products."""
    source, output = operator.reads[0], operator.outputs[0]
    zero = scaling(source)[1]
    interval = found.intervals[source.place]
    low, high, wraps = linear.sums(interval.low - zero, interval.high - zero)
    low, high = np.where(wraps, 0, low), np.where(wraps, 0, high)
    low, high = rescaled_bounds(low, high, linear.factor, wide=linear.wide)
    limits = element_limits(output, operator.option("fusedActivationFunction"))
    shift = scaling(output)[1]
    low, high = np.where(wraps, limits[0], low + shift), np.where(wraps, limits[1], high + shift)
    found.intervals[output.place] = Interval(low.clip(*limits), high.clip(*limits))
    found.linear[place], found.wraps[place] = linear, wraps
    if linear.multiplier:
        channels = np.arange(source.shape[-1])
        found.couplings[place] = [(source.place, np.repeat(channels, linear.multiplier))]


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


def _mean(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """MEAN over other axes than the channels'."""
    source, axes = operator.reads[:2]
    output = operator.outputs[0]
    rank = len(source.shape)
    if axes.array is None or rank - 1 in {int(axis) % rank for axis in axes.array} or source.type != output.type:
        return None
    low, high = intervals[source.place]
    if _same_scale(source, output):
        return _alike([source], Interval(low, high))
    zero, steps = scaling(source)[1], scaling(source)[0] / scaling(output)[0]
    return _near(operator, [source], (low - zero) * steps, (high - zero) * steps)


def _near(operator: Operator, operands: Sequence[Operand], low: Array, high: Array) -> _Bounded | None:
    """Allow a step of rounding around real numbers that are counted in steps of the output."""
    if np.abs([low, high]).max(initial=0) > 1 << 30:
        return None
    zero = scaling(operator.outputs[0])[1]
    low, high = np.floor(low).astype(np.int64) + zero - 1, np.ceil(high).astype(np.int64) + zero + 1
    return _alike(operands, _clipped(operator, low, high))


_SHIFTS: Final = {"int8": 20, "int16": 15}
"""Bits that kernels shift the operands of ADD and SUB by, before they round them to a common scale."""


def _combined(operator: Operator, intervals: Mapping[int, Interval]) -> _Bounded | None:
    """ADD, SUB and MUL."""
    operands, output = operator.reads, operator.outputs[0]
    if len(operands) != 2 or any(operand.type != output.type or len(operand.scales) != 1 for operand in operands):  # noqa: PLR2004
        return None
    channels, ends, step = output.shape[-1], [], scaling(output)[0]
    for operand in operands:
        if not operand.shape or operand.shape[-1] not in ({1, channels} if operand.constant else {channels}):
            return None
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


_RULES: Final[dict[str, _Rule]] = {
    "ADD": _combined, "SUB": _combined, "MUL": _combined,
    "AVERAGE_POOL_2D": _kept, "MAX_POOL_2D": _kept, "RESIZE_BILINEAR": _kept, "RESIZE_NEAREST_NEIGHBOR": _kept,
    "CONCATENATION": _joined, "MEAN": _mean, "PAD": _padded, "RESHAPE": _reshaped,
    "QUANTIZE": _rescaled, "RELU": _rescaled, "RELU6": _rescaled,
}  # fmt: skip
