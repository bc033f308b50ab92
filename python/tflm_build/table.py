# SPDX-License-Identifier: Apache-2.0
"""Print a table: drawn on a terminal, in plain columns elsewhere."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

from tflm_build.escape import escape
from tflm_build.fit_table import Table, fit

__all__ = ["show_lines", "show_table"]


def show_lines(lines: Iterable[str]) -> None:
    """Print lines on standard output; on a terminal, what is too long goes on, indented, in the next line."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for line in map(escape, lines):
        more = " " * (len(line) - len(line.lstrip()) + 8)
        shown = [line] if len(line) <= width else textwrap.wrap(line, width, subsequent_indent=more)
        sys.stdout.write("\n".join(shown) + "\n")


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Sequence[str],
    total: Sequence[str] | None = None,
    title: str = "",
    note: str = "",
    names: str = "",
    yields: Sequence[str] = (),
) -> None:
    """Print rows on standard output.

    Args:
        columns: their titles.
        rows: a cell for each column; whatever a cell holds is shown as it is, on one line.
        left: the columns whose cells begin at the left; those of all others, numbers, end at the right.
        total: a last row.
        title: what the rows are; printed above them.
        note: printed below them.
        names: the column with names of layers or tensors, which are shortened where a terminal is too narrow.
        yields: columns that are left out where a terminal is too narrow, the first one first.
    """
    cells = [[escape(cell) for cell in row] for row in rows]
    last = None if total is None else [escape(cell) for cell in total]
    if sys.stdout.isatty():
        _draw(Table(columns, cells, last, names, yields), left, title, note)
        return
    lines = [*([title] if title else []), *_plain([list(columns), *cells, *([] if last is None else [last])], left)]
    sys.stdout.write("\n".join([*lines, *([f"({note})"] if note else [])]) + "\n")


def _plain(table: Sequence[Sequence[str]], left: Sequence[str]) -> list[str]:
    """Write columns that are as wide as they have to be."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    aligned = ["<" if name in left else ">" for name in table[0]]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, width, side in zip(row, widths, aligned, strict=True)).rstrip()
        for row in table
    ]


def _draw(table: Table, left: Sequence[str], title: str, note: str) -> None:
    """Draw a table that fits the terminal."""
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    console = Console()
    table, left_out = fit(table, console.width)
    notes = [
        *([note] if note else []),
        *([f"{left_out}; a wider terminal has all, and so has a file"] if left_out else []),
    ]
    drawn = Drawn(
        title=Text(title) if title else None,
        title_justify="left",
        caption=Text("\n".join(notes)) if notes else None,
        caption_justify="left",
        show_footer=table.total is not None,
    )
    for index, name in enumerate(table.columns):
        footer = Text("" if table.total is None else table.total[index])
        drawn.add_column(Text(name), footer, justify="left" if name in left else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    console.print(drawn)
