# SPDX-License-Identifier: Apache-2.0
"""Arrays of numpy: their type, and the one comparison of answers."""

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["Array", "distance", "equal", "same_answers"]

Array = np.ndarray[Any, Any]


def equal(one: Array, other: Array) -> Array:
    """Compare element by element, arrays of one shape; a NaN equals a NaN."""
    same: Array = one == other
    if one.dtype.kind == other.dtype.kind == "f":
        same = same | (np.isnan(one) & np.isnan(other))
    return same


def distance(one: Array, other: Array) -> Array:
    """Return how far elements are from each other, as float64: 0 where they are equal, NaN where one is NaN alone."""
    far = np.zeros(one.shape)
    differ = ~equal(one, other)
    with np.errstate(invalid="ignore"):  # infinite numbers have no distance
        far[differ] = np.abs(one[differ].astype(np.float64) - other[differ].astype(np.float64))
    return far


def same_answers(some: Iterable[Array], others: Iterable[Array]) -> bool:
    """Say whether arrays are equal pair by pair, in type, shape and elements."""
    return all(
        one.dtype == other.dtype and one.shape == other.shape and bool(equal(one, other).all())
        for one, other in zip(some, others, strict=True)
    )
