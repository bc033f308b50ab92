# SPDX-License-Identifier: Apache-2.0
"""Make a table fit the width of a terminal: what can be missed goes, in an order, and a note says what went."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Table", "fit"]

_FRAME: Final = 3  # of each column: a line and two spaces
_SHORTEST: Final = 12  # characters of a name
_DOTS: Final = "..."


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        columns: their titles.
        rows: a cell for each column.
        total: a last row; None: there is none.
        names: the column whose cells are names of layers or tensors; empty: there is none.
        yields: columns that may be left out, the first one first.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] | None = None
    names: str = ""
    yields: Sequence[str] = ()

    @property
    def width(self) -> int:
        """Characters of a line of it, drawn with a frame."""
        return sum(_FRAME + self.room(column) for column in range(len(self.columns))) + 1

    def room(self, column: int) -> int:
        """Return how many characters a column needs."""
        lines = [self.columns, *self.rows, *([] if self.total is None else [self.total])]
        return max(len(line[column]) for line in lines)


def fit(table: Table, width: int) -> tuple[Table, str]:
    """Leave out what is in the way, until a table is narrow enough or nothing more can go.

    The first to go is what many names begin with, then columns; what is left of a long name is its end.

    Args:
        table: as it would be with room for everything.
        width: characters of a line.

    Returns:
        The table, and a sentence that says what is left out; empty if nothing is.
    """
    notes = []
    place = list(table.columns).index(table.names) if table.names else None
    if place is not None and table.width > width:
        prefix = _common_prefix([row[place] for row in table.rows])
        if prefix:
            table = _rename(table, place, {row[place]: row[place].removeprefix(prefix) for row in table.rows})
            notes.append(f"names without {prefix}")
    gone = []
    for column in table.yields:
        if table.width <= width:
            break
        table = _without(table, column)
        gone.append(column)
    if gone:
        notes.append(f"no room for: {', '.join(gone)}")
    if place is not None and table.width > width:
        place = list(table.columns).index(table.names)
        room = max(table.room(place) - (table.width - width), _SHORTEST)
        table = _rename(table, place, {row[place]: _end(row[place], room) for row in table.rows})
    return table, "; ".join(notes)


def _common_prefix(names: Sequence[str]) -> str:
    """Return the folders that most names begin with, if all names are still different without them."""
    prefix, inside = "", list(names)
    while True:
        folders = Counter(name.partition("/")[0] for name in inside if "/" in name)
        folder, count = folders.most_common(1)[0] if folders else ("", 0)
        if count < 2 or count * 2 <= len(names):  # noqa: PLR2004 - of one name, nothing is common
            break
        prefix += f"{folder}/"
        inside = [name.removeprefix(f"{folder}/") for name in inside if name.startswith(f"{folder}/")]
    kept = len({name.removeprefix(prefix) for name in names}) == len(set(names))
    return prefix if kept else ""


def _end(name: str, room: int) -> str:
    """Return a name, or as much of its end as there is room for."""
    return name if len(name) <= room else _DOTS + name[len(name) - room + len(_DOTS) :]


def _rename(table: Table, place: int, names: dict[str, str]) -> Table:
    """Return a table with other names."""
    rows = [[names[cell] if column == place else cell for column, cell in enumerate(row)] for row in table.rows]
    return Table(table.columns, rows, table.total, table.names, table.yields)


def _without(table: Table, title: str) -> Table:
    """Return a table without a column."""
    kept = [place for place, name in enumerate(table.columns) if name != title]

    def pick(line: Sequence[str]) -> list[str]:
        return [line[place] for place in kept]

    total = None if table.total is None else pick(table.total)
    return Table(pick(table.columns), [pick(row) for row in table.rows], total, table.names, table.yields)
