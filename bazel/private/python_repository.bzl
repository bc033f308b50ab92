# SPDX-License-Identifier: Apache-2.0
"""Find the Python that has tflm-build, and make a toolchain of it."""

load("//bazel/private:version.bzl", "VERSION")

REPOSITORY = "tflm_build_toolchain"

# Nothing from the user's environment decides what the converter imports.
_LAUNCHER = """\
{start}
from tflm_build.bazel_worker.worker import main

main()
"""

_BUILD = """\
load("{defs}", "tflm_toolchain")

package(default_visibility = ["//visibility:public"])

exports_files(["python.bzl", "tflm-build", "versions.txt"])

tflm_toolchain(
    name = "converter",
{attributes}
)

toolchain(
    name = "toolchain",
    exec_compatible_with = {platform},
    toolchain = ":converter",
    toolchain_type = "{type}",
)
"""

# A line that begins with #!, as long as every kernel takes it, and what cannot be quoted in it or in a define of C.
_LONGEST_START = 125
_NOT_QUOTED = ["\"", "'", "\\", "$", "\n"]

_CPUS = {"aarch64": "aarch64", "amd64": "x86_64", "arm64": "aarch64", "x86_64": "x86_64"}

def _candidates(repository_ctx):
    """List the interpreters to try: the user's choice alone, or a checkout's own and those on the PATH."""
    chosen = repository_ctx.os.environ.get("TFLM_BUILD_PYTHON") or repository_ctx.attr.python
    if chosen:
        return [chosen]
    candidates = []

    # The real path: the one below the output base would make every action a different one in each checkout.
    root = repository_ctx.path(Label("//:MODULE.bazel")).realpath.dirname
    checkout = root.get_child(".venv").get_child("bin").get_child("python3")
    if checkout.exists:
        candidates.append(str(checkout))
    for name in ["python3", "python"]:
        found = repository_ctx.which(name)
        if found and str(found) not in candidates:
            candidates.append(str(found))
    return candidates

def _start(python):
    """Return the first line of the launcher. The kernel itself takes what is behind a space for an argument."""
    return "#!{} -E".format("/usr/bin/env -S \"{}\"".format(python) if " " in python else python)

def _refusal(repository_ctx, python):
    """Say why a Python does not serve; None and what it has if it does."""
    longest = _LONGEST_START - len(_start(python)) + len(python)
    if not python.startswith("/") or len(python) > longest or any([letter in python for letter in _NOT_QUOTED]):
        return "allowed: an absolute path of at most {} characters, without quotes, \\ and $".format(longest), ""
    if not repository_ctx.path(python).exists:
        return "there is no such file", ""
    result = repository_ctx.execute([python, "-E", "-m", "tflm_build.versions"])
    if result.return_code != 0:
        lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it ended with status {}".format(result.return_code), ""
    if "tflm-build==" + VERSION not in result.stdout.splitlines():
        return "it has another version of tflm-build", ""
    return None, result.stdout

def _named(target):
    """Name a target of these rules for another repository; Bazel 4 leaves out the name of the one that it was called in."""
    label = str(Label(target))
    return label if label.startswith("@") else "@tflm_build" + label

def _python_repository_impl(repository_ctx):
    python, versions, tried = "", "", []
    for candidate in _candidates(repository_ctx):
        refusal, versions = _refusal(repository_ctx, candidate)
        if not refusal:
            python = candidate
            break
        tried.append("{} ({})".format(candidate, refusal))
    if python:
        attributes = ["converter = \"tflm-build\"", "versions = \"versions.txt\""]
    else:
        error = "no Python has tflm-build {0}; tried: {1}; pip install 'tflm-build[all]=={0}', or pass --repo_env=TFLM_BUILD_PYTHON=<the Python that has it>".format(
            VERSION,
            ", ".join(tried) or "none, for there is none on the PATH",
        )
        attributes = ["error = " + repr(error)]
    repository_ctx.file("tflm-build", _LAUNCHER.format(start = _start(python)))
    repository_ctx.file("versions.txt", versions, executable = False)
    repository_ctx.file("python.bzl", "\"\"\"Where the Python is.\"\"\"\n\nPYTHON = {}\n".format(repr(python)), executable = False)
    os = "osx" if repository_ctx.os.name.startswith("mac") else "linux"
    platform = ["@platforms//os:" + os]
    cpu = _CPUS.get(getattr(repository_ctx.os, "arch", "amd64"))
    if cpu:
        platform.append("@platforms//cpu:" + cpu)
    repository_ctx.file("BUILD.bazel", _BUILD.format(
        attributes = "\n".join(["    {},".format(line) for line in attributes]),
        defs = _named("//bazel:toolchain.bzl"),
        platform = repr(platform),
        type = _named("//bazel:toolchain_type"),
    ), executable = False)

python_repository = repository_rule(
    implementation = _python_repository_impl,
    doc = "Make a toolchain of a Python that has tflm-build; where there is none, one that says so for every model.",
    attrs = {"python": attr.string(doc = "Absolute path of the Python; the first that serves if left out.")},
    configure = True,
    environ = ["PATH", "TFLM_BUILD_PYTHON"],
    # Packages may have been installed since: look again each time that a Bazel server starts.
    local = True,
)
