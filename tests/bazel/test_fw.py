# SPDX-License-Identifier: Apache-2.0
"""The example as a user finds it: its model, its firmware, its tests."""

import subprocess
from pathlib import Path

from workspaces import EXAMPLE, ROOT, Workspace, served


def test_the_example(tmp_path: Path) -> None:
    with served(Workspace(EXAMPLE, tmp_path / "base")) as workspace:
        workspace.bazel("build", "//fw:model")
        assert len(workspace.emitted("fw", "model")) == 10
        words = workspace.bazel("test", "//...").words
        for name in ("firmware_test", "model_test", "sine_test"):
            assert f"//fw:{name} PASSED" in " ".join(words.split())
        firmware = subprocess.run([workspace.outputs() / "fw" / "firmware"], capture_output=True, text=True, check=True)
        lines = firmware.stdout.splitlines()
        assert len(lines) == 9
        assert lines[0].startswith("sine of 0.000 is ")


def test_the_root(tmp_path: Path) -> None:
    """The project itself is a workspace, of the rules and the runtime."""
    with served(Workspace(ROOT, tmp_path / "base")) as workspace:
        workspace.bazel("build", "//...")
