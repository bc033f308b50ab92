#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/reference/bazel.md from the doc strings of bazel/defs.bzl and its neighbours, or check them.

Below a heading that names a rule, a provider or a function is a table of its attributes, fields or arguments. Starlark
is evaluated as Python, of which it is a part; stand-ins for what Bazel and other modules bring keep doc strings.
"""

import argparse
import difflib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

_ROOT: Final = Path(__file__).resolve().parents[1]
_PAGE: Final = _ROOT / "docs" / "reference" / "bazel.md"
_PUBLIC: Final = ("defs", "toolchain", "repositories", "extensions")
_BUILT_IN: Final = ("Label", "module_extension", "provider", "repository_rule", "rule", "select", "tag_class")
_HEADS: Final = {"attrs": "attribute", "fields": "field", "arguments": "argument"}


def _keep(kind: str) -> Callable[..., dict[str, Any]]:
    """Return a function that keeps what it is called with."""
    return lambda *_, **facts: {"kind": kind, **facts}


class _Namespace:
    """A module of Bazel's, such as attr: each of its functions keeps what it is called with."""

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        return _keep(name)


def evaluate(path: Path, known: dict[Path, dict[str, Any]] | None = None) -> dict[str, Any]:
    """Evaluate a file of these rules, and what it loads of them.

    Args:
        path: of the .bzl file.
        known: files that were evaluated already.

    Returns:
        Its names; a rule, a provider or an attribute is a dict of what it was made of.
    """
    known = {} if known is None else known
    if path in known:
        return known[path]

    def load(label: str, *names: str, **others: str) -> None:
        package, _, file = label.removeprefix("//").partition(":")
        inside = label.startswith("//")
        loaded = evaluate(_ROOT / package / file, known) if inside else {}
        for name, foreign in [*((name, name) for name in names), *others.items()]:
            values[name] = loaded[foreign] if inside else lambda *_, **__: []

    makes = (
        "Label",
        "depset",
        "module_extension",
        "provider",
        "repository_rule",
        "rule",
        "select",
        "struct",
        "tag_class",
    )
    values: dict[str, Any] = {make: _keep(make) for make in makes}
    values |= {"attr": _Namespace(), "load": load, "native": SimpleNamespace()}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), values)  # noqa: S102 - a file of this project
    known[path] = values
    return values


def _sentence(text: str) -> str:
    """Return a doc string as a cell: one line, with a capital and an end."""
    line = " ".join(text.split())
    return line[0].upper() + line[1:].rstrip(".") + "."


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    """Give name and meaning of each argument in a doc string."""
    _, _, arguments = inspect.cleandoc(text).partition("Args:\n")
    for match in re.finditer(r"^    ([\w*]+): (.+(?:\n {5,}.+)*)", arguments.partition("\n\n")[0], re.MULTILINE):
        yield match[1], match[2]


def _rows(made: Any) -> Iterator[tuple[str, str, str]]:
    """Give kind, name and meaning of what a rule, a provider, an extension or a function takes."""
    if callable(made):
        yield from (("arguments", name, text) for name, text in _arguments(made.__doc__ or ""))
        return
    for tag, facts in made.get("tag_classes", {}).items():
        yield from (("attrs", f"{tag}.{name}", attribute["doc"]) for name, attribute in facts["attrs"].items())
    public = {name: facts for name, facts in made.get("attrs", {}).items() if "doc" in facts}
    for name in sorted(public, key=lambda name: not public[name].get("mandatory", False)):
        yield "attrs", name, public[name]["doc"]
    yield from (("fields", name, text) for name, text in made.get("fields", {}).items())


def _table(name: str, made: Any) -> str:
    """Return the table of what is public."""
    rows = list(_rows(made))
    if not rows:
        msg = f"{name}: no doc string says what it takes"
        raise ValueError(msg)
    head = f"| {_HEADS[rows[0][0]]} | meaning |\n| --- | --- |\n"
    return head + "".join(f"| `{row}` | {_sentence(text)} |\n" for _, row, text in rows)


def reference(page: str) -> str:
    """Return the page with its tables.

    Raises:
        ValueError: something public has no heading, or no doc string.
    """
    for module in _PUBLIC:
        path = _ROOT / "bazel" / f"{module}.bzl"
        made = evaluate(path)
        if module == "defs":  # a macro, which hands its attributes on to the rule
            made = {**made, "tflm_model": evaluate(_ROOT / "bazel" / "private" / "model.bzl")["_tflm_model"]}
        for name in re.findall(r"^(?:def )?((?:tflm|Tflm)\w*)(?: =|\()", path.read_text("utf-8"), re.MULTILINE):
            section = rf"^### `{name}`\n(?:(?!###? ).*\n)*?(\| \w+ \| meaning \|\n(?:\|.*\n)+)"
            found = re.search(section, page, re.MULTILINE)
            if not found:
                msg = f"docs/reference/bazel.md has no heading with a table for {name}"
                raise ValueError(msg)
            page = page[: found.start(1)] + _table(name, made[name]) + page[found.end(1) :]
    return page


def main() -> int:
    """Write the page; with --check compare instead, print the differences, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the page, and write nothing")
    check = parser.parse_args().check
    before = _PAGE.read_text("utf-8")
    after = reference(before)
    if not check:
        _PAGE.write_text(after, "utf-8")
        return 0
    lines = (before.splitlines(keepends=True), after.splitlines(keepends=True))
    sys.stdout.writelines(difflib.unified_diff(*lines, "bazel.md", "bazel.md, as the rules have it"))
    return int(before != after)


if __name__ == "__main__":
    sys.exit(main())
