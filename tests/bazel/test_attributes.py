# SPDX-License-Identifier: Apache-2.0
"""The attributes of the rules against the one table of options, and their documentation."""

import dataclasses
import runpy
import subprocess
import sys

from support import ROOT
from tflm_build.options import Options

# What an option with more than one kind of value is in Bazel, beside the attribute of its name.
SPLIT = {"calibration_function", "calibration_random", "data", "src_function", "test_data_function"}


SCRIPT = ROOT / "scripts" / "rules_reference.py"
ATTRIBUTES = runpy.run_path(str(SCRIPT))["evaluate"](ROOT / "bazel" / "private" / "attributes.bzl")
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


def test_the_reference_says_what_the_rules_say() -> None:
    result = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
