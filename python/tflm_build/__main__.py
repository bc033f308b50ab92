# SPDX-License-Identifier: Apache-2.0
"""The command `tflm-build`, which `python -m tflm_build` is as well."""

import sys

from tflm_build import cli

__all__ = ["main"]


def main() -> None:
    """Run `tflm-build` as its user called it, or as Bazel does."""
    last = sys.argv[-1] if sys.argv[1:] else ""
    if last == "--persistent_worker" or last.startswith("@"):
        from tflm_build.bazel_worker.worker import main as serve_bazel

        serve_bazel()
    else:
        cli.main()


if __name__ == "__main__":
    main()
