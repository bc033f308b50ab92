# SPDX-License-Identifier: Apache-2.0
"""Two models of one name in a program: an error that names both, unless one has a symbol of its own."""

import pytest

from support.workspaces import Workspace


@pytest.mark.parametrize("linker", ["bfd", "gold", "lld"])
def test_two_models_of_one_symbol_are_an_error_of_the_linker(linker: str, workspace: Workspace) -> None:
    options = [f"--linkopt=-fuse-ld={linker}", *(["--features=-supports_start_end_lib"] if linker == "bfd" else [])]
    words = workspace.bazel("build", *options, "//twins:linked", check=False).words
    assert "tflm_two_models_have_the_symbol_model" in words
    for package in ("twins/m", "twins/n"):
        assert f"bin/{package}/_objs/model_symbol/" in words or f"bin/{package}/libmodel_symbol.a(" in words


def test_two_headers_of_one_symbol_are_an_error_of_the_compiler(workspace: Workspace) -> None:
    words = workspace.bazel("build", "//twins:included", check=False).words
    assert "bin/twins/n/model.h:" in words
    assert '#error "two models have the symbol model; give one of them another SYMBOL"' in words


def test_a_symbol_of_its_own(workspace: Workspace) -> None:
    """The program, the golden vectors and the verification of the image know it."""
    words = workspace.bazel("test", "//twins/...").words
    assert "Executed 2 out of 2 tests: 2 tests pass" in words
    emitted = workspace.emitted("twins", "model")
    assert b"#ifndef THIRD_H_" in emitted["model.h"]
    assert not [name for name, content in emitted.items() if b"model_model" in content]
