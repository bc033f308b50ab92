# SPDX-License-Identifier: Apache-2.0
"""TFLM by label: the same models and tests, with a vendor's library linked in place of the host's interpreter."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from support.vendor_tflm import GEMMLOWP, HEADERS, LIBRARY, SONAME
from support.workspaces import CORTEX_M, Workspace
from tflm_build.source.read_probe import read_probe

NATIVE = "--@tflm_build//bazel:tflm=//native:tflm"
PROBE = Path("external/tflm_build/bazel/runtime/_objs/probe")


@pytest.fixture(scope="module", autouse=True)
def vendor(workspace: Workspace) -> None:
    """Put the vendor's headers and library into the workspace."""
    folder = workspace.folder / "native"
    shutil.copytree(HEADERS, folder / "include", dirs_exist_ok=True)
    shutil.copytree(GEMMLOWP, folder / "gemmlowp", dirs_exist_ok=True)
    shutil.copyfile(LIBRARY, folder / SONAME)


def test_a_vendors_library(workspace: Workspace) -> None:
    words = workspace.bazel("test", NATIVE, "//models:dense_test", "//models:made_test").words
    assert "Executed 2 out of 2 tests: 2 tests pass" in words
    linked = workspace.bazel("cquery", NATIVE, "deps(//models:dense)").words
    assert "tflm_build//bazel/runtime:native " in linked
    assert "runtime:host " not in linked
    program = workspace.outputs() / "models" / "dense_test"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    assert "tflm" in listed


@pytest.mark.parametrize(
    ("options", "pointer", "tensor", "bases"),
    [((), 8, 112, ["computed", "measured"]), (CORTEX_M, 4, 64, ["bound", "bound"])],
    ids=["host", "board"],
)
def test_a_probe_tells_the_sizes_of_that_tflm(
    options: tuple[str, ...], pointer: int, tensor: int, bases: list[str], workspace: Workspace
) -> None:
    """The library is compiled without TF_LITE_STATIC_MEMORY, so that its tensors are larger than those of the wheel."""
    native = replace(workspace, options=(*options, NATIVE))
    arenas = []
    for off in ((), ("--@tflm_build//bazel:probe=@tflm_build//bazel:none",)):
        native.bazel("build", "--output_groups=manifest", *off, "//models:dense")
        arenas.append(json.loads(native.emitted("models", "dense")["dense.json"])["arena"])
        if not off:
            # A test of coverage leaves others there.
            objects = (native.outputs(*native.options) / PROBE).glob("*.o")
            sizes = read_probe(max(objects, key=lambda path: path.stat().st_mtime))
            assert (sizes["pointer"][0], sizes["Tensor"][0]) == (pointer, tensor)
    assert [arena["basis"] for arena in arenas] == bases
    told, published = (arena["smallest"] for arena in arenas)
    assert told > published or (not options and told == published)  # on a host, the wheel must do as well
