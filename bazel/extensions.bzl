# SPDX-License-Identifier: Apache-2.0
"""What MODULE.bazel uses: `tflm_build`, which finds tflm-build."""

load("//bazel/private:python_repository.bzl", "REPOSITORY", "python_repository")

_python = tag_class(
    doc = "Name the Python that has tflm-build; only the root module may.",
    attrs = {"path": attr.string(doc = "Its absolute path.", mandatory = True)},
)

def _tflm_build_impl(module_ctx):
    python = ""
    for module in module_ctx.modules:
        for tag in module.tags.python:
            if module.is_root:
                python = tag.path
    python_repository(name = REPOSITORY, python = python)

tflm_build = module_extension(
    implementation = _tflm_build_impl,
    doc = """Make the repository `tflm_build_toolchain` from a Python that has the package tflm-build.

The first of these is taken: `--repo_env=TFLM_BUILD_PYTHON=<path>`, the tag `python(path = ...)` of the root module, the
`.venv` of a checkout, `python3` and `python` on the PATH.""",
    tag_classes = {"python": _python},
)
