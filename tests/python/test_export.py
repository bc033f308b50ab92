# SPDX-License-Identifier: Apache-2.0
"""What is exported is what other programs read, and only where they can use it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.interpreters import Run
from support.manifests import save
from tflm_build.errors import TflmBuildError
from tflm_build.export.arduino import export_arduino
from tflm_build.export.esphome import WakeWord, export_esphome

# MANIFEST_SCHEMA_V2 of ESPHome, as JSON says it. It allows no other parts.
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
MICRO = {
    "feature_step_size": {"type": "integer", "minimum": 0, "maximum": 30},
    "tensor_arena_size": WHOLE,
    "probability_cutoff": {"type": "number"},
    "sliding_window_size": {"type": "integer", "minimum": 1},
    "minimum_esphome_version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
}
PARTS = {
    "type": {"const": "micro"},
    "model": TEXT,
    "author": TEXT,
    "version": {"const": 2},
    "wake_word": TEXT,
    "trained_languages": {"type": "array", "items": TEXT},
    "micro": {"type": "object", "properties": MICRO, "required": list(MICRO), "additionalProperties": False},
}
SCHEMA = {
    "type": "object",
    "properties": {**PARTS, "website": {"type": "string", "format": "uri"}},
    "required": list(PARTS),
    "additionalProperties": False,
}

SAID = (
    "--wake-word", "Hey you", "--author", "Somebody", "--language", "en", "--language", "de", "--feature-step-size",
    "10", "--probability-cutoff", "0.97", "--sliding-window-size", "5",
)  # fmt: skip


def manifest(**changes: Any) -> dict[str, Any]:
    """Return what the command reads of a manifest."""
    kept = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CONV_2D", "QUANTIZE")
    return {
        "schema_version": 1,
        "name": "hey",
        "arena": {"size": 14_080, "interpreter": 512},
        "inputs": [{"type": "int8", "shape": [1, 3, 40]}],
        "outputs": [{"type": "uint8", "shape": [1, 1]}],
        "ops": [{"op": op} for op in kept],
        "state": {"bytes": 1120, "variables": 4, "kernels": []},
        **changes,
    }


def test_the_json_is_what_esphome_reads(tflm_build: Run, tmp_path: Path) -> None:
    source = save(manifest(), tmp_path / "hey.json")
    done = tflm_build("export", "esphome", source, *SAID, "--website", "https://example.org")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'hey_esphome.json'}\n"), done.stderr
    written = json.loads((tmp_path / "hey_esphome.json").read_text())
    jsonschema.validate(written, SCHEMA)
    assert written["model"] == "hey.tflite"
    assert written["trained_languages"] == ["en", "de"]
    # The interpreter is not in the arena that ESPHome makes.
    assert written["micro"]["tensor_arena_size"] == 13_568
    assert written["micro"]["minimum_esphome_version"] == "2024.7.0"
    done = tflm_build("export", "esphome", source, *SAID, "-o", tmp_path / "models" / "v2" / "hey.json")
    assert done.returncode == 0, done.stderr
    elsewhere = json.loads((tmp_path / "models" / "v2" / "hey.json").read_text())
    jsonschema.validate(elsewhere, SCHEMA)
    assert (elsewhere["model"], "website" in elsewhere) == ("../../hey.tflite", False)


WORD = WakeWord("Hey you", "Somebody", None, ("en",), 10, 0.97, 5, "2024.7.0")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"outputs": [{"type": "int8", "shape": [1, 1]}]},
            r"are int8\[1, 3, 40\], int8\[1, 1\]; allowed: int8\[1, steps",
        ),
        ({"inputs": [{"type": "int8", "shape": [1, 120]}]}, r"are int8\[1, 120\], uint8"),
        ({"ops": [{"op": "SOFTMAX"}, {"op": "ADD"}]}, "it has no kernel for SOFTMAX; allowed: ADD, "),
        ({"state": {"bytes": 84, "variables": 21, "kernels": []}}, "it has 21 variables; allowed: 20"),
        ({"arena": None}, "is damaged: TypeError: "),
        ({"state": None}, "is damaged: TypeError: "),
    ],
)
def test_what_esphome_would_refuse_gets_none(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    source = save(manifest(**changes), tmp_path / "hey.json")
    with pytest.raises(TflmBuildError, match=words):
        export_esphome(source, None, WORD)
    assert [path.name for path in tmp_path.iterdir()] == ["hey.json"]


@pytest.mark.parametrize("name", ["hey.json", "hey.yaml"])
def test_the_manifest_is_not_overwritten(name: str, tmp_path: Path) -> None:
    source = save(manifest(), tmp_path / "hey.json")
    with pytest.raises(TflmBuildError, match=r"OUTPUT got '.*'; allowed: a \.json file, but the manifest"):
        export_esphome(source, tmp_path / name, WORD)


def test_values_out_of_range_are_wrong_usage(tflm_build: Run, tmp_path: Path) -> None:
    done = tflm_build("export", "esphome", save(manifest(), tmp_path / "hey.json"), *SAID, "--feature-step-size", "31")
    assert done.returncode == 2
    assert "31 is not in the range 0<=x<=30" in done.stderr


@pytest.mark.parametrize(
    ("folder", "header", "words"),
    [
        ("new", "no header", r"TFLM_HEADER got 'no header'; allowed: the name of a header"),
        ("", "TFLM.h", r"OUTPUT '.*' holds something else than an Arduino library; choose a new or empty folder"),
        ("new", "TFLM.h", r"'hey_data.c' is not beside 'hey.json': EMBED incbin makes no array"),
        ("hey.json/in", "TFLM.h", r"OUTPUT '.*' cannot be written to: Not a directory; choose another"),
    ],
)
def test_what_becomes_no_library_for_arduino(folder: str, header: str, words: str, tmp_path: Path) -> None:
    source = save(manifest(symbol="hey"), tmp_path / "hey.json")
    if folder.endswith("in"):
        for end in (".h", ".c", "_data.c", "_ops.cc"):
            (tmp_path / f"hey{end}").touch()
    with pytest.raises(TflmBuildError, match=words):
        export_arduino([source], tmp_path / folder, header)
    assert not (tmp_path / "new").exists()
