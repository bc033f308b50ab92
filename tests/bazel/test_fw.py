# SPDX-License-Identifier: Apache-2.0
"""The example as a user finds it: its model, its firmware, its tests."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support import ROOT
from support.projects import checkout_files
from support.workspaces import EXAMPLE, Workspace, served


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the project: Bazel itself refuses a workspace below a folder with a space, where this one may lie."""
    for file in checkout_files():
        (tmp_path / "checkout" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / "checkout" / file)
    return tmp_path / "checkout"


def test_the_example(checkout: Path, tmp_path: Path) -> None:
    with served(Workspace(checkout / EXAMPLE.relative_to(ROOT), tmp_path / "base")) as workspace:
        workspace.bazel("build", "//fw:model")
        assert len(workspace.emitted("fw", "model")) == 10
        words = workspace.bazel("test", "//...").words
        for name in ("firmware_test", "model_test", "sine_test"):
            assert f"//fw:{name} PASSED" in " ".join(words.split())
        words = workspace.bazel("test", "--config=device", "//...").words
        assert "Executed 2 out of 5 tests: 2 tests pass and 3 were skipped" in words
        assert "//board:check_test PASSED" in words
        manifest = json.loads((workspace.outputs("--config=device") / "fw" / "model.tflm" / "model.json").read_text())
        assert (manifest["arena"]["target"], manifest["arena"]["basis"]) == ("cortex-m3", "bound")
        workspace.bazel("build", "--repo_env=CC=clang", "--features=layering_check", "//...")
        workspace.bazel("coverage", "--combined_report=lcov", "//fw:sine_test")
        report = (workspace.outputs().parents[1] / "_coverage" / "_coverage_report.dat").read_text()
        of_sine = report.partition("SF:fw/sine.c\n")[2].partition("end_of_record")[0].split()
        assert len(of_sine) > 5
        assert all(int(line.partition(",")[2]) > 0 for line in of_sine)
        firmware = subprocess.run([workspace.outputs() / "fw" / "firmware"], capture_output=True, text=True, check=True)
        lines = firmware.stdout.splitlines()
        assert len(lines) == 9
        assert lines[0].startswith("sine of 0.000 is ")


def test_the_root(checkout: Path, tmp_path: Path) -> None:
    """The project itself is a workspace, of the rules and the runtime."""
    with served(Workspace(checkout, tmp_path / "base")) as workspace:
        workspace.bazel("build", "//...")
