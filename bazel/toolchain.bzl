# SPDX-License-Identifier: Apache-2.0
"""The toolchain that compiles models: a converter, and what it was made of."""

def _tflm_toolchain_impl(ctx):
    converter, runfiles = None, None
    if not ctx.attr.error:
        if not ctx.executable.converter or not ctx.file.versions:
            fail("tflm-build: error: {}: a toolchain needs converter and versions; got one of them or none".format(ctx.label))
        converter = ctx.attr.converter[DefaultInfo].files_to_run
        runfiles = ctx.attr.converter[DefaultInfo].default_runfiles
    return [platform_common.ToolchainInfo(
        converter = converter,
        error = ctx.attr.error,
        runfiles = runfiles,
        versions = ctx.file.versions,
        worker_protocol = ctx.attr.worker_protocol,
    )]

tflm_toolchain = rule(
    implementation = _tflm_toolchain_impl,
    doc = """Say what compiles models; `toolchain()` makes it known, with the type `@tflm_build//bazel:toolchain_type`.

`tflm_build_repositories()` and the module extension `tflm_build` make one from a Python that has the package. Write
one yourself where the converter is a target of your own build.""",
    attrs = {
        "converter": attr.label(
            doc = "The program, such as a `py_binary` that calls `tflm_build.__main__.main()`: docs/reference/bazel.md says what it is asked.",
            executable = True,
            allow_files = True,
            cfg = "exec",
        ),
        "error": attr.string(
            doc = "Why there is no converter: the one line that every model then fails with.",
        ),
        "versions": attr.label(
            doc = """What the converter's Python has, one `name==version` in a line. It is an input of every action, so
that a cache never serves what another TensorFlow made; the converter refuses to run where it is out of date.""",
            allow_single_file = True,
            cfg = "exec",
        ),
        "worker_protocol": attr.string(
            doc = "How the converter speaks as a persistent worker; `none`: it cannot.",
            default = "proto",
            values = ["json", "none", "proto"],
        ),
    },
)
