# SPDX-License-Identifier: Apache-2.0
"""The stand-in for what reads MODULE.bazel takes the example's, and refuses what this project's own does not fit."""

import pytest

from support import ROOT
from support.module_file import check_module_file

EXAMPLE = (ROOT / "examples" / "fw" / "MODULE.bazel").read_text("utf-8")
TAG = 'tflm = use_extension("@tflm_build//bazel:extensions.bzl", "tflm_build")\ntflm.python({} = "/opt/python3")\n'


def test_the_example_and_a_tag_are_taken() -> None:
    check_module_file(EXAMPLE)
    check_module_file(EXAMPLE + TAG.format("path"))


@pytest.mark.parametrize("wrong", [
    EXAMPLE.replace('name = "tflm_build", version = "0.1.0"', 'name = "tflm_build", version = "0.2.0"'),
    EXAMPLE.replace('name = "rules_cc", version = "0.1.1"', 'name = "rules_cc", version = "0.1.2"'),
    EXAMPLE.replace('bazel_dep(name = "tflm_build"', 'bazel_dep(name = "tflm"'),
    EXAMPLE.replace('module_name = "tflm_build"', 'module_name = "tflm"'),
    EXAMPLE.replace("path = ", "folder = "),
    EXAMPLE + TAG.format("file"),
    EXAMPLE + TAG.format("path").replace('"tflm_build"', '"tflm"'),
])  # fmt: skip
def test_what_does_not_fit_is_refused(wrong: str) -> None:
    assert wrong != EXAMPLE
    with pytest.raises((AssertionError, KeyError, TypeError)):
        check_module_file(wrong)
