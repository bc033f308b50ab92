# SPDX-License-Identifier: Apache-2.0
"""The command `tflm-build`, which `python -m tflm_build` is as well."""

import contextlib
import signal
import sys
from typing import Any, NoReturn

__all__ = ["main"]


def main() -> None:
    """Run `tflm-build` as its user called it, or as Bazel does."""
    signal.signal(signal.SIGINT, _end_interrupted)  # before the rest is imported, which takes longest
    from tflm_build import cli

    last = sys.argv[-1] if sys.argv[1:] else ""
    if last == "--persistent_worker" or last.startswith("@"):
        from tflm_build.bazel_worker.worker import main as serve_bazel

        serve_bazel()
    else:
        cli.main()


def _end_interrupted(number: int, _frame: Any) -> NoReturn:
    """End in one line and in an orderly way; a second interrupt must not disturb that."""
    signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        sys.stderr.write("tflm-build: error: interrupted\n")
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
