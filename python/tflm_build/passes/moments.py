# SPDX-License-Identifier: Apache-2.0
"""Gather what the inputs of a layer are like: the mean of each tap, and how taps vary together.

That is all that least squares has to know of the data. Elements are whole numbers, so that the sums are exact, and the
same on every machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import scaling
from tflm_build.model.graph import Operator
from tflm_build.model.padding import padding_before

__all__ = ["Moments", "count_taps", "gather_moments"]

_BLOCK: Final = 1024
"""Taps that are looked at together: those of wider layers count as independent of each other, block by block."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of what a layer multiplies, in steps of its input and from its zero point.

    Attributes:
        mean: (groups, taps). DEPTHWISE_CONV_2D has a group for each of its outputs, any other layer one for all.
        blocks: for each block of taps (groups, taps, taps) the mean of the products of two taps.
    """

    mean: Array
    blocks: tuple[Array, ...]

    def covariances(self) -> Iterable[tuple[slice, Array]]:
        """Yield each block's place, and its covariances (groups, taps, taps)."""
        for part, products in self.products():
            centre = self.mean[:, part]
            yield part, products - centre[:, :, None] * centre[:, None, :]

    def products(self) -> Iterable[tuple[slice, Array]]:
        """Yield each block's place, and the means of its products (groups, taps, taps)."""
        first = 0
        for block in self.blocks:
            yield slice(first, first + block.shape[-1]), block
            first += block.shape[-1]


def count_taps(operator: Operator) -> tuple[int, int]:
    """Return the weights that one result of a layer takes, and how many of them are looked at together."""
    kernel = operator.reads[1]
    taps = kernel.elements // kernel.shape[3 if operator.op == "DEPTHWISE_CONV_2D" else 0]
    return taps, min(taps, _BLOCK)


def gather_moments(operator: Operator, samples: Iterable[Array]) -> Moments:
    """Gather the moments of a layer's inputs.

    Args:
        operator: CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED of int8, as `read_linear` takes them.
        samples: the elements that its input has, sample by sample.
    """
    taps, width = count_taps(operator)
    firsts = range(0, taps, width)
    count, total, products = 0, np.zeros(1), [np.zeros(1)] * len(firsts)
    for elements in samples:
        columns = _columns(operator, elements.astype(np.float64) - scaling(operator.reads[0])[1])
        count += columns.shape[1]
        total = total + columns.sum(axis=1)
        products = [
            whole + block.transpose(0, 2, 1) @ block
            for whole, block in zip(products, (columns[:, :, first : first + width] for first in firsts), strict=True)
        ]
    return Moments(total / count, tuple(whole / count for whole in products))


def _columns(operator: Operator, steps: Array) -> Array:
    """Return what each result of a layer is made from: (groups, results, taps)."""
    source, kernel = operator.reads[:2]
    if operator.op == "FULLY_CONNECTED":
        return steps.reshape(1, -1, kernel.shape[1])
    output = operator.outputs[0]
    image = steps.reshape(source.shape)
    moves = [(axis, *padding_before(operator, axis, side)) for axis, side in ((1, "H"), (2, "W"))]
    reaches = [
        (output.shape[axis] - 1) * stride + (kernel.shape[axis] - 1) * dilation + 1
        for axis, _, stride, dilation in moves
    ]
    sides = [
        (before, max(0, reach - before - source.shape[axis]))
        for (axis, before, _, _), reach in zip(moves, reaches, strict=True)
    ]
    image = np.pad(image, [(0, 0), *sides, (0, 0)])
    (_, _, down, tall), (_, _, across, wide) = moves
    rows, columns = output.shape[1], output.shape[2]
    places = [
        image[:, y * tall : y * tall + rows * down : down, x * wide : x * wide + columns * across : across][
            :, :rows, :columns
        ]
        for y in range(kernel.shape[1])
        for x in range(kernel.shape[2])
    ]
    together = np.stack(places, axis=3).reshape(-1, len(places), source.shape[-1])  # (results, places, channels)
    if operator.op == "CONV_2D":
        return together.reshape(1, len(together), -1)
    return np.repeat(together.transpose(2, 0, 1), kernel.shape[3] // source.shape[-1], axis=0)
