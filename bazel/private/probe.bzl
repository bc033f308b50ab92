# SPDX-License-Identifier: Apache-2.0
"""Compile what tells the sizes of TFLM's structures: arenas of models are computed with them."""

load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cc_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//bazel/private:library.bzl", "configure")
load("//bazel/private:tflm_flags.bzl", "CXX_FLAGS")

def _tflm_probe_impl(ctx):
    if CcInfo not in ctx.attr.tflm:
        return [DefaultInfo()]
    cc_toolchain = find_cc_toolchain(ctx)
    _, compiled = cc_common.compile(
        actions = ctx.actions,
        name = ctx.label.name,
        cc_toolchain = cc_toolchain,
        compilation_contexts = [ctx.attr.tflm[CcInfo].compilation_context],
        feature_configuration = configure(ctx, cc_toolchain),
        srcs = [ctx.file.src],
        # Sizes are data, which an object for LTO does not have, and the same wherever the sources lie.
        user_compile_flags = CXX_FLAGS + ["-fno-lto", "-g0"],
    )
    return [DefaultInfo(files = depset((compiled.objects or compiled.pic_objects)[:1]))]

tflm_probe = rule(
    implementation = _tflm_probe_impl,
    doc = "Compile the probe for a TFLM, by the options of the build; no file where there is none to link.",
    attrs = {
        "src": attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
        "tflm": attr.label(mandatory = True),
        "_cc_toolchain": attr.label(default = "@rules_cc//cc:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = use_cc_toolchain(),
)
