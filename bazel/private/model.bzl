# SPDX-License-Identifier: Apache-2.0
"""The rule `tflm_model`: compile a model into a C library."""

load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cc_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//bazel:providers.bzl", "TflmModelInfo")
load("//bazel/private:attributes.bzl", "ATTRIBUTES", "CONVERSION_ATTRIBUTES")
load(
    "//bazel/private:conversion.bzl",
    "CONVERSION",
    "ConversionInfo",
    "TOOLCHAIN_TYPE",
    "add_conversion",
    "declare_outputs",
    "request_conversion",
    "tflm_conversion",
)
load("//bazel/private:library.bzl", "compile_library", "configure", "resolve_embed")
load("//bazel/private:target.bzl", "find_kernels", "find_target")

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

def _check_symbol(ctx, option, value):
    """Fail where a name or symbol cannot begin a C symbol; the converter refuses the keywords of C as well."""
    allowed = [letter in _LETTERS + "0123456789_" for letter in value.elems()]
    if not all(allowed) or value[0] not in _LETTERS:
        fail("tflm-build: error: {}: {} becomes a C symbol; got '{}'; use letters, digits and _, a letter first, no C keyword".format(
            ctx.label.name,
            option,
            value,
        ))

def _found(ctx, cc_toolchain, features):
    """Return the options that say which chip this is, where that is not given; none where it is a host."""
    target = ctx.attr.target if ctx.attr.target != "auto" else find_target(ctx, cc_toolchain, features)
    return {} if target == "host" else {"kernels": find_kernels(ctx, target), "target": target}

def _outputs(ctx, toolchain, embed, found):
    """Return the emitted files: those of the one conversion for all configurations, or of one for this alone."""
    probe = [] if ctx.attr.arena else ctx.files._probe
    request = request_conversion(ctx, toolchain, ctx.label.name, embed, found, probe)
    if request.error:
        fail("tflm-build: error: {}: {}".format(ctx.label.name, request.error))
    outputs = declare_outputs(ctx, request, ctx.label.name + ".tflm")
    if ctx.attr.conversion and ctx.attr.conversion[ConversionInfo].request == request:
        shared = ctx.attr.conversion[ConversionInfo].outputs
        for what, output in outputs.items():
            ctx.actions.symlink(output = output, target_file = shared[what])
    else:
        add_conversion(ctx, toolchain, request, outputs)
    return struct(**outputs)

def _tflm_model_impl(ctx):
    symbol = ctx.attr.symbol or ctx.label.name
    _check_symbol(ctx, "name", ctx.label.name)
    _check_symbol(ctx, "symbol", symbol)
    toolchain = ctx.toolchains[TOOLCHAIN_TYPE]
    cc_toolchain = find_cc_toolchain(ctx)
    features = configure(ctx, cc_toolchain)
    found = _found(ctx, cc_toolchain, features)
    outputs = _outputs(ctx, toolchain, resolve_embed(ctx.attr.embed, features), found)
    header = ctx.actions.declare_file(ctx.label.name + ".h")
    ctx.actions.symlink(output = header, target_file = outputs.header)
    cc_info, libraries = compile_library(ctx, cc_toolchain, features, symbol, header, outputs)
    golden = depset([outputs.golden_source, outputs.golden_header])
    sources = depset([outputs.model, outputs.data, outputs.ops])
    report = [outputs.report] if ctx.attr.report else []
    emitted = [outputs.arena, outputs.golden, outputs.manifest, outputs.tflite, header] + report
    return [
        DefaultInfo(files = depset(emitted + libraries, transitive = [golden, sources])),
        cc_info,
        coverage_common.instrumented_files_info(ctx, dependency_attributes = ["deps"]),
        TflmModelInfo(
            arena = outputs.arena,
            golden = outputs.golden,
            golden_sources = golden,
            header = header,
            manifest = outputs.manifest,
            name = ctx.label.name,
            sources = sources,
            symbol = symbol,
            tflite = outputs.tflite,
        ),
        OutputGroupInfo(
            arena = depset([outputs.arena]),
            golden = depset([outputs.golden]),
            golden_sources = golden,
            header = depset([header]),
            manifest = depset([outputs.manifest]),
            report = depset(report),
            sources = sources,
            tflite = depset([outputs.tflite]),
        ),
    ]

_tflm_model = rule(
    implementation = _tflm_model_impl,
    doc = """Compile a trained model for TensorFlow Lite for Microcontrollers (TFLM).

The target is a C library: depend on it from `cc_library`, `cc_binary` or `cc_test`, and include `"<name>.h"`. It
brings the runtime, `"tflm_build/model.h"`, and what runs the model: what `@tflm_build//bazel:tflm` names. Its name is
the C identifier that the emitted files begin with, and the symbols unless `symbol` says another.

Output groups: `tflite`, `manifest`, `header`, `arena`, `golden`, `golden_sources`, `sources`, `report`. Other rules
read `TflmModelInfo`.""",
    attrs = dict(
        ATTRIBUTES,
        # That of tools: its configuration is the same one whatever is built.
        conversion = attr.label(
            cfg = "exec",
            providers = [ConversionInfo],
        ),
    ),
    fragments = ["cpp"],
    provides = [CcInfo, TflmModelInfo],
    toolchains = [TOOLCHAIN_TYPE] + use_cc_toolchain(),
)

def tflm_model(name, **kwargs):
    """Compile a trained model into a C library; the attributes are those of the rule.

    Args:
        name: the C identifier that emitted files begin with, and symbols unless `symbol` says another.
        **kwargs: attributes, see docs/reference/bazel.md, and those that every rule has.
    """
    asked = {what: value for what, value in kwargs.items() if what in CONVERSION_ATTRIBUTES}

    # What one configuration chooses, another one cannot convert for it.
    if not [value for value in asked.values() if type(value) == "select"]:
        tflm_conversion(
            name = name + CONVERSION,
            model = name,
            tags = ["manual"],
            testonly = kwargs.get("testonly", False),
            visibility = ["//visibility:private"],
            **asked
        )
        kwargs["conversion"] = ":" + name + CONVERSION
    _tflm_model(name = name, **kwargs)
