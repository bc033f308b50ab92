# SPDX-License-Identifier: Apache-2.0
"""Budgets are build errors that name the largest layers."""

import re
from pathlib import Path

import pytest

from support.interpreters import Run, read_manifest


@pytest.mark.parametrize(("option", "budget", "message"), [
    ("--max-flash", "1K", r"--max-flash is exceeded: got [\d,]+ B of flash; allowed: 1,024; the largest layers: '.*'"),
    ("--max-arena", "512", r"--max-arena is exceeded: got [\d,]+ B of arena; allowed: 512; the largest layers: "),
    ("--max-macs", "1k", r"--max-macs is exceeded: got [\d,]+ MACs; allowed: 1,000; the largest layers: '.*' [\d,]+,"),
    ("--max-macs", "many", "--max-macs got 'many'; allowed: a whole number, with K or M behind if wanted; such as 32K"),
])  # fmt: skip
def test_an_exceeded_budget(option: str, budget: str, message: str, cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = tflm_build(
        "convert", "--name", "cnn", "--src", cnn / "cnn.tflite", option, budget, "--out-dir", out, "--quiet"
    )
    assert result.returncode == 1
    assert re.search(message, result.stderr), result.stderr
    assert not out.exists()


def test_a_budget_that_is_just_kept(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    manifest = read_manifest(cnn)
    result = tflm_build(
        "convert", "--name", "cnn", "--src", cnn / "cnn.tflite", "--max-flash", str(manifest["model"]["bytes"]),
        "--max-arena", str(manifest["arena"]["size"]), "--max-macs", str(manifest["macs"]), "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
