# SPDX-License-Identifier: Apache-2.0
"""Turn what the converter emits into a C library."""

load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//bazel/private:tflm_flags.bzl", "CXX_FLAGS")

# Where there is no TFLM to link.
_NOT_NATIVE = [Label("//bazel:host"), Label("//bazel:none")]

def configure(ctx, cc_toolchain):
    """Return the features of a C++ toolchain that a rule asks for."""
    return cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = cc_toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )

def resolve_embed(wanted, features):
    """Turn what `embed` says into array or incbin.

    Args:
        wanted: auto, array or incbin.
        features: of the target's C++ toolchain.

    Returns:
        array or incbin.
    """
    if wanted != "auto":
        return wanted
    assembles = cc_common.action_is_enabled(feature_configuration = features, action_name = "preprocess-assemble")

    # Microsoft's assembler, and those of toolchains that say so, have no .incbin.
    without = [
        feature
        for feature in ["no_incbin", "targets_windows"]
        if cc_common.is_enabled(feature_configuration = features, feature_name = feature)
    ]
    return "incbin" if assembles and not without else "array"

def compile_library(ctx, cc_toolchain, features, symbol, header, outputs):
    """Compile the emitted files into a library.

    Args:
        ctx: of the rule.
        cc_toolchain: of the target.
        features: of that toolchain.
        symbol: what the emitted symbols begin with.
        header: what firmware includes.
        outputs: the emitted files.

    Returns:
        CcInfo with the header and all that is to be linked, and the list of the library's files.
    """
    native = ctx.attr._tflm.label not in _NOT_NATIVE
    dependencies = [ctx.attr._runtime[CcInfo], ctx.attr._model_h[CcInfo]] + [dependency[CcInfo] for dependency in ctx.attr.deps]
    if native:
        dependencies.append(ctx.attr._tflm[CcInfo])
    common = dict(actions = ctx.actions, cc_toolchain = cc_toolchain, feature_configuration = features)
    private = dict(
        common,
        compilation_contexts = [dependency.compilation_context for dependency in dependencies],
        private_hdrs = [outputs.header],
    )
    compiled, _ = cc_common.compile(
        name = ctx.label.name + "_header",
        compilation_contexts = private["compilation_contexts"],
        include_prefix = ctx.attr.include_prefix,
        public_hdrs = [header],
        quote_includes = [] if ctx.attr.include_prefix else [header.dirname],
        **common
    )
    _, objects = cc_common.compile(
        name = ctx.label.name,
        srcs = [outputs.model],
        local_defines = ["TFLM_BUILD_NATIVE"] if native else [],
        user_compile_flags = ctx.attr.copts,
        **private
    )
    _, data = cc_common.compile(
        name = ctx.label.name + "_data",
        srcs = [outputs.data],
        additional_inputs = [outputs.tflite],
        # By its path: the assembler would take a source file of the same name in the root of the workspace.
        local_defines = ["TFLM_DATA_FILE=\"{}\"".format(outputs.tflite.path)],
        # As C, for what --copt=-include brings to all files is C.
        user_compile_flags = ctx.attr.copts + (["-x", "c", "-fno-lto"] if outputs.data.extension == "S" else []),
        **private
    )
    objects = cc_common.merge_compilation_outputs(compilation_outputs = [objects, data])
    if native:
        _, more = cc_common.compile(
            name = ctx.label.name + "_ops",
            srcs = [outputs.ops],
            user_compile_flags = CXX_FLAGS + ctx.attr.copts,
            **private
        )
        objects = cc_common.merge_compilation_outputs(compilation_outputs = [objects, more])

    # Linked whatever the program uses of the model: a second model of the same symbol is an error of the linker.
    _, one = cc_common.compile(
        name = ctx.label.name + "_symbol",
        local_defines = ["TFLM_ONE_MODEL=tflm_two_models_have_the_symbol_" + symbol],
        srcs = [ctx.file._one_model],
        user_compile_flags = ctx.attr.copts,
        **common
    )
    only, _ = cc_common.create_linking_context_from_compilation_outputs(
        name = ctx.label.name + "_symbol",
        alwayslink = True,
        compilation_outputs = one,
        disallow_dynamic_library = True,
        **common
    )
    linking, linked = cc_common.create_linking_context_from_compilation_outputs(
        name = ctx.label.name,
        alwayslink = ctx.attr.alwayslink,
        compilation_outputs = objects,
        disallow_dynamic_library = True,
        linking_contexts = [only] + [dependency.linking_context for dependency in dependencies],
        **common
    )
    library = linked.library_to_link
    files = [file for file in [library.static_library, library.pic_static_library] if file]
    return CcInfo(compilation_context = compiled, linking_context = linking), files
