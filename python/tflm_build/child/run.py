# SPDX-License-Identifier: Apache-2.0
"""Run a task in a child process with limits, so that its death is an error here and never a crash."""

import contextlib
import errno
import os
import signal
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tflm_build.child.messages import Message, pack, unpack
from tflm_build.child.processes import CAN_FORK, FULL, Forks, run_new
from tflm_build.child.table import ALL, Task
from tflm_build.errors import TflmBuildError
from tflm_build.own_folder import own_folder

__all__ = ["keep_loaded", "load_early", "run_in_child"]

_LOG_TAIL: Final = 300  # characters of a child's last words that an error quotes


def run_in_child(task: Task, request: Mapping[str, Any]) -> Message:
    """Run a task in a child process and return its answer.

    Args:
        task: what to run.
        request: what the task takes: lists of arrays, bytes, and values that JSON knows.

    Raises:
        TflmBuildError: the task refused its input, died by a signal, or exceeded its limits.
    """
    try:
        with own_folder(Path(tempfile.gettempdir()), "tflm-build-") as folder:
            (folder / "request").write_bytes(pack(request))
            forks = _forks_for(task, request)
            code = run_new(task, folder) if forks is None else forks.run(task, folder)
            _check_room(code)
            answer = None
            if code == 0:
                with contextlib.suppress(EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile):
                    answer = unpack((folder / "response").read_bytes())
            if answer is None:  # also where it is damaged, as the child's memory may have been
                raise TflmBuildError(_obituary(task, code, folder / "log"))
    except OSError as error:
        msg = (
            f"the folder for temporary files, '{tempfile.gettempdir()}', cannot be written to: "
            f"{error.strerror or error}; make room in it, or set TMPDIR to another"
        )
        raise TflmBuildError(msg) from error
    if "error" in answer:
        who = f"{task.title} failed on this model: " if answer["trace"] else ""
        raise TflmBuildError(who + answer["error"], answer["trace"])
    return answer


def _check_room(code: int | None) -> None:
    """Raise what a child met that had no room for a file."""
    if code == FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def load_early(task: Task) -> None:
    """Let the library of a task be loaded while this process does other work, if the task will be forked."""
    forks = _forks_for(task, {})
    if forks is not None:
        with contextlib.suppress(OSError):  # the task will say it
            forks.start(task.environment)


def keep_loaded(task: Task, library: str) -> None:
    """Fork a task, from now on, from one process that waits with it and a library loaded.

    A process that serves many models loads the library once; one that serves a single model, while it does other work.
    The library must start no thread when it is imported.
    """
    if CAN_FORK and task.module not in _kept:
        _kept[task.module] = Forks(task.module, library)


def _forks_for(task: Task, request: Mapping[str, Any]) -> Forks | None:
    """Return the process that a task is forked from; None: it gets a new process."""
    if CAN_FORK and task.library:
        return _forks
    # A user's function may have to set something before it imports the library itself.
    return None if request.get("kind") == "function" else _kept.get(task.module)


_forks: Final = Forks(*dict.fromkeys(name for task in ALL if task.library for name in (task.module, task.library)))
_kept: Final[dict[str, Forks]] = {}


def _obituary(task: Task, code: int | None, log: Path) -> str:
    """Say how a child died and what its last words were."""
    if code is None:
        return f"{task.title} gave no answer within {task.seconds} s and was ended"
    how = {-number: f"was ended by {number.name}" for number in signal.Signals}.get(code, f"ended with status {code}")
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4 * _LOG_TAIL))
        lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    words = f"; its last words: {lines[-1][-_LOG_TAIL:]}" if lines else ""
    return f"{task.title} {how} on this model{words}"
