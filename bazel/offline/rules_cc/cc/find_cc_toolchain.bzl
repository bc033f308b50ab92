# SPDX-License-Identifier: Apache-2.0
"""The C++ toolchain as Bazel's own rules find it."""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

find_cc_toolchain = find_cpp_toolchain

def use_cc_toolchain():
    """Return what a rule gives as `toolchains`.

    Returns:
        the type of C++ toolchains, in a list.
    """
    return ["@bazel_tools//tools/cpp:toolchain_type"]
