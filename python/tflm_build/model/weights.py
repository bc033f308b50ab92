# SPDX-License-Identifier: Apache-2.0
"""Count how the weights of a model are distributed."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tflm_build.model.flatbuffer import indices, load, tensor_type_name
from tflm_build.passes.canonical import Canonical

__all__ = ["Weights", "weight_distributions"]

_MOST: Final = 64
"""Tensors that are described: the largest, for the manifest must stay small."""

_FEWEST: Final = 16
"""Elements that a distribution needs to say something."""

_BINS: Final = 32
"""A whole number of int8's values falls into each."""

# Biases, shapes and axes have other types. A quantized model may keep a float table, a float one has nothing else.
_TYPES: Final = {"int8": "i1", "uint8": "u1", "int16": "<i2", "float32": "<f4"}


@dataclass(frozen=True)
class Weights:
    """How the elements of a constant are distributed.

    Attributes:
        layer: place of the first layer that reads it.
        type: of its elements.
        shape: its sizes.
        low, high: ends of the histogram: those of an 8-bit type, else the smallest and the largest element.
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


def weight_distributions(canonical: Canonical) -> tuple[Weights, ...]:
    """Describe the largest constants that layers compute with, in the order of the layers.

    Raises:
        TflmBuildError: the bytes are not a TensorFlow Lite model.
    """
    model = load(canonical.flatbuffer)
    found: dict[int, Weights] = {}
    layer = 0
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or []:
            for index in indices(operator.inputs):
                tensor = subgraph.tensors[index] if index != -1 else None
                if tensor is not None and tensor.buffer not in found:
                    weights = _describe(layer, tensor, model.buffers[tensor.buffer].data)
                    if weights is not None:
                        found[tensor.buffer] = weights
            layer += 1
    largest = sorted(found.values(), key=lambda weights: -sum(weights.counts))[:_MOST]
    return tuple(sorted(largest, key=lambda weights: weights.layer))


def _describe(layer: int, tensor: Any, data: Any) -> Weights | None:
    """Describe one tensor; None for what is no constant, or no weights."""
    kind = tensor_type_name(tensor.type)
    if data is None or kind not in _TYPES:
        return None
    width = np.dtype(_TYPES[kind]).itemsize
    elements = np.frombuffer(bytes(data)[: len(data) // width * width], _TYPES[kind])
    shape = tuple(indices(tensor.shape))
    elements = elements[np.isfinite(elements)]
    if len(elements) < _FEWEST:
        return None
    low, high, zero, at_limit = float(elements.min()), float(elements.max()), 0, 0
    if kind != "float32":
        limits = np.iinfo(_TYPES[kind])
        zero_points = indices(tensor.quantization.zeroPoint) if tensor.quantization is not None else []
        zero = zero_points[0] if zero_points else 0
        at_limit = int(np.count_nonzero((elements <= limits.min + (limits.min < 0)) | (elements == limits.max)))
        if limits.bits == 8:  # noqa: PLR2004
            low, high = float(limits.min), float(limits.max + 1)
    counts, _ = np.histogram(elements, _BINS, (low, high))
    return Weights(
        layer, kind, shape, low, high, tuple(map(int, counts)), int(np.count_nonzero(elements == zero)), at_limit
    )
