# SPDX-License-Identifier: Apache-2.0
"""Calibration data from a function."""

from collections.abc import Iterator

import numpy as np


def samples() -> Iterator[np.ndarray]:
    """Yield inputs from -1 to 1."""
    for value in np.linspace(-1, 1, 20):
        yield np.full(4, value, np.float32)
