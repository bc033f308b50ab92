# SPDX-License-Identifier: Apache-2.0
"""Choose golden inputs: real ones where there is data, and the ends of the range."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.effort import affordable_runs
from tflm_build.model.values import Tensor
from tflm_build.source.samples import GOLDEN_COUNT

__all__ = ["GoldenInputs", "dequantize", "golden_inputs", "quantize"]

_EFFORT: Final = 250_000_000
"""Multiply-accumulates that the samples among the golden vectors may take, a third of a second on TFLM: counted, so
that every machine has the same vectors. A chip that runs them takes longer by far, and has to hold them."""

_FEWEST: Final = 4
"""Samples that a model of any size has."""

_AT_ONCE: Final = 1 << 15
"""Elements that are quantized at once: their steps stay in the processor's cache."""


@dataclass(frozen=True)
class GoldenInputs:
    """Inputs of the golden vectors, in the element types of the tensors.

    Attributes:
        arrays: per input an array (vectors, *shape).
        from_data: how many of the vectors, from the first, are samples of the user's data.
        further: per input an array (samples, *shape): samples beyond the golden vectors, for accuracy alone.
    """

    arrays: tuple[Array, ...]
    from_data: int
    further: tuple[Array, ...]

    @property
    def count(self) -> int:
        """Return the number of golden vectors."""
        return len(self.arrays[0])


def golden_inputs(
    inputs: Sequence[Tensor], samples: Sequence[Array] | None, *, sequence: bool = False, macs: int = 0
) -> GoldenInputs:
    """Quantize the first samples, and add vectors of nothing but the smallest, the largest and the zero element.

    Args:
        inputs: the model's inputs.
        samples: per input an array (samples, *shape) of real numbers, or of the tensor's own integers; None: random.
        sequence: the model keeps state, so that an answer depends on the vectors before: nothing goes between samples.
        macs: multiply-accumulates of one run: a large model has fewer vectors.
    """
    count = affordable_runs(_EFFORT, macs, fewest=_FEWEST, most=GOLDEN_COUNT)
    generator = np.random.RandomState(0)
    golden, further = [], []
    for index, tensor in enumerate(inputs):
        if samples is None:
            elements = _random(tensor, count, generator)
        else:
            elements = quantize(samples[index], tensor).reshape(-1, *tensor.shape)
        ends = [np.full((1, *tensor.shape), value, tensor.dtype) for value in _ends(tensor)]
        ends = [] if sequence and samples is not None else ends
        golden.append(np.concatenate([elements[:count], *ends]))
        further.append(elements[count:])
    from_data = 0 if samples is None else min(len(samples[0]), count)
    return GoldenInputs(tuple(golden), from_data, tuple(further))


def quantize(real: Array, tensor: Tensor) -> Array:
    """Return the elements that stand for real numbers: rounded half away from zero, as the generated C does it.

    Integers of the tensor's own type, and any data for a tensor that is not quantized, are elements already.
    """
    if real.dtype == tensor.dtype or tensor.scale == 0:
        return real.astype(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    flat, elements = real.reshape(-1), np.empty(real.shape, tensor.dtype)
    for start in range(0, real.size, _AT_ONCE):
        steps = flat[start : start + _AT_ONCE].astype(np.float32) / np.float32(tensor.scale)
        rounded = np.trunc(steps + np.copysign(np.float32(0.5), steps)).astype(np.float64) + tensor.zero_point
        elements.reshape(-1)[start : start + _AT_ONCE] = np.clip(rounded, limits.min, limits.max)
    return elements


def dequantize(elements: Array, tensor: Tensor) -> Array:
    """Return the real numbers that elements stand for, as float32."""
    if tensor.scale == 0:
        return elements.astype(np.float32)
    return (np.float32(tensor.scale) * (elements.astype(np.int32) - tensor.zero_point)).astype(np.float32)


def _random(tensor: Tensor, count: int, generator: np.random.RandomState) -> Array:
    """Draw vectors: any element of an 8- or 16-bit type, [-1, 1) for float32, 0 or 1 for types that count or choose."""
    shape = (count, *tensor.shape)
    if tensor.type == "float32":
        return generator.uniform(-1, 1, shape).astype(np.float32)
    low, high = (0, 1) if tensor.type in {"int32", "int64", "bool"} else _limits(tensor)
    return generator.randint(low, high + 1, shape).astype(tensor.dtype)


def _ends(tensor: Tensor) -> tuple[float, ...]:
    """Return the smallest, largest and zero element; only zero for indices and the like, which could point anywhere."""
    if tensor.type in {"int32", "int64", "bool"}:
        return (0, 0, 0)
    if tensor.type == "float32":
        return (-1, 1, 0)
    return (*_limits(tensor), tensor.zero_point)


def _limits(tensor: Tensor) -> tuple[int, int]:
    """Return the range of an integer type."""
    limits = np.iinfo(tensor.dtype)
    return int(limits.min), int(limits.max)
