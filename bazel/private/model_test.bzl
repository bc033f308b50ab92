# SPDX-License-Identifier: Apache-2.0
"""Test a model on its golden vectors, through the C API."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")

def tflm_model_test(name, model, **kwargs):
    """Run a model's golden vectors through the runtime, and compare.

    The program is a `cc_test` of the target platform: with `--run_under` it runs in an emulator. What runs the model is
    what `@tflm_build//bazel:tflm` names.

    Args:
        name: name of the test.
        model: the `tflm_model`.
        **kwargs: further attributes of the `cc_test`, such as `size` and `tags`.
    """
    native.filegroup(
        name = name + "_golden",
        testonly = True,
        srcs = [model],
        output_group = "golden_sources",
        tags = ["manual"],
        visibility = ["//visibility:private"],
    )
    symbol = model.rpartition(":")[2].rpartition("/")[2]
    cc_test(
        name = name,
        srcs = [
            ":" + name + "_golden",
            Label("//:model_test"),
        ],
        local_defines = ["TFLM_GOLDEN=" + symbol + "_golden"],
        deps = [model],
        **kwargs
    )
