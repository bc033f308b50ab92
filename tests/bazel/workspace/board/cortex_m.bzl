# SPDX-License-Identifier: Apache-2.0
"""A toolchain of C for a Cortex-M."""

load("@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl", "feature", "flag_group", "flag_set", "tool_path")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")

_COMPILE = ["assemble", "c-compile", "c++-compile", "preprocess-assemble"]

def _cortex_m_config_impl(ctx):
    tools = {
        "ar": "ar",
        "cpp": "cpp",
        "gcc": "gcc",
        "gcov": "gcov",
        "ld": "ld",
        "nm": "nm",
        "objdump": "objdump",
        "strip": "strip",
    }
    flags = feature(
        name = "cortex_m",
        enabled = True,
        flag_sets = [flag_set(
            actions = _COMPILE,
            flag_groups = [flag_group(flags = ["-mcpu=cortex-m4", "-mthumb"])],
        )],
    )
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "newlib",
        abi_version = "eabi",
        compiler = "gcc",
        cxx_builtin_include_directories = ["/usr/lib/gcc/arm-none-eabi", "/usr/lib/arm-none-eabi/include", "/usr/include/newlib"],
        features = [flags],
        host_system_name = "local",
        target_cpu = "cortex-m",
        target_libc = "newlib",
        target_system_name = "arm-none-eabi",
        tool_paths = [
            tool_path(name = name, path = "/usr/bin/arm-none-eabi-" + tool)
            for name, tool in tools.items()
        ],
        toolchain_identifier = "cortex-m",
    )

cortex_m_config = rule(
    implementation = _cortex_m_config_impl,
    provides = [CcToolchainConfigInfo],
)
