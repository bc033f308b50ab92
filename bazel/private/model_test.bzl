# SPDX-License-Identifier: Apache-2.0
"""Test a model on its golden vectors, through the C API."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//bazel/private:golden.bzl", "tflm_golden_program")

def tflm_model_test(name, model, **kwargs):
    """Run a model's golden vectors through the runtime, and compare.

    The program is a `cc_test` of the target platform: with `--run_under` it runs in an emulator. What runs the model is
    what `@tflm_build//bazel:tflm` names.

    Args:
        name: name of the test.
        model: the `tflm_model`; it may be an `alias`, a `Label` or a `select`.
        **kwargs: further attributes of the `cc_test`, such as `size` and `tags`.
    """
    tflm_golden_program(
        name = name + "_program",
        testonly = True,
        model = model,
        tags = ["manual"],
        visibility = ["//visibility:private"],
    )
    cc_test(
        name = name,
        deps = [":" + name + "_program"] + kwargs.pop("deps", []),
        **kwargs
    )
