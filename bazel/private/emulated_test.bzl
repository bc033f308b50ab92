# SPDX-License-Identifier: Apache-2.0
"""Run a program of the target platform in an emulator of this machine."""

_SCRIPT = """\
#!/bin/sh
exec {words}
"""

def _quoted(word):
    """Quote a word for the shell."""
    return "'" + word.replace("'", "'\\''") + "'"

def _tflm_emulated_test_impl(ctx):
    emulator, program = ctx.attr.emulator[DefaultInfo], ctx.attr.program[DefaultInfo]
    executable = program.files_to_run.executable
    words = [emulator.files_to_run.executable.short_path] + ctx.attr.emulator_args + [executable.short_path]
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    text = _SCRIPT.format(words = " ".join([_quoted(word) for word in words]))
    ctx.actions.write(script, text, is_executable = True)
    runfiles = ctx.runfiles(files = [emulator.files_to_run.executable, executable])
    for info in [emulator, program]:
        if info.default_runfiles:
            runfiles = runfiles.merge(info.default_runfiles)
    return [
        DefaultInfo(executable = script, runfiles = runfiles),
        coverage_common.instrumented_files_info(ctx, dependency_attributes = ["program"]),
    ]

tflm_emulated_test = rule(
    implementation = _tflm_emulated_test_impl,
    doc = "Run a program of the target platform in an emulator; its exit status is the test's.",
    attrs = {
        "emulator": attr.label(
            doc = "What runs on this machine.",
            allow_files = True,
            cfg = "exec",
            executable = True,
            mandatory = True,
        ),
        "emulator_args": attr.string_list(
            doc = "Its arguments; the path of the program comes behind them.",
        ),
        "program": attr.label(
            doc = "What it runs.",
            cfg = "target",
            executable = True,
            mandatory = True,
        ),
    },
    test = True,
)
