# SPDX-License-Identifier: Apache-2.0
"""The compiler that Debian has for Arm chips without an operating system."""

load("@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl", "feature", "flag_group", "flag_set", "tool_path")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")

_COMPILE = ["assemble", "c-compile", "c++-compile", "preprocess-assemble"]

def _arm_gcc_config_impl(ctx):
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
    machine = ["-mcpu=" + ctx.attr.cpu, "-mthumb"]
    flags = feature(
        name = "machine",
        enabled = True,
        flag_sets = [
            flag_set(
                actions = _COMPILE,
                flag_groups = [flag_group(flags = machine + ["-Os", "-ffunction-sections", "-fdata-sections"])],
            ),
            # rdimon is newlib's semihosting: printf() and exit() reach the emulator, or a debugger.
            flag_set(
                actions = ["c++-link-executable"],
                flag_groups = [flag_group(flags = machine + [
                    "-nostartfiles",
                    "--specs=nano.specs",
                    "--specs=rdimon.specs",
                    "-Wl,--gc-sections",
                ])],
            ),
        ],
    )
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "newlib",
        abi_version = "eabi",
        compiler = "gcc",
        cxx_builtin_include_directories = ["/usr/lib/gcc/arm-none-eabi", "/usr/lib/arm-none-eabi/include", "/usr/include/newlib"],
        features = [flags],
        host_system_name = "local",
        target_cpu = ctx.attr.cpu,
        target_libc = "newlib",
        target_system_name = "arm-none-eabi",
        tool_paths = [
            tool_path(name = name, path = "/usr/bin/arm-none-eabi-" + tool)
            for name, tool in tools.items()
        ],
        toolchain_identifier = ctx.attr.cpu,
    )

arm_gcc_config = rule(
    implementation = _arm_gcc_config_impl,
    attrs = {"cpu": attr.string(doc = "As the compiler's -mcpu calls it.", mandatory = True)},
    provides = [CcToolchainConfigInfo],
)
