# SPDX-License-Identifier: Apache-2.0
"""Bound what each channel of a model can hold, for every input and under every rounding that kernels use.

A channel is a place along a tensor's last axis. Of an operator that is not known here, nothing is known of what it
writes: its channels have the whole range of their type.
"""

import contextlib
from dataclasses import dataclass, field

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import element_limits, rescaled_bounds, scaling
from tflm_build.model.graph import Operand, Operator, Subgraph
from tflm_build.model.types import TYPES
from tflm_build.passes.bounds import COMBINING, INTEGERS, RULES, Interval
from tflm_build.passes.linear import Linear, read_linear

__all__ = ["Analysis", "Interval", "analyse"]


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
        if operand.type in INTEGERS and operand.shape:
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
    rule, output = RULES.get(operator.op), operator.outputs[0]
    if rule is None or not _one_scale(operator) or (operator.reads[0].constant and operator.op not in COMBINING):
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
    ends = [operand for operand in (*operator.reads[:1], *operator.outputs) if operand.type in INTEGERS]
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
