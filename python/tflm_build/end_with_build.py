# SPDX-License-Identifier: Apache-2.0
"""End this process soon after the build that started it, however that ends."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

__all__ = ["end_with_build"]

_BUILDERS: Final = frozenset({"ninja", "ninja-build", "samu", "make", "gmake"})
_SECONDS: Final = 0.5  # between looks
_GRACE: Final = 1.0  # seconds to end in an orderly way


def end_with_build() -> None:
    """Watch the programs between this process and the build system, and end with the first of them; Linux alone.

    A build system that is killed does not end its children: a shell or `cmake -E env` in between lives on.
    """
    if sys.platform != "linux":
        return
    watched: list[tuple[int, str]] = []
    process = os.getppid()
    while process > 1:
        name, parent, started = _look(process)
        watched.append((process, started))
        if name in _BUILDERS:
            threading.Thread(target=_watch, args=(watched,), daemon=True).start()
            return
        process = parent


def _watch(watched: list[tuple[int, str]]) -> None:
    """Wait for a process to be gone, then end this one."""
    while all(_look(process)[2] == started for process, started in watched):
        time.sleep(_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(128 + signal.SIGTERM)


def _look(process: int) -> tuple[str, int, str]:
    """Return a process's name, its parent, and when it was started; nothing for one that is gone."""
    try:
        head, _, tail = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")
    except OSError:
        return "", 0, ""
    fields = tail.split()
    return head.partition("(")[2], int(fields[1]), "" if fields[0] == "Z" else fields[19]
