# SPDX-License-Identifier: Apache-2.0
"""Show what became of a model: as a table, as Markdown for a pull request, or as JSON."""

import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any, Final

from tflm_build.describe.compare import Comparison, Measure
from tflm_build.escape import escape
from tflm_build.table import show_table

__all__ = ["show_comparison"]

_COLUMNS: Final = ("what", "before", "after", "change")


def show_comparison(comparison: Comparison, faults: Sequence[str], form: str) -> None:
    """Print a comparison on standard output.

    Args:
        comparison: of two models.
        faults: the limits that are exceeded.
        form: text, markdown or json.
    """
    if form == "json":
        content = {**dataclasses.asdict(comparison), "exceeded": list(faults)}
        sys.stdout.write(json.dumps(_finite(content), indent=2) + "\n")
        return
    title = " -> ".join(dict.fromkeys(comparison.names))
    rows = [*(_measure(measure) for measure in comparison.measures), *_facts(comparison)]
    if form == "text":
        show_table(_COLUMNS, rows, left=_COLUMNS[:1], title=escape(title))
        return
    sides = ("---", *["--:"] * (len(_COLUMNS) - 1))
    lines = [f"### {_plain(title)}", "", _line(_COLUMNS), _line(sides)]
    lines += [_line([_plain(cell) for cell in row]) for row in rows]
    if faults:
        lines += ["", *(f"- {_plain(fault)}" for fault in faults)]
    sys.stdout.write("\n".join(lines) + "\n")


def _measure(measure: Measure) -> tuple[str, ...]:
    """Return the cells of a number."""
    name = f"{measure.name} {measure.unit}" if measure.unit == "B" else measure.name
    change = "="
    if measure.change:
        share = ""
        if measure.before and isfinite(measure.change) and measure.unit != "dB":
            share = f" ({measure.change / measure.before:+.1%})"
        change = f"{_number(measure.change, '+')}{share}"
    elif measure.before is None or measure.after is None:
        change = ""
    return (name, _number(measure.before), _number(measure.after), change)


def _number(value: float | None, sign: str = "") -> str:
    """Write a number: a whole one with all digits, another with four."""
    if value is None:
        return "-"
    return f"{int(value):{sign},}" if isfinite(value) and value == int(value) else f"{value:{sign}.4g}"


def _facts(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Yield the cells of texts that differ."""
    for fact in comparison.facts:
        yield (fact.name, fact.before or "-", fact.after or "-", "")


def _line(cells: Sequence[str]) -> str:
    """Write a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Escape what Markdown or HTML would take for markup."""
    return re.sub(r"([\\`*_\[\]<>#|&~@])", r"\\\1", escape(text))


def _finite(value: Any) -> Any:
    """Replace infinite numbers, which JSON does not have, by null."""
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(element) for element in value]
    return None if isinstance(value, float) and not isfinite(value) else value
