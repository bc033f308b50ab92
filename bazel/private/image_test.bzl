# SPDX-License-Identifier: Apache-2.0
"""Verify the models in a linked image."""

load("//bazel:providers.bzl", "TflmModelInfo")

_TYPE = "@tflm_build//bazel:toolchain_type"

# The converter reads its arguments from a file, as in every action.
_SCRIPT = """\
#!/bin/sh
exec '{converter}' '@{arguments}'
"""

def _tflm_image_test_impl(ctx):
    toolchain = ctx.toolchains[_TYPE]
    if toolchain.error:
        fail("tflm-build: error: {}: {}".format(ctx.label.name, toolchain.error))
    image = ctx.file.image
    manifests = [model[TflmModelInfo].manifest for model in ctx.attr.models]

    # With the versions, no PASS in a cache outlives another TFLM.
    lines = ["--versions", toolchain.versions.short_path, "verify", image.short_path]
    for manifest in manifests:
        lines += ["--model", manifest.short_path]
    arguments = ctx.actions.declare_file(ctx.label.name + ".arguments")
    ctx.actions.write(arguments, "".join([line + "\n" for line in lines]))
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(script, _SCRIPT.format(
        arguments = arguments.short_path,
        converter = toolchain.converter.executable.short_path,
    ), is_executable = True)
    beside = [file for model in ctx.attr.models for file in [model[TflmModelInfo].tflite, model[TflmModelInfo].golden]]
    files = [image, arguments, toolchain.converter.executable, toolchain.versions] + manifests + beside
    runfiles = ctx.runfiles(files = files)
    if toolchain.runfiles:
        runfiles = runfiles.merge(toolchain.runfiles)
    return [DefaultInfo(executable = script, runfiles = runfiles)]

tflm_image_test = rule(
    implementation = _tflm_image_test_impl,
    doc = """Verify models in a linked image, as `tflm-build verify` does: their bytes, alignment and place, and that TFLM gives the
golden outputs with the bytes that are in the image. It runs where Bazel runs, whatever the image is for.""",
    attrs = {
        "image": attr.label(
            doc = "The linked program: an ELF file, such as a `cc_binary`.",
            allow_single_file = True,
            mandatory = True,
        ),
        "models": attr.label_list(
            doc = "The `tflm_model`s that are linked into it.",
            allow_empty = False,
            mandatory = True,
            providers = [TflmModelInfo],
        ),
    },
    test = True,
    toolchains = [_TYPE],
)
