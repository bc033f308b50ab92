# SPDX-License-Identifier: Apache-2.0
"""Give a process memory that looks used: what a system hands out new is zero, what a firmware has is not."""

import contextlib
import ctypes
import sys
from typing import Final

__all__ = ["PATTERNS", "fill_memory"]

PATTERNS: Final = (0x47, 0xB8)
"""Bytes to fill memory with: no bit is the same in both, so that what depends on them differs."""

_M_PERTURB: Final = -6  # mallopt(3): fill what malloc() hands out with the complement of a byte


def fill_memory(pattern: int) -> None:
    """Have all memory that this process allocates from now on filled with a byte, by glibc; TFLM's wheel needs that."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another libc, with which TFLM is not run
            ctypes.CDLL(None).mallopt(_M_PERTURB, ~pattern & 0xFF)
