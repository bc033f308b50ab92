# SPDX-License-Identifier: Apache-2.0
"""Test a model on its golden vectors, through the C API."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//bazel/private:emulated_test.bzl", "tflm_emulated_test")
load("//bazel/private:golden.bzl", "tflm_golden_program")
load("//bazel/private:runs_here.bzl", "only_here")

# What a cc_binary takes of a cc_test's attributes.
_OF_PROGRAMS = ["copts", "features", "linkopts", "linkstatic", "malloc", "target_compatible_with"]

def tflm_model_test(name, model, emulator = None, emulator_args = [], **kwargs):
    """Run a model's golden vectors through the runtime, and compare.

    The program is built for the target platform. What runs the model is what `@tflm_build//bazel:tflm` names. Without an
    emulator, the test is skipped on platforms whose programs do not run here.

    Args:
        name: name of the test.
        model: the `tflm_model`; it may be an `alias`, a `Label` or a `select`.
        emulator: what the program is run in: a file, or a target with an executable.
        emulator_args: arguments of the emulator; the program's path comes behind them.
        **kwargs: further attributes of the `cc_test`, such as `size` and `tags`; `deps` and `linkopts` bring what a
            program for a board needs.
    """
    tflm_golden_program(
        name = name + "_program",
        testonly = True,
        model = model,
        tags = ["manual"],
        visibility = ["//visibility:private"],
    )
    deps = [":" + name + "_program"] + kwargs.pop("deps", [])
    if not emulator:
        cc_test(
            name = name,
            target_compatible_with = kwargs.pop("target_compatible_with", []) + only_here(
                "a_test_without_an_emulator_needs_linux_or_macos",
            ),
            deps = deps,
            **kwargs
        )
        return
    cc_binary(
        name = name + "_emulated",
        testonly = True,
        tags = ["manual"],
        visibility = ["//visibility:private"],
        deps = deps,
        **{what: kwargs.pop(what) for what in _OF_PROGRAMS if what in kwargs}
    )
    tflm_emulated_test(
        name = name,
        emulator = emulator,
        emulator_args = emulator_args,
        program = ":" + name + "_emulated",
        **kwargs
    )
