# SPDX-License-Identifier: Apache-2.0
"""The archive of a release: the same bytes each time, what pins it, and a workspace that builds from it."""

import base64
import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

from support import ROOT
from support.workspaces import Workspace, served


def release(folder: Path) -> list[str]:
    """Write the archive; return what is printed."""
    folder.mkdir()
    command = [sys.executable, str(ROOT / "scripts" / "release_archive.py"), str(folder)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return result.stdout.splitlines()


def test_a_release(tmp_path: Path) -> None:
    path, sha256, integrity = release(tmp_path / "first")
    content = Path(path).read_bytes()
    digest = hashlib.sha256(content)
    assert sha256 == f"sha256 {digest.hexdigest()}"
    assert integrity == f"integrity sha256-{base64.b64encode(digest.digest()).decode()}"
    assert release(tmp_path / "second")[1:] == [sha256, integrity]
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    example = tmp_path / Path(path).name.removesuffix(".tar.gz") / "examples" / "fw"
    with served(Workspace(example, tmp_path / "base")) as workspace:
        workspace.bazel("build", "//fw:firmware", "//fw:model")
        assert len(workspace.emitted("fw", "model")) == 10
