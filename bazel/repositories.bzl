# SPDX-License-Identifier: Apache-2.0
"""What WORKSPACE calls: `tflm_build_repositories`, which finds tflm-build."""

load("//bazel/private:python_repository.bzl", "REPOSITORY", "python_repository")

# buildifier: disable=unnamed-macro
def tflm_build_repositories(python = ""):
    """Make the repository `tflm_build_toolchain` from a Python that has tflm-build, and register its toolchain.

    The first of these is taken: `--repo_env=TFLM_BUILD_PYTHON=<path>`, the argument, the `.venv` of a checkout,
    `python3` and `python` on the PATH.

    Args:
        python: absolute path of the Python.
    """
    python_repository(name = REPOSITORY, python = python)
    native.register_toolchains("@{}//:all".format(REPOSITORY))
