# SPDX-License-Identifier: Apache-2.0
"""Count how the weights of a model are distributed."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tflm_build.model.fixed_point import integers
from tflm_build.model.graph import Graph, Operand
from tflm_build.model.types import TYPES

__all__ = ["Weights", "weight_distributions"]

_MOST: Final = 64
"""Tensors that are described: the largest, for the manifest must stay small."""

_FEWEST: Final = 16
"""Elements that a distribution needs to say something."""

_BINS: Final = 32
"""A whole number of int8's values falls into each; of the values of 4 bits, one into every other."""

_NARROW: Final = 256
"""Values of a type that has all of them in its histogram."""

# Biases, shapes and axes have other types. A quantized model may keep a float table, a float one has nothing else.
_TYPES: Final = frozenset({"int4", "int8", "uint8", "int16", "float32"})


@dataclass(frozen=True)
class Weights:
    """How the elements of a constant are distributed.

    Attributes:
        layer: place of the first layer that reads it.
        type: of its elements.
        shape: its sizes.
        low, high: ends of the histogram: those of a type of 8 or 4 bits, else the smallest and the largest element.
        counts: elements per part of that range; the parts are of one width.
        zeros: elements that stand for 0: the zero point's, for integers.
        at_limit: elements at an end of the integer type; symmetric int8 weights end at -127. 0 for float32.
    """

    layer: int
    type: str
    shape: tuple[int, ...]
    low: float
    high: float
    counts: tuple[int, ...]
    zeros: int
    at_limit: int


def weight_distributions(graph: Graph) -> tuple[Weights, ...]:
    """Describe the largest constants that layers compute with, in the order of the layers."""
    found: dict[int, Weights] = {}
    for layer, operator in enumerate(graph.operators):
        for operand in operator.reads:
            if operand.buffer not in found:
                weights = _describe(layer, operand)
                if weights is not None:
                    found[operand.buffer] = weights
    largest = sorted(found.values(), key=lambda weights: -sum(weights.counts))[:_MOST]
    return tuple(sorted(largest, key=lambda weights: weights.layer))


def _describe(layer: int, operand: Operand) -> Weights | None:
    """Describe one tensor; None for what is no constant, or no weights."""
    elements = integers(operand) if operand.type in _TYPES else None
    if elements is None:
        return None
    elements = elements[np.isfinite(elements)]
    if len(elements) < _FEWEST:
        return None
    low, high, zero, at_limit = float(elements.min()), float(elements.max()), 0, 0
    if operand.type != "float32":
        least, most = TYPES[operand.type].zero_points
        zero = int(operand.zero_points[0]) if len(operand.zero_points) else 0
        at_limit = int(np.count_nonzero((elements <= least + (least < 0)) | (elements == most)))
        if most - least < _NARROW:
            low, high = float(least), float(most + 1)
    counts, _ = np.histogram(elements, _BINS, (low, high))
    zeros = int(np.count_nonzero(elements == zero))
    return Weights(layer, operand.type, operand.shape, low, high, tuple(map(int, counts)), zeros, at_limit)
