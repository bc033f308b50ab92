# SPDX-License-Identifier: Apache-2.0
"""`tflm-build init`: a project that builds and tests at once, by the commands that it prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT


def start(folder: Path, *words: str, check: bool = True) -> str:
    """Start a project; return what is printed."""
    command: list[str | Path] = [sys.executable, "-m", "tflm_build", "init", folder, *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode == 0) == check, result.stderr
    return result.stdout if check else result.stderr


def told(folder: Path) -> list[str]:
    """Return the commands that a project's README gives to copy; it must not lead out of the project."""
    text = (folder / "README.md").read_text("utf-8")
    assert "](" not in text
    return [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text) for line in block.splitlines()]


@pytest.mark.parametrize(("target", "passed"), [("host", 2), ("cortex-m-qemu", 2)])
def test_a_project_of_cmake(target: str, passed: int, tmp_path: Path) -> None:
    commands = start(tmp_path / "my firmware", "--target", target)
    assert commands.splitlines()[1:] == told(tmp_path / "my firmware")
    assert commands.splitlines()[0] == f"cd '{tmp_path / 'my firmware'}'"
    environment = {**os.environ, "tflm_build_ROOT": str(ROOT / "cmake")}
    result = subprocess.run(
        ["bash", "-euc", commands], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"100% tests passed, 0 tests failed out of {passed}" in result.stdout


def test_a_workspace_of_bazel(tmp_path: Path) -> None:
    """What tests/bazel builds of the example is not built again here: the workspace loads, rules and all."""
    folder = tmp_path / "firmware"
    message = start(tmp_path / "my firmware", "--bazel", check=False)
    assert f"FOLDER '{tmp_path / 'my firmware'}' has a space in its path, where Bazel does not build; choose" in message
    assert start(folder, "--bazel").splitlines() == [f"cd {folder}", "bazel test //..."]
    assert told(folder) == ["bazel test //...", "bazel test --config=device //..."]
    query = ["bazel", "--nohome_rc", "--max_idle_secs=5", f"--output_user_root={tmp_path / 'root'}", "query"]
    python = f"--repo_env=TFLM_BUILD_PYTHON={sys.executable}"
    found = subprocess.run([*query, python, "deps(//...)"], cwd=folder, capture_output=True, text=True, check=True)
    labels = found.stdout.split()
    assert {"//fw:model", "//fw:sine_test", "//board:check_test"} < set(labels)
    assert "@tflm_build//bazel/runtime:session" in labels
    assert not [label for label in labels if label.startswith("//third_party")]


def test_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    message = start(tmp_path, check=False)
    assert message.startswith(f"tflm-build: error: init: FOLDER '{tmp_path}' holds something; allowed: a new or empty")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
