# SPDX-License-Identifier: Apache-2.0
"""The rule `tflm_model`: one action that compiles a model, and a library of what comes of it."""

load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cc_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("//bazel:providers.bzl", "TflmModelInfo")
load("//bazel/private:attributes.bzl", "ATTRIBUTES", "OPTIONS")
load("//bazel/private:inputs.bzl", "option_input", "stage")
load("//bazel/private:library.bzl", "compile_library", "resolve_embed")

_TYPE = "@tflm_build//bazel:toolchain_type"

def _outputs(ctx, embed):
    """Declare the emitted files, by what they are."""
    ends = {
        "arena": ".arena",
        "data": "_data.S" if embed == "incbin" else "_data.c",
        "golden": "_golden.npz",
        "golden_header": "_golden.h",
        "golden_source": "_golden.c",
        "header": ".h",
        "manifest": ".json",
        "model": ".c",
        "ops": "_ops.cc",
        "tflite": ".tflite",
    }
    if ctx.attr.report:
        ends["report"] = ".html"
    return {what: ctx.actions.declare_file(ctx.label.name + end) for what, end in ends.items()}

def _convert(ctx, toolchain, embed, outputs):
    """Add the action."""
    inputs = ctx.files.data
    staged = []
    arguments = ctx.actions.args()
    arguments.add("convert")
    arguments.add("--quiet")
    arguments.add("--versions", toolchain.versions)
    arguments.add("--name", ctx.label.name)
    for option in ["src", "calibration", "test_data"]:
        given = option_input(ctx, option)
        if given:
            arguments.add("--" + option.replace("_", "-"), given.value)
            inputs = inputs + given.files
            staged = staged + given.staged
    for option, unset in OPTIONS.items():
        value = embed if option == "embed" else getattr(ctx.attr, option)
        if value != unset:
            arguments.add("--" + option.replace("_", "-"))
            if value != True:
                arguments.add(str(value))
    arguments.add("--out-dir", outputs["manifest"].dirname)
    stage(arguments, staged)
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")

    requirements = {}
    startup = []
    if toolchain.worker_protocol == "json":
        startup = ["--protocol=json"]  # Bazel itself does not tell the worker
    if toolchain.worker_protocol != "none":
        requirements = {"requires-worker-protocol": toolchain.worker_protocol, "supports-workers": "1"}
    ctx.actions.run(
        executable = toolchain.converter,
        arguments = startup + [arguments],
        inputs = inputs,
        outputs = outputs.values(),
        # As a tool, the versions are part of what a worker is: one that was started before they changed is ended.
        tools = [toolchain.versions],
        mnemonic = "TflmModel",
        progress_message = "Compiling model " + str(ctx.label).replace("@@//", "//"),
        execution_requirements = requirements,
    )

def _tflm_model_impl(ctx):
    toolchain = ctx.toolchains[_TYPE]
    if toolchain.error:
        fail("tflm-build: error: {}: {}".format(ctx.label.name, toolchain.error))
    cc_toolchain = find_cc_toolchain(ctx)
    embed = resolve_embed(ctx.attr.embed, cc_toolchain)
    emitted = _outputs(ctx, embed)
    _convert(ctx, toolchain, embed, emitted)
    outputs = struct(**emitted)
    symbol = ctx.attr.symbol or ctx.label.name
    cc_info, libraries = compile_library(ctx, cc_toolchain, symbol, outputs)
    golden = [outputs.golden_source, outputs.golden_header]
    return [
        DefaultInfo(files = depset(emitted.values() + libraries)),
        cc_info,
        TflmModelInfo(
            arena = outputs.arena,
            golden = outputs.golden,
            golden_sources = golden,
            header = outputs.header,
            manifest = outputs.manifest,
            name = ctx.label.name,
            sources = [outputs.model, outputs.data, outputs.ops],
            symbol = symbol,
            tflite = outputs.tflite,
        ),
        OutputGroupInfo(
            arena = depset([outputs.arena]),
            golden = depset([outputs.golden] + golden),
            golden_source = depset(golden),
            header = depset([outputs.header]),
            manifest = depset([outputs.manifest]),
            report = depset([outputs.report] if ctx.attr.report else []),
            sources = depset([outputs.model, outputs.data, outputs.ops]),
            tflite = depset([outputs.tflite]),
        ),
    ]

tflm_model = rule(
    implementation = _tflm_model_impl,
    doc = """Compile a trained model for TensorFlow Lite for Microcontrollers (TFLM).

The target is a C library: depend on it from `cc_library`, `cc_binary` or `cc_test`, and include `"<name>.h"`. It
brings the runtime, `"tflm_build/model.h"`, and what runs the model: what `@tflm_build//bazel:tflm` names. Its name is
the C identifier that the emitted files begin with, and the symbols unless `symbol` says another.

Output groups: `tflite`, `manifest`, `header`, `arena`, `golden`, `golden_source`, `sources`, `report`. Other rules
read `TflmModelInfo`.""",
    attrs = ATTRIBUTES,
    fragments = ["cpp"],
    provides = [CcInfo, TflmModelInfo],
    toolchains = [_TYPE] + use_cc_toolchain(),
)
