# SPDX-License-Identifier: Apache-2.0
"""What train.py imports."""


def width() -> int:
    """Return a number of units."""
    return 3
