# SPDX-License-Identifier: Apache-2.0
"""Show what the parts of an image take: a table for a terminal, plain lines elsewhere, or JSON."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from tflm_build.image.size import Row
from tflm_build.table import show_table

__all__ = ["show_size"]

_TITLES: Final = ("part", "flash", "RAM", "arena")
_NOTE: Final = "in bytes; arena: from the descriptor, its memory counts for another part"


def show_size(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the rows of `size_image` on standard output."""
    if as_json:
        sys.stdout.write(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n")
        return
    *lines, total = _lines(rows)
    show_table(_TITLES, lines, left=_TITLES[:1], total=total, note=_NOTE)


def _lines(rows: Sequence[Row], indent: str = "") -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row, and of what it consists of."""
    for row in rows:
        arena = "" if row.arena is None else f"{row.arena:,}"
        yield f"{indent}{row.part}", f"{row.flash:,}", f"{row.ram:,}", arena
        yield from _lines(row.parts, indent + "  ")
