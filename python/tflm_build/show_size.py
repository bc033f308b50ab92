# SPDX-License-Identifier: Apache-2.0
"""Show what the parts of an image take: a table for a terminal, plain lines elsewhere, or JSON."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from tflm_build.size_image import Row

__all__ = ["show_size"]

_TITLES: Final = ("part", "flash", "RAM", "arena")
_NOTE: Final = "in bytes; arena: from the descriptor, its memory counts for another part"


def show_size(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the rows of `size_image` on standard output."""
    if as_json:
        sys.stdout.write(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n")
        return
    lines = list(_lines(rows))
    if sys.stdout.isatty():
        _show_table(lines)
    else:
        _print_lines(lines)


def _lines(rows: Sequence[Row], indent: str = "") -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row, and of what it consists of."""
    for row in rows:
        arena = "" if row.arena is None else f"{row.arena:,}"
        yield f"{indent}{row.part}", f"{row.flash:,}", f"{row.ram:,}", arena
        yield from _lines(row.parts, indent + "  ")


def _print_lines(lines: Sequence[tuple[str, ...]]) -> None:
    """Print columns that are as wide as they have to be."""
    table = [_TITLES, *lines]
    widths = [max(len(line[column]) for line in table) for column in range(len(_TITLES))]
    for part, *numbers in table:
        cells = (f"{number:>{width}}" for number, width in zip(numbers, widths[1:], strict=True))
        sys.stdout.write("  ".join([f"{part:<{widths[0]}}", *cells]).rstrip() + "\n")
    sys.stdout.write(f"({_NOTE})\n")


def _show_table(lines: Sequence[tuple[str, ...]]) -> None:
    """Draw a table; the last line is the sum of the others."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(caption=_NOTE, caption_justify="left", show_footer=True)
    for title, total in zip(_TITLES, lines[-1], strict=True):
        table.add_column(title, total, justify="left" if title == "part" else "right")
    for line in lines[:-1]:
        table.add_row(*map(Text, line))
    Console().print(table)
