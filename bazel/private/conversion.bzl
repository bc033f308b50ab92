# SPDX-License-Identifier: Apache-2.0
"""The action that compiles a model, and the rule that does it once for all configurations.

Each `tflm_model` says what it asks of the converter. A private target of the same attributes says the same for the
configuration of tools, of which there is one, whatever is built: where both ask for the same, its action serves all.
They differ where an input is made by another rule, or chosen by a configuration; then each configuration has its own.
"""

load("//bazel/private:attributes.bzl", "CONVERSION_ATTRIBUTES", "OPTIONS")
load("//bazel/private:inputs.bzl", "option_input", "stage")
load("//bazel/private:target.bzl", "may_have")

# What the private target's name ends with.
CONVERSION = ".conversion"

TOOLCHAIN_TYPE = "@tflm_build//bazel:toolchain_type"

# With auto exec groups, an action says whose tool it runs; Bazel before 6.1 knows no such argument.
_OF_TOOLCHAIN = {"toolchain": TOOLCHAIN_TYPE} if hasattr(native, "package_relative_label") else {}

ConversionInfo = provider(
    doc = "A conversion in one configuration.",
    fields = {
        "outputs": "dict of File: what the action makes, by what it is.",
        "request": "struct: what is asked of the converter.",
    },
)

_ENDS = {
    "arena": ".arena",
    "golden": "_golden.npz",
    "golden_header": "_golden.h",
    "golden_source": "_golden.c",
    "header": ".h",
    "manifest": ".json",
    "model": ".c",
    "ops": "_ops.cc",
    "tflite": ".tflite",
}

def request_conversion(ctx, toolchain, name, embed, found = {}, probe = []):
    """Say what is asked of the converter.

    Args:
        ctx: of the rule.
        toolchain: that compiles models.
        name: of the model.
        embed: array or incbin.
        found: values of options that are not given.
        probe: list of one File that tells the sizes of TFLM's structures, or of none.

    Returns:
        A struct of values: two that are equal ask for the same bytes. Where something is wrong, `error` says what.
    """
    if toolchain.error:
        return struct(error = toolchain.error)
    words = ["--name", name]
    inputs = []
    staged = []
    for option in ["src", "calibration", "test_data"]:
        given = option_input(ctx, option)
        if given:
            if given.error:
                return given
            words += ["--" + option.replace("_", "-"), given.value]
            inputs += given.files
            staged += given.staged
    for option, unset in OPTIONS.items():
        value = embed if option == "embed" else getattr(ctx.attr, option)
        if option == "kernels" and ctx.attr.target == "auto" and not may_have(value, found.get("target", "host")):
            value = unset
        if value == unset and option in found:
            value = found[option]
        if value != unset:
            words.append("--" + option.replace("_", "-"))
            if value != True:
                words.append(str(value))
    for file in probe:
        words += ["--probe", file.path]
    return struct(
        embed = embed,
        error = None,
        inputs = inputs + probe + ctx.files.data,
        name = name,
        report = ctx.attr.report,
        staged = staged,
        target = " for {target}, {kernels}".format(**found) if found else "",
        versions = toolchain.versions.short_path,
        words = words,
    )

def declare_outputs(ctx, request, folder):
    """Declare the emitted files, in a folder of their own: a source of the model may be called as one of them.

    Args:
        ctx: of the rule.
        request: what is asked of the converter.
        folder: the folder's name.

    Returns:
        dict of File, by what it is.
    """
    ends = dict(_ENDS, data = "_data.S" if request.embed == "incbin" else "_data.c")
    if request.report:
        ends["report"] = ".html"
    return {what: ctx.actions.declare_file(folder + "/" + request.name + end) for what, end in ends.items()}

def add_conversion(ctx, toolchain, request, outputs):
    """Add the action that makes the emitted files.

    Args:
        ctx: of the rule.
        toolchain: that compiles models.
        request: what is asked of the converter.
        outputs: what it makes, as `declare_outputs` has declared it.
    """
    arguments = ctx.actions.args()
    arguments.add("convert")
    arguments.add("--quiet")
    arguments.add("--versions", toolchain.versions)
    arguments.add_all(request.words)
    arguments.add("--out-dir", outputs["manifest"].dirname)
    stage(arguments, request.staged)
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
        inputs = request.inputs,
        outputs = outputs.values(),
        # As a tool, the versions are part of what a worker is: one that was started before they changed is ended.
        tools = [toolchain.versions],
        mnemonic = "TflmModel",
        progress_message = "Compiling model " + str(ctx.label).replace("@@//", "//").replace(CONVERSION, "") + request.target,
        execution_requirements = requirements,
        **_OF_TOOLCHAIN
    )

def _tflm_conversion_impl(ctx):
    toolchain = ctx.toolchains[TOOLCHAIN_TYPE]
    embed = "incbin" if ctx.attr.embed == "auto" else ctx.attr.embed
    request = request_conversion(ctx, toolchain, ctx.attr.model, embed)
    if request.error:
        return [ConversionInfo(outputs = {}, request = None)]  # the model itself says so
    outputs = declare_outputs(ctx, request, ctx.label.name)
    add_conversion(ctx, toolchain, request, outputs)
    return [ConversionInfo(outputs = outputs, request = request)]

tflm_conversion = rule(
    implementation = _tflm_conversion_impl,
    doc = "Compile a model for all configurations that ask for the same.",
    attrs = dict(CONVERSION_ATTRIBUTES, model = attr.string(mandatory = True)),
    provides = [ConversionInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
