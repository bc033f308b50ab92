# SPDX-License-Identifier: Apache-2.0
"""The manifest is what its published schema says, and says where each number comes from."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support import ROOT
from support.interpreters import read_manifest
from tflm_build.stages.measure import INTERPRETER_SIZE

SCHEMA = json.loads((ROOT / "docs" / "reference" / "manifest.schema.json").read_text())


@pytest.mark.parametrize("folder", ["hello_world", "cnn"])
def test_a_manifest_is_valid(folder: str, request: pytest.FixtureRequest) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(read_manifest(request.getfixturevalue(folder)), SCHEMA, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("change", "message"), [
    ({"time": "now"}, "'time' was unexpected"),
    ({"schema_version": 2}, "1 was expected"),
    ({"macs": -1}, "-1 is less than the minimum of 0"),
    ({"inputs": []}, r"\[\] should be non-empty"),
])  # fmt: skip
def test_the_schema_refuses_what_is_not_in_it(change: dict[str, Any], message: str, hello_world: Path) -> None:
    with pytest.raises(jsonschema.ValidationError, match=message):
        jsonschema.validate(read_manifest(hello_world) | change, SCHEMA, jsonschema.Draft202012Validator)


def test_the_runtime_has_as_much_for_the_interpreter() -> None:
    header = (ROOT / "runtime" / "include" / "tflm_build" / "model.h").read_text()
    assert re.findall(r"^#define TFLM_INTERPRETER_SIZE (\d+)$", header, re.MULTILINE) == [str(INTERPRETER_SIZE)]


def test_numbers_agree_with_each_other(cnn: Path) -> None:
    manifest = read_manifest(cnn)
    arena = manifest["arena"]
    assert manifest["macs"] == sum(layer["macs"] for layer in manifest["layers"]) > 0
    assert sum(used["count"] for used in manifest["ops"]) == len(manifest["layers"])
    assert arena["lower_bound"] <= arena["head"] <= arena["smallest"] - arena["tail"]
    assert arena["size"] == arena["smallest"] + arena["interpreter"] == int((cnn / "cnn.arena").read_text())
    assert arena["lower_bound"] == sum(tensor["bytes"] for tensor in arena["peak"])
    assert manifest["model"]["bytes"] == (cnn / "cnn.tflite").stat().st_size < manifest["model"]["bytes_before"]
