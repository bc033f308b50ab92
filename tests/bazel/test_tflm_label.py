# SPDX-License-Identifier: Apache-2.0
"""TFLM by label: the same models and tests, with a vendor's library linked in place of the host's interpreter."""

import shutil
import subprocess

from workspaces import ROOT, Workspace

VENDOR = ROOT / ".venv" / "tflm" / "xmos_ai_tools"


def test_a_vendors_library(workspace: Workspace) -> None:
    folder = workspace.folder / "native"
    shutil.copytree(VENDOR / "runtime" / "include", folder / "include", dirs_exist_ok=True)
    shutil.copytree("/usr/include/gemmlowp", folder / "gemmlowp", dirs_exist_ok=True)
    # By the name that it has for itself.
    shutil.copyfile(VENDOR / "xinterpreters" / "libs" / "linux" / "xtflm_python.so", folder / "xtflm_python.so.1.0.1")
    option = "--@tflm_build//bazel:tflm=//native:tflm"
    words = workspace.bazel("test", option, "//models:dense_test", "//models:made_test").words
    assert "Executed 2 out of 2 tests: 2 tests pass" in words
    linked = workspace.bazel("cquery", option, "deps(//models:dense)").words
    assert "tflm_build//bazel/runtime:native " in linked
    assert "runtime:host " not in linked
    program = workspace.outputs() / "models" / "dense_test"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    assert "tflm" in listed
