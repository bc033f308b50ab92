# SPDX-License-Identifier: Apache-2.0
"""The program that runs a model's golden vectors, as a library: what `tflm_model_test` links."""

load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cc_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//bazel:providers.bzl", "TflmModelInfo")
load("//bazel/private:library.bzl", "configure")

def _tflm_golden_program_impl(ctx):
    model = ctx.attr.model
    if TflmModelInfo not in model:
        fail("tflm-build: error: {}: model got {}, which has no TflmModelInfo; pass a tflm_model, or a target that passes on its providers".format(
            ctx.label.name,
            model.label,
        ))
    info = model[TflmModelInfo]
    cc_toolchain = find_cc_toolchain(ctx)
    features = configure(ctx, cc_toolchain)
    golden = info.golden_sources.to_list()
    compiled, objects = cc_common.compile(
        actions = ctx.actions,
        name = ctx.label.name,
        cc_toolchain = cc_toolchain,
        compilation_contexts = [
            model[CcInfo].compilation_context,
            ctx.attr._golden_h[CcInfo].compilation_context,
            ctx.attr._model_h[CcInfo].compilation_context,
        ],
        feature_configuration = features,
        local_defines = ["TFLM_GOLDEN=" + info.symbol + "_golden"],
        private_hdrs = [file for file in golden if file.extension == "h"],
        srcs = [file for file in golden if file.extension == "c"] + [ctx.file._program],
    )
    linking, _ = cc_common.create_linking_context_from_compilation_outputs(
        actions = ctx.actions,
        name = ctx.label.name,
        alwayslink = True,
        cc_toolchain = cc_toolchain,
        compilation_outputs = objects,
        disallow_dynamic_library = True,
        feature_configuration = features,
        linking_contexts = [model[CcInfo].linking_context],
    )
    return [CcInfo(compilation_context = compiled, linking_context = linking)]

tflm_golden_program = rule(
    implementation = _tflm_golden_program_impl,
    doc = "Compile the golden vectors of a model, and the program that runs them.",
    attrs = {
        "model": attr.label(
            doc = "The `tflm_model`, by whatever label.",
            mandatory = True,
        ),
        "_cc_toolchain": attr.label(default = "@rules_cc//cc:current_cc_toolchain"),
        "_golden_h": attr.label(
            default = "//bazel/runtime:golden_h",
            providers = [CcInfo],
        ),
        "_model_h": attr.label(
            default = "//bazel/runtime:model_h",
            providers = [CcInfo],
        ),
        "_program": attr.label(
            default = "//:model_test",
            allow_single_file = True,
        ),
    },
    fragments = ["cpp"],
    provides = [CcInfo],
    toolchains = use_cc_toolchain(),
)
