# SPDX-License-Identifier: Apache-2.0
"""Shrink random models, and hold each to what it was on TFLM: more of them than the tests."""

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.shrunk_graphs import Counts, check_graph  # noqa: E402 - they lie with the tests

__all__ = ["main"]

FIRST_SEED = 1_000_000  # the tests take those below
STRIDE = 1_000  # models between two lines


def main(count: int) -> None:
    """Compare so many models, and print what was compared, as it goes.

    Raises:
        AssertionError: an element is outside of its bounds, or not what it was; the message names the seed.
    """
    start, counts = time.monotonic(), Counts()
    for done in range(1, count + 1):
        counts += check_graph(FIRST_SEED + done - 1)
        if done % STRIDE == 0 or done == count:
            print(
                f"shrink: {counts.models:,} random models in {time.monotonic() - start:.0f} s, "
                f"{counts.shrunk:,} changed: {counts.constant:,} constant and {counts.unread:,} unread channels and "
                f"{counts.padded:,} PADs removed; {counts.inputs:,} inputs and {counts.elements:,} elements compared "
                f"on TFLM, 0 differ",
                flush=True,
            )
