# SPDX-License-Identifier: Apache-2.0
"""Budgets are build errors that name the largest layers."""

import re
import subprocess
from pathlib import Path

import pytest

from support.interpreters import Run, read_manifest


@pytest.mark.parametrize(("option", "budget", "message"), [
    ("--max-flash", "1K", r"got [\d,]+ B of flash; allowed: 1,024; [\d,]+ B describe layers of any size; "),
    ("--max-arena", "512", r"got 3,376 B of arena; allowed: 512; 2,656 B are what TFLM keeps for layers of any size"),
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


def test_a_budget_is_kept_to_the_last_unit(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    manifest = read_manifest(cnn)
    needs = {"flash": manifest["model"]["bytes"], "arena": manifest["arena"]["size"], "macs": manifest["macs"]}

    def build(out: str, **budgets: int) -> subprocess.CompletedProcess[str]:
        options = [word for what, budget in budgets.items() for word in (f"--max-{what}", str(budget))]
        source = cnn / "cnn.tflite"
        return tflm_build("convert", "--name", "cnn", "--src", source, *options, "--out-dir", tmp_path / out, "--quiet")

    kept = build("kept", **needs)
    assert kept.returncode == 0, kept.stderr
    assert (tmp_path / "kept" / "cnn.tflite").read_bytes() == (cnn / "cnn.tflite").read_bytes()
    for what, need in needs.items():
        exceeded = build("exceeded", **{what: need - 1})
        assert exceeded.returncode == 1
        assert re.search(rf"--max-{what} is exceeded: got {need:,} .*; allowed: {need - 1:,};", exceeded.stderr)
        assert not (tmp_path / "exceeded").exists()
