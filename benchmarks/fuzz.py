# SPDX-License-Identifier: Apache-2.0
"""Damage small models and change what models of every kind say, and count what becomes of them."""

import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.judge_mutants import judge  # noqa: E402 - they lie with the tests
from support.mutations import run_mutations, small_models  # noqa: E402 - they lie with the tests

__all__ = ["main"]

FIRST_SEED = 1_000_000  # the tests take those below
SHOWN = 25


def main(count: int) -> None:
    """Put so many damaged files and so many changed models to the compiler, and print what became of them.

    Raises:
        AssertionError: the compiler did what it must not; the message names the seed.
    """
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    _count("changed models", count, lambda see: judge(seeds, lambda one: see(one.error, one.seconds, built=one.built)))
    _count(
        "damaged files",
        count,
        lambda see: run_mutations(small_models(), seeds, lambda _, one: see(one.error, one.seconds, built=True)),
    )


def _count(what: str, count: int, run: Callable[[Callable[..., None]], None]) -> None:
    """Print how many were accepted, how many of these were built to the end, and why the others were refused."""
    reasons: Counter[str] = Counter()
    finished, slowest = 0, 0.0

    def see(error: str, seconds: float, *, built: bool) -> None:
        nonlocal finished, slowest
        reasons[reason(error)] += 1
        finished += built and not error
        slowest = max(slowest, seconds)

    start = time.monotonic()
    run(see)
    accepted = reasons.pop("", 0)
    print(
        f"fuzz: {count} {what} in {time.monotonic() - start:.0f} s: {accepted} accepted, {finished} of them built, "
        f"{count - accepted} refused; the slowest took {slowest:.1f} s"
    )
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
