# SPDX-License-Identifier: Apache-2.0
"""Damage small models, build each through the library call, and count what became of them."""

import re
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.mutations import Outcome, run_mutations, small_models  # noqa: E402 - they lie with the tests

__all__ = ["main"]

FIRST_SEED = 1_000_000  # the tests take those below
SHOWN = 25


def main(count: int) -> None:
    """Build so many mutations, and print how many were accepted, why the others were refused, and the slowest.

    Raises:
        AssertionError: a build did what it must not; the message names the seed.
    """
    reasons: Counter[str] = Counter()
    slowest = (0.0, 0)

    def see(seed: int, outcome: Outcome) -> None:
        nonlocal slowest
        reasons[reason(outcome.error)] += 1
        slowest = max(slowest, (outcome.seconds, seed))

    start = time.monotonic()
    run_mutations(small_models(), range(FIRST_SEED, FIRST_SEED + count), see)
    accepted = reasons.pop("", 0)
    print(f"fuzz: {count} mutations in {time.monotonic() - start:.0f} s: {accepted} built, {count - accepted} refused")
    print(f"  the slowest, seed {slowest[1]}, took {slowest[0]:.1f} s")
    for text, number in reasons.most_common(SHOWN):
        print(f"  {number:6}  {text}")
    others = sum(number for _, number in reasons.most_common()[SHOWN:])
    print(f"  {others:6}  for {max(0, len(reasons) - SHOWN)} other reasons\n")


def reason(error: str) -> str:
    """Return an error without what differs from model to model."""
    known = re.sub(r"-?\d[\d.,e+-]*", "N", re.sub(r"'[^']*'", "'...'", error))
    return known.removeprefix("the source is not a valid TensorFlow Lite model: ").removesuffix("; convert it again")[
        :100
    ]
