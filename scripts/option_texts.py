#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the texts of options from python/tflm_build/options.py into the references, or check them.

They go into the head of cmake/TflmBuild.cmake, the doc strings of bazel/private/attributes.bzl and the table of
docs/reference/options.md.
"""

import argparse
import dataclasses
import difflib
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tflm_build.options import Options
from tflm_build.spelling import spell

_ROOT: Final = Path(__file__).resolve().parents[1]
_WIDTH: Final = 120
_FIELDS: Final = {field.name: field for field in dataclasses.fields(Options)}

# The column "values" of options.md, for options without choices.
_VALUES: Final = {
    "name": "a C identifier",
    "src": "path, or `module.py:function`; see [Sources](#sources)",
    "calibration": "see [Data](#data)",
    "test_data": "see [Data](#data)",
    "max_lsb": "0 and more",
    "max_float_error": "0 and more",
    "min_top1": "0 to 1",
    "min_sqnr": "0 and more",
    "arena": "`12K`",
    "max_flash": "`32K`",
    "max_arena": "`16K`",
    "max_macs": "`3M`",
    "symbol": "a C identifier",
    "section": "`.flash_models`",
    "report": "no value; see [Report](../guide/looking.md#report)",
    "align": "16 (default) to 4096, a power of two",
}


def _text(name: str, caller: str, quote: str = "") -> str:
    """Return what an option means, as a caller's reference says it; other options stand in quotes."""
    facts = _FIELDS[name].metadata
    text = facts["texts"].get(caller, facts["meaning"])
    return spell(re.sub(r"(`[A-Z][A-Z0-9_]+`)", rf"{quote}\1{quote}", text), caller)


def _default(name: str) -> str:
    """Return what is allowed and what the default is, where that is a fixed set or number."""
    choices, default = _FIELDS[name].metadata["choices"], _FIELDS[name].default
    if choices:
        return "; one of " + ", ".join(f"{choice} (default)" if choice == default else choice for choice in choices)
    return f"; default: {default}" if isinstance(default, int) and default is not False else ""


def _cmake(before: str) -> str:
    """Return the CMake module with the list of keywords in its head."""
    entries = []
    for name in _FIELDS:
        if name != "name":
            text = _text(name, "cmake", "``") + _default(name)
            lines = textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
            entries.append(f"  ``{name.upper()}``\n{lines}\n")
    begin, end = "  and takes\n\n", "\n  Relative files"
    return before[: before.index(begin) + len(begin)] + "".join(entries) + before[before.index(end) :]


def _sentence(name: str) -> str:
    """Return what the documentation of an attribute says."""
    text = _text(name, "bazel", "`") + _default(name) + "."
    return text[0].upper() + text[1:]


def _attributes(before: str) -> str:
    """Return the Bazel attributes with their doc strings."""

    def replace(match: re.Match[str]) -> str:
        if match["name"] not in _FIELDS:
            return match[0]
        text = _sentence(match["name"])
        line = f'        doc = "{text}",'
        if len(line) > _WIDTH:
            line = textwrap.fill(f'        doc = """{text}""",', _WIDTH, break_on_hyphens=False)
        return f"{match['head']}{line}\n"

    pattern = r'(?P<head>^    "(?P<name>\w+)": attr\.\w+\(\n)        doc = (?:"""[^"]*"""|"[^"\n]*"),\n'
    return re.sub(pattern, replace, before, flags=re.MULTILINE)


def _rows() -> Iterator[str]:
    """Give the rows of the table of options."""
    for name, field in _FIELDS.items():
        choices = field.metadata["choices"] or ()
        values = ", ".join(f"`{choice}`" + " (default)" * (choice == field.default) for choice in choices)
        values = values or _VALUES.get(name, "no value")
        keyword = "first argument" if name == "name" else f"`{name.upper()}`"
        option = spell(f"``{name.upper()}``", "command")
        yield f"| {option}, {keyword} | {_text(name, 'command', '`')} | {values} |\n"


def _options_page(before: str) -> str:
    """Return the page about options with its table."""
    head = "| command line, CMake | meaning | values |\n| --- | --- | --- |\n"
    start = before.index(head) + len(head)
    return before[:start] + "".join(_rows()) + before[before.index("\n\n", start) + 1 :]


_FILES: Final[Mapping[str, Callable[[str], str]]] = {
    "cmake/TflmBuild.cmake": _cmake,
    "bazel/private/attributes.bzl": _attributes,
    "docs/reference/options.md": _options_page,
}


def main() -> int:
    """Write the files; with --check compare instead, print the differences, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the files, and write nothing")
    check = parser.parse_args().check
    status = 0
    for name, write in _FILES.items():
        path = _ROOT / name
        before = path.read_text("utf-8")
        after = write(before)
        if not check:
            path.write_text(after, "utf-8")
        elif before != after:
            lines = (before.splitlines(keepends=True), after.splitlines(keepends=True))
            sys.stdout.writelines(difflib.unified_diff(*lines, name, f"{name}, as options.py has it"))
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
