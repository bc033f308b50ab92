# SPDX-License-Identifier: Apache-2.0
"""Place planned memory as TFLM does: what has an offset first, then the largest, each at the lowest that is free."""

from bisect import insort
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Planned", "planned_head"]


class Planned(NamedTuple):
    """Memory that TFLM plans.

    Attributes:
        bytes: how many; a multiple of 16.
        first: the first step of its life.
        last: the last one.
        offset: where a plan in the model puts it; None where TFLM chooses.
    """

    bytes: int
    first: int
    last: int
    offset: int | None = None


@lru_cache(8)
def planned_head(planned: tuple[Planned, ...]) -> int:
    """Return the bytes that all take together; many targets plan the same."""
    chosen = sorted(
        (index for index, memory in enumerate(planned) if memory.offset is None),
        key=lambda index: (-planned[index].bytes, -index),
    )
    given = (index for index, memory in enumerate(planned) if memory.offset is not None)
    placed: list[tuple[int, int]] = []  # offset and index, the lowest first
    for index in (*given, *chosen):
        memory = planned[index]
        lowest = memory.offset or 0
        if memory.offset is None:
            for offset, other in placed:
                if planned[other].first > memory.last or memory.first > planned[other].last:
                    continue
                if offset - lowest >= memory.bytes:
                    break
                lowest = max(lowest, offset + planned[other].bytes)
        insort(placed, (lowest, index))
    return max((offset + planned[index].bytes for offset, index in placed), default=0)
