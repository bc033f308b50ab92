# SPDX-License-Identifier: Apache-2.0
"""TFLM by label: the same models and tests, with a vendor's library linked in place of the host's interpreter."""

import shutil
import subprocess

from support.vendor_tflm import GEMMLOWP, HEADERS, LIBRARY, SONAME
from support.workspaces import Workspace


def test_a_vendors_library(workspace: Workspace) -> None:
    folder = workspace.folder / "native"
    shutil.copytree(HEADERS, folder / "include", dirs_exist_ok=True)
    shutil.copytree(GEMMLOWP, folder / "gemmlowp", dirs_exist_ok=True)
    shutil.copyfile(LIBRARY, folder / SONAME)
    option = "--@tflm_build//bazel:tflm=//native:tflm"
    words = workspace.bazel("test", option, "//models:dense_test", "//models:made_test").words
    assert "Executed 2 out of 2 tests: 2 tests pass" in words
    linked = workspace.bazel("cquery", option, "deps(//models:dense)").words
    assert "tflm_build//bazel/runtime:native " in linked
    assert "runtime:host " not in linked
    program = workspace.outputs() / "models" / "dense_test"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    assert "tflm" in listed
