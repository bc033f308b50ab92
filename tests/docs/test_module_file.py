# SPDX-License-Identifier: Apache-2.0
"""The stand-in for what reads MODULE.bazel takes the example's, and refuses what this project's own does not fit."""

import re

import pytest

from support import ROOT
from support.module_file import check_module_file

EXAMPLE = (ROOT / "examples" / "fw" / "MODULE.bazel").read_text("utf-8")
TAG = 'tflm = use_extension("@tflm_build//bazel:extensions.bzl", "tflm_build")\ntflm.python({} = "/opt/python3")\n'


def test_the_example_and_a_tag_are_taken() -> None:
    check_module_file(EXAMPLE)
    check_module_file(EXAMPLE + TAG.format("path"))


@pytest.mark.parametrize(("old", "new", "message"), [
    ('name = "tflm_build", version = "0.1.0"', 'name = "tflm_build", version = "0.2.0"', "tflm_build is another"),
    ('name = "rules_cc", version = "0.2.14"', 'name = "rules_cc", version = "0.1.2"', "rules_cc is another"),
    ('bazel_dep(name = "tflm_build"', 'bazel_dep(name = "tflm"', "tflm_build is no dependency"),
    ('module_name = "tflm_build"', 'module_name = "tflm"', "no dependencies: {'tflm'}"),
    ('path = "../', 'folder = "../', "unexpected keyword argument 'folder'"),
    ("tflm.python(path =", "tflm.python(file =", "the tag has no {'file'}"),
    ('bzl", "tflm_build")', 'bzl", "tflm")', "'tflm'"),
    ('"@tflm_build//bazel:ext', '"@tflm//bazel:ext', "tflm is no dependency"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(old: str, new: str, message: str) -> None:
    text = EXAMPLE + TAG.format("path")
    assert text.count(old) == 1
    with pytest.raises((AssertionError, KeyError, TypeError), match=re.escape(message)):
        check_module_file(text.replace(old, new))
