# SPDX-License-Identifier: Apache-2.0
"""Print a table: drawn on a terminal, in plain columns elsewhere."""

import sys
from collections.abc import Sequence

from tflm_build.escape import escape

__all__ = ["show_table"]


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Sequence[str],
    total: Sequence[str] | None = None,
    title: str = "",
    note: str = "",
) -> None:
    """Print rows on standard output.

    Args:
        columns: their titles.
        rows: a cell for each column; whatever a cell holds is shown as it is, on one line.
        left: the columns whose cells begin at the left; those of all others, numbers, end at the right.
        total: a last row.
        title: what the rows are; printed above them.
        note: printed below them.
    """
    cells = [[escape(cell) for cell in row] for row in rows]
    last = None if total is None else [escape(cell) for cell in total]
    if sys.stdout.isatty():
        _draw(columns, cells, left, last, title, note)
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


def _draw(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: Sequence[str],
    total: Sequence[str] | None,
    title: str,
    note: str,
) -> None:
    """Draw a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        caption=Text(note) if note else None,
        caption_justify="left",
        show_footer=total is not None,
    )
    for index, name in enumerate(columns):
        footer = Text("" if total is None else total[index])
        table.add_column(Text(name), footer, justify="left" if name in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
