# SPDX-License-Identifier: Apache-2.0
"""What `diff` says of two manifests, and the limits that a build can hold it to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.interpreters import HELLO_WORLD, Run, read_manifest


@pytest.fixture(scope="module")
def manifests(tflm_build: Run, hello_world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Quantize the example to int8 and to int16x8."""
    folder = tmp_path_factory.mktemp("int16x8")
    result = tflm_build(
        "convert", "--name", "hello_world", "--src", HELLO_WORLD / "hello_world.keras", "--quantize", "int16x8",
        "--calibration", HELLO_WORLD / "calibration.npz", "--max-lsb", "8", "--out-dir", folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return hello_world / "hello_world.json", folder / "hello_world.json"


def change(folder: Path, hello_world: Path, edit: Callable[[Any], object]) -> Path:
    """Write a manifest that differs from the example's."""
    content = read_manifest(hello_world)
    edit(content)
    path = folder / "after.json"
    path.write_text(json.dumps(content))
    return path


def test_int8_and_int16x8(manifests: tuple[Path, Path], tflm_build: Run) -> None:
    before, after = (json.loads(path.read_text()) for path in manifests)
    result = tflm_build("diff", *manifests)
    assert (result.returncode, result.stderr) == (0, "")
    title, header, *lines = result.stdout.splitlines()
    assert (title, header.split()) == ("hello_world", ["what", "before", "after", "change"])
    rows = {tuple(line.split())[:1]: line.split() for line in lines}
    flash = [before["model"]["bytes"], after["model"]["bytes"]]
    grown = f"{flash[1] - flash[0]:+,}", f"({flash[1] / flash[0] - 1:+.1%})"
    assert rows[("flash",)] == ["flash", "B", *(f"{size:,}" for size in flash), *grown]
    assert rows[("macs",)] == ["macs", "149", "288", "+139", "(+93.3%)"]
    assert rows[("quantization",)] == ["quantization", "int8", "int16x8"]
    assert rows[("sqnr",)][1:3] == [f"{content['accuracy']['sqnr_db'][0]:.4g}" for content in (before, after)]
    assert any(line.split() == ["option", "quantize", "int8", "int16x8"] for line in lines)
    assert not any(line.startswith(("op ", "version")) for line in lines)


def test_markdown_is_a_table(manifests: tuple[Path, Path], tflm_build: Run) -> None:
    result = tflm_build("diff", *manifests, "--format", "markdown", "--fail-if", "flash+1%")
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert lines[:4] == [r"### hello\_world", "", "| what | before | after | change |", "| --- | --: | --: | --: |"]
    assert r"| option max\_lsb | none | 8 |  |" in lines
    assert lines[-1].startswith("- flash grew from ")
    assert all(line.count(" | ") == 3 for line in lines[2:-2])


def test_json(manifests: tuple[Path, Path], tflm_build: Run) -> None:
    content = json.loads(tflm_build("diff", *manifests, "--format", "json", "--fail-if", "macs+139").stdout)
    assert content["names"] == ["hello_world", "hello_world"]
    assert {"name": "macs", "unit": "MACs", "before": 149, "after": 288} in content["measures"]
    assert {"name": "quantization", "before": "int8", "after": "int16x8"} in content["facts"]
    assert content["exceeded"] == []


def test_a_manifest_and_itself(hello_world: Path, tflm_build: Run) -> None:
    path = hello_world / "hello_world.json"
    limits = [f"--fail-if={name}+0%" for name in ("flash", "arena", "activations", "weights", "macs", "float-error")]
    result = tflm_build("diff", path, path, *limits, "--fail-if", "sqnr-0")
    assert (result.returncode, result.stderr) == (0, "")
    assert all(line.endswith(" =") for line in result.stdout.splitlines()[2:])


def test_ops_and_tools(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    def edit(content: Any) -> None:
        content["ops"].append({"op": "SOFTMAX", "count": 2, "method": "AddSoftmax"})
        content["versions"]["numpy"] = "9.9"

    lines = tflm_build("diff", hello_world / "hello_world.json", change(tmp_path, hello_world, edit)).stdout
    assert ["op", "SOFTMAX", "-", "2"] in [line.split() for line in lines.splitlines()]
    assert "version of numpy" in lines


LIMITS: dict[str, tuple[Callable[[Any], object], list[str], list[str]]] = {
    "kept": (lambda content: content["arena"].update(size=1049), ["arena+5%"], []),
    "exceeded by a byte": (
        lambda content: content["arena"].update(size=1051),
        ["arena+5%"],
        ["arena grew from 1,000 to 1,051 B by 5.1%; allowed: arena+5%; fix the model, or raise the limit"],
    ),
    "kibibytes": (lambda content: content["arena"].update(size=2024), ["arena+1K"], []),
    "kibibytes and a byte": (lambda content: content["arena"].update(size=2025), ["arena+1K"], ["arena grew from 1,0"]),
    "thousands": (lambda content: content["layers"][0].update(macs=1501), ["macs+1.5K"], ["macs grew from 0 to 1,501"]),
    "smaller is no harm": (lambda content: content["arena"].update(size=10), ["arena+0"], []),
    "less accuracy": (
        lambda content: content["accuracy"].update(top1=0.89, sqnr_db=[30.0]),
        ["top1-0.01", "top1-1%", "sqnr-3", "sqnr-10"],
        [
            "top1 fell from 0.9 to 0.89 by 1.1%; allowed: top1-1%",
            "sqnr fell from 40 to 30 dB by 25.0%; allowed: sqnr-3",
        ],
    ),
    "all of them": (
        lambda content: (content["arena"].update(size=5000), content["accuracy"].update(float_error=[1.0])),
        ["arena+1%", "float-error+100%"],
        ["arena grew", "float-error grew from 0.1 to 1 by 900.0%; allowed: float-error+100%"],
    ),
    "from exact to inexact": (
        lambda content: content["accuracy"].update(sqnr_db=[None]),
        ["sqnr-0"],
        [],
    ),
    "what one of them does not have": (
        lambda content: content.update(accuracy=None),
        ["top1-1%"],
        ["--fail-if got 'top1-1%', but not both models have a number for top1; leave it out"],
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits(case: str, hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    edit, limits, faults = LIMITS[case]

    def simple(content: Any) -> None:
        content["arena"]["size"] = 1000
        content["accuracy"] = {"samples": 9, "float_error": [0.1], "sqnr_db": [40.0], "top1": 0.9}
        for layer in content["layers"]:
            layer["macs"] = 0

    before = change(tmp_path, hello_world, simple).rename(tmp_path / "before.json")
    after = change(tmp_path, tmp_path, edit)
    result = tflm_build("diff", before, after, *(word for limit in limits for word in ("--fail-if", limit)))
    assert result.returncode == (1 if faults else 0), result
    lines = result.stderr.splitlines()
    assert len(lines) == len(faults), result.stderr
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith("tflm-build: error: hello_world: ")
        assert fault in line


@pytest.mark.parametrize(
    "limit", ["", "arena", "arena+", "arena5%", "arena-5%", "sqnr+1", "ram+1", "arena+x", "arena+-1", "arena+5%%"]
)
def test_what_is_no_limit(limit: str, hello_world: Path, tflm_build: Run) -> None:
    path = hello_world / "hello_world.json"
    result = tflm_build("diff", path, path, "--fail-if", limit)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert f"--fail-if got '{limit}'; allowed: one of flash+, arena+, " in line
    assert line.endswith("top1- and a number, with K, M or % behind; such as arena+5%")


def test_names_are_no_markup(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    evil = "<script>|`x`\x1b[31m\n[a](b) @all"

    def edit(content: Any) -> None:
        content["name"] = evil
        content["ops"].append({"op": evil, "count": 1, "method": None})
        content["inputs"][0]["name"] = evil

    after = change(tmp_path, hello_world, edit)
    for form in ("text", "markdown"):
        shown = tflm_build("diff", hello_world / "hello_world.json", after, "--format", form).stdout
        assert shown.replace("\n", "").isprintable()
        assert shown.count(r"\x1b" if form == "text" else r"\\x1b\[31m\\n\[a\](b) \@all") == 3
        assert ("<script>" in shown) == (form == "text")
        assert (r"\<script\>\|\`x\`" in shown) == (form == "markdown")


def test_a_manifest_that_is_none(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("{")
    result = tflm_build("diff", hello_world / "hello_world.json", tmp_path / "b.json")
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("tflm-build: error: b.json: MODEL '")
