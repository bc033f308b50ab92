# SPDX-License-Identifier: Apache-2.0
"""The one table of element types: how many bits each has, what numpy calls it, and where its zero point may lie."""

from typing import Any, Final, NamedTuple

import numpy as np

__all__ = ["INTERFACE", "TYPES", "ElementType", "bytes_of"]


class ElementType(NamedTuple):
    """A type of elements.

    Attributes:
        bits: of one element; a resource is the number of a variable.
        dtype: numpy's; None for a type that numpy lacks.
        zero_points: the smallest and the largest that a quantized tensor may have.
    """

    bits: int
    dtype: np.dtype[Any] | None = None
    zero_points: tuple[int, int] = (-(1 << 31), (1 << 31) - 1)


TYPES: Final = {
    "bfloat16": ElementType(16),
    "bool": ElementType(8, np.dtype("?")),
    "complex128": ElementType(128),
    "complex64": ElementType(64),
    "float16": ElementType(16, np.dtype("<f2")),
    "float32": ElementType(32, np.dtype("<f4")),
    "float64": ElementType(64, np.dtype("<f8")),
    "float8_e4m3fn": ElementType(8),
    "float8_e5m2": ElementType(8),
    "int16": ElementType(16, np.dtype("<i2"), (-(1 << 15), (1 << 15) - 1)),
    "int2": ElementType(2),
    "int32": ElementType(32, np.dtype("<i4")),
    "int4": ElementType(4, None, (-8, 7)),
    "int64": ElementType(64, np.dtype("<i8")),
    "int8": ElementType(8, np.dtype("i1"), (-128, 127)),
    "resource": ElementType(32),
    "uint16": ElementType(16, np.dtype("<u2")),
    "uint32": ElementType(32, np.dtype("<u4")),
    "uint4": ElementType(4),
    "uint64": ElementType(64, np.dtype("<u8")),
    "uint8": ElementType(8, np.dtype("u1"), (0, 255)),
}
"""By the schema's name in lower case. Strings and variants have no fixed size, and no kernel in TFLM."""

INTERFACE: Final = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")
"""Types of inputs and outputs that firmware can pass."""


def bytes_of(elements: int, kind: str) -> int:
    """Return the bytes that so many elements take; KeyError for a type of no fixed size."""
    return (elements * TYPES[kind].bits + 7) // 8
