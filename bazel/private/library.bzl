# SPDX-License-Identifier: Apache-2.0
"""Turn what the converter emits into a C library."""

load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//bazel/private:tflm_flags.bzl", "CXX_FLAGS")

# "compiler" is what Bazel's own configuration of a Unix machine calls its gcc or clang.
_HAS_INCBIN = ["clang", "compiler", "gcc"]

# Where there is no TFLM to link.
_NOT_NATIVE = [Label("//bazel:host"), Label("//bazel:none")]

def resolve_embed(wanted, cc_toolchain):
    """Turn what `embed` says into array or incbin.

    Args:
        wanted: auto, array or incbin.
        cc_toolchain: of the target.

    Returns:
        array or incbin.
    """
    if wanted != "auto":
        return wanted
    return "incbin" if cc_toolchain.compiler in _HAS_INCBIN else "array"

def compile_library(ctx, cc_toolchain, symbol, outputs):
    """Compile the emitted files into a library.

    Args:
        ctx: of the rule.
        cc_toolchain: of the target.
        symbol: what the emitted symbols begin with.
        outputs: the emitted files.

    Returns:
        CcInfo with the header and all that is to be linked, and the list of the library's files.
    """
    native = ctx.attr._tflm.label not in _NOT_NATIVE
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = cc_toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    dependencies = [ctx.attr._runtime[CcInfo]]
    if native:
        dependencies.append(ctx.attr._tflm[CcInfo])
    folder = outputs.header.dirname
    common = dict(
        actions = ctx.actions,
        cc_toolchain = cc_toolchain,
        compilation_contexts = [dependency.compilation_context for dependency in dependencies],
        feature_configuration = features,
        public_hdrs = [outputs.header],
        quote_includes = [folder],
    )
    compiled, objects = cc_common.compile(
        name = ctx.label.name,
        srcs = [outputs.model, outputs.data],
        # The assembler looks for what it includes where the compiler looks for headers.
        additional_inputs = [outputs.tflite],
        local_defines = ["TFLM_BUILD_NATIVE"] if native else [],
        user_compile_flags = ["-I" + folder],
        **common
    )
    if native:
        _, more = cc_common.compile(
            name = ctx.label.name + "_ops",
            srcs = [outputs.ops],
            user_compile_flags = CXX_FLAGS,
            **common
        )
        objects = cc_common.merge_compilation_outputs(compilation_outputs = [objects, more])

    # Linked whatever the program uses of the model: a second model of the same symbol is an error of the linker.
    _, one = cc_common.compile(
        actions = ctx.actions,
        name = ctx.label.name + "_symbol",
        cc_toolchain = cc_toolchain,
        feature_configuration = features,
        local_defines = ["TFLM_ONE_MODEL=tflm_two_models_have_the_symbol_" + symbol],
        srcs = [ctx.file._one_model],
    )
    only, _ = cc_common.create_linking_context_from_compilation_outputs(
        actions = ctx.actions,
        name = ctx.label.name + "_symbol",
        alwayslink = True,
        cc_toolchain = cc_toolchain,
        compilation_outputs = one,
        disallow_dynamic_library = True,
        feature_configuration = features,
    )
    linking, linked = cc_common.create_linking_context_from_compilation_outputs(
        actions = ctx.actions,
        name = ctx.label.name,
        cc_toolchain = cc_toolchain,
        compilation_outputs = objects,
        disallow_dynamic_library = True,
        feature_configuration = features,
        linking_contexts = [only] + [dependency.linking_context for dependency in dependencies],
    )
    library = linked.library_to_link
    files = [file for file in [library.static_library, library.pic_static_library] if file]
    return CcInfo(compilation_context = compiled, linking_context = linking), files
