# SPDX-License-Identifier: Apache-2.0
"""Start the processes that tasks run in: a new one, or a fork of one that waits with the interpreters loaded.

Either way a child leads a process group of its own, all of which is ended with it.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tflm_build.child.table import Task
from tflm_build.errors import TflmBuildError

__all__ = ["CAN_FORK", "FULL", "Forks", "end_group", "run_new"]

FULL: Final = 75
"""Exit status of a child that had no room for a file."""

CAN_FORK: Final = sys.platform == "linux"  # macOS has fork, but its own libraries do not outlive it


def run_new(task: Task, folder: Path) -> int | None:
    """Run the task of a folder in a new process; return its exit status, None if it had to be ended."""
    with (folder / "log").open("wb") as log:
        options = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        child = _start(task.module, str(task.gigabytes), str(os.getpid()), env=task.environment, **options)
    try:
        return child.wait(task.seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end_group(child.pid)
        child.wait()


def _start(*arguments: str, env: Mapping[str, str], **options: Any) -> subprocess.Popen[str]:
    """Start the child's side in a session of its own, with this process's variables and modules."""
    path = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(path), **env}
    command = [sys.executable, "-m", "tflm_build.child.serve", *arguments]
    return subprocess.Popen(command, env=variables, start_new_session=True, text=True, **options)


def end_group(leader: int) -> None:
    """End a child and whatever it started; on Windows the child alone."""
    with contextlib.suppress(OSError):  # it has ended already
        getattr(os, "killpg", os.kill)(leader, getattr(signal, "SIGKILL", signal.SIGTERM))


class Forks:
    """The process that tasks are forked from, with modules loaded: started for the first, ended with this process."""

    def __init__(self, *modules: str) -> None:
        """Take the names of the modules; nothing is started yet."""
        self._modules = modules
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._asked = False  # whether it has been given a task
        self._started_by: tuple[int, Mapping[str, str]] = (0, {})
        atexit.register(self._close)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process before the first task needs it, and do not wait until it has loaded the modules."""
        with self._lock:
            self._ready(environment)

    def run(self, task: Task, folder: Path) -> int | None:
        """Run the task of a folder in a fork; return its exit status, None if it had to be ended."""
        request = json.dumps([task.module, task.gigabytes, task.seconds, str(folder)])
        with self._lock:
            try:
                process = self._ready(task.environment)
                self._asked = True
                process.stdin.write(request + "\n")
                process.stdin.flush()
                status: int | None = json.loads(process.stdout.readline())
            except BaseException as error:
                self._close()  # also on Ctrl-C: what runs must end, and its answer must not be taken for another's
                if not isinstance(error, OSError | ValueError):
                    raise
                msg = f"{task.title} cannot be run: the process that it is forked from has ended; try again"
                raise TflmBuildError(msg) from error
        return status

    def _ready(self, environment: Mapping[str, str]) -> Any:
        """Return the process: a new one where it has ended, variables have changed, or this process is a fork."""
        started_by = (os.getpid(), {**os.environ, **environment})
        if self._process is None or self._process.poll() is not None or self._started_by != started_by:
            self._close()
            self._started_by = started_by
            # One thread: a pool would not outlive the fork, and would count against the memory limit.
            options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "cwd": "/"}
            variables = {**environment, "OPENBLAS_NUM_THREADS": "1"}
            self._process = _start("--fork", str(os.getpid()), *self._modules, env=variables, **options)
            self._asked = False
        return self._process

    def _close(self) -> None:
        """Close the process's standard input, by which it ends with what it runs, and wait for that."""
        process, self._process = self._process, None
        if process is not None:
            if not self._asked:  # it may still load its modules
                end_group(process.pid)
            with contextlib.suppress(OSError):
                process.communicate()
