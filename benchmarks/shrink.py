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


def main(count: int) -> None:
    """Compare so many models, and print what was compared.

    Raises:
        AssertionError: an element is outside of its bounds, or not what it was; the message names the seed.
    """
    start = time.monotonic()
    counts = sum((check_graph(seed) for seed in range(FIRST_SEED, FIRST_SEED + count)), Counts())
    print(
        f"shrink: {counts.models:,} random models in {time.monotonic() - start:.0f} s, {counts.shrunk:,} changed: "
        f"{counts.constant:,} constant and {counts.unread:,} unread channels and {counts.padded:,} PADs removed; "
        f"{counts.inputs:,} inputs and {counts.elements:,} elements compared on TFLM, 0 differ"
    )
