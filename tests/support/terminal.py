# SPDX-License-Identifier: Apache-2.0
"""Read what a program shows on a terminal of its own."""

import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["read_to_end", "show"]


def show(command: Sequence[str], *, folder: Path | None = None, **environment: str) -> str:
    """Run a command on a terminal; return what stands there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, env={**os.environ, **environment}):
        os.close(theirs)
        return read_to_end(ours).decode().replace("\r\n", "\n")


def read_to_end(terminal: int) -> bytes:
    """Read from our end of a pty until nobody holds the other one; close ours."""
    shown = b""
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # Linux reports the end of a terminal so
            break
        if not chunk:
            break
        shown += chunk
    os.close(terminal)
    return shown
