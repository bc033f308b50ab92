# SPDX-License-Identifier: Apache-2.0
"""Read what a program shows on a terminal of its own."""

import os

__all__ = ["read_to_end"]


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
