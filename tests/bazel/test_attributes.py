# SPDX-License-Identifier: Apache-2.0
"""The attributes of the rules against the one table of options, and their documentation."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from support import ROOT
from tflm_build.options import Options

RULES = ROOT / "bazel"
# What an option with more than one kind of value is in Bazel, beside the attribute of its name.
SPLIT = {"calibration_function", "calibration_random", "data", "src_function", "test_data_function"}


def evaluate(file: Path) -> dict[str, Any]:
    """Evaluate a file of Starlark that says no more than Python would understand."""

    def attribute(kind: str) -> Any:
        return lambda **facts: {"kind": kind, **facts}

    kinds = ("bool", "int", "label", "label_list", "string", "string_list")
    names: dict[str, Any] = {
        "attr": SimpleNamespace(**{kind: attribute(kind) for kind in kinds}),
        "load": lambda *_, **__: None,
        "CcInfo": None,
    }
    exec(compile(file.read_text(), str(file), "exec"), names)  # noqa: S102 - a file of this project
    return names


ATTRIBUTES = evaluate(RULES / "private" / "attributes.bzl")
PUBLIC = ATTRIBUTES["CONVERSION_ATTRIBUTES"]


def test_every_option_is_an_attribute() -> None:
    fields = {field.name: field for field in dataclasses.fields(Options)}
    assert set(PUBLIC) == (set(fields) | SPLIT) - {"name"}
    files = {name for name, field in fields.items() if field.metadata["group"] == "file"} | {"src"}
    assert set(ATTRIBUTES["OPTIONS"]) == set(fields) - files - {"name"}
    for name, facts in PUBLIC.items():
        if name in SPLIT:
            continue
        field = fields[name]
        assert facts["kind"] == (
            "label" if name in files
            else "bool" if field.metadata["group"] == "flag"
            else "int" if field.metadata["kind"] is int
            else "string"
        ), name  # fmt: skip
        assert facts.get("mandatory", False) == (field.metadata["group"] == "required")
        if field.default not in {None, dataclasses.MISSING, False}:
            assert facts["default"] == field.default
            assert ATTRIBUTES["OPTIONS"][name] == ("" if name == "embed" else field.default)
        if choices := field.metadata["choices"]:
            assert facts["values"] == list(choices)


def test_every_attribute_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "bazel.md").read_text()
    for name, facts in {**PUBLIC, **ATTRIBUTES["LIBRARY_ATTRIBUTES"]}.items():
        assert facts["doc"].strip(), name
        line = " ".join(facts["doc"].split())
        assert f"| `{name}` | {line} |" in page, f"docs/reference/bazel.md lacks: | `{name}` | {line} |"
