# SPDX-License-Identifier: Apache-2.0
"""Run a task in a child process with limits, so that its death is an error here and never a crash.

A task is a function in a module of its own that takes and returns a dict of lists of numpy arrays, bytes, and values
that JSON knows. Both travel as an .npz file, read without pickle, in a temporary folder that is the child's own.

A child is a fork of a process that waits with the interpreters loaded, or a new process. Either way it leads a process
group of its own, all of which is ended with it.
"""

import atexit
import contextlib
import importlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from tflm_build.errors import TflmBuildError, first_line

__all__ = ["Task", "keep_loaded", "run_in_child"]

Message = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What a child does, and what it may use.

    Attributes:
        module: the module that has the function `run(request) -> response`.
        title: who is to blame in an error, such as "TensorFlow".
        seconds: wall-clock limit.
        gigabytes: limit of address space, and of every file that it writes.
    """

    module: str
    title: str
    seconds: int
    gigabytes: int


# Tasks that run in a fork, and what is loaded for them before. All others may start threads or read variables when they
# are imported, as TensorFlow and a user's functions do, and get a new process.
_FORKED: Final = {
    "tflm_build.tasks.follow_layers": "ai_edge_litert.interpreter",
    "tflm_build.tasks.run_litert": "ai_edge_litert.interpreter",
    "tflm_build.tasks.run_tflm": "tflite_micro.runtime",
    "tflm_build.source.check_shapes": "ai_edge_litert.interpreter",
}
_CAN_FORK: Final = sys.platform == "linux"  # macOS has fork, but its own libraries do not outlive it

_LOG_TAIL: Final = 300  # characters of a child's last words that an error quotes


def run_in_child(task: Task, request: Mapping[str, Any], *, environment: Mapping[str, str] | None = None) -> Message:
    """Run a task in a child process and return its answer.

    Args:
        task: what to run.
        request: what the task takes.
        environment: variables that the child gets in addition to this process's; it is a new process then.

    Raises:
        TflmBuildError: the task refused its input, died by a signal, or exceeded its limits.
    """
    with tempfile.TemporaryDirectory(prefix="tflm-build-") as name:
        folder = Path(name)
        (folder / "request").write_bytes(_pack(request))
        forks = _forks_for(task, request, environment)
        if forks is not None:
            code = forks.run(task, folder, environment or {})
        else:
            code = _run_new(task, folder, environment or {})
        answer = None
        if code == 0:
            with contextlib.suppress(EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile):
                answer = _unpack((folder / "response").read_bytes())
        if answer is None:  # also where it is damaged, as the child's memory may have been
            raise TflmBuildError(_obituary(task, code, folder / "log"))
    if "error" in answer:
        who = f"{task.title} failed on this model: " if answer["trace"] else ""
        raise TflmBuildError(who + answer["error"], answer["trace"])
    return answer


def keep_loaded(module: str, library: str) -> None:
    """Fork the tasks of a module, from now on, from one process that waits with it and a library loaded.

    For a process that serves many models: one that serves a single model gains nothing. The library must start no
    thread when it is imported.
    """
    if _CAN_FORK and module not in _kept:
        _kept[module] = _Forks(module, library)


def _forks_for(task: Task, request: Mapping[str, Any], environment: Mapping[str, str] | None) -> "_Forks | None":
    """Return the process that a task is forked from; None: it gets a new process."""
    if _CAN_FORK and task.module in _FORKED and environment is None:
        return _forks
    # A user's function may have to set something before it imports the library itself.
    return None if request.get("kind") == "function" else _kept.get(task.module)


def _run_new(task: Task, folder: Path, environment: Mapping[str, str]) -> int | None:
    """Run the task of a folder in a new process; return its exit status, None if it had to be ended."""
    with (folder / "log").open("wb") as log:
        options = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        child = _start(task.module, str(task.gigabytes), env=environment, **options)
    try:
        return child.wait(task.seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end_group(child.pid)
        child.wait()


def _start(*arguments: str, env: Mapping[str, str], **options: Any) -> subprocess.Popen[str]:
    """Start this module in a session of its own, with this process's variables and modules, also from a checkout."""
    path = [str(Path(__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(path), **env}
    command = [sys.executable, "-m", "tflm_build.child", *arguments]
    return subprocess.Popen(command, env=variables, start_new_session=True, text=True, **options)


def _end_group(leader: int) -> None:
    """End a child and whatever it started; on Windows the child alone."""
    with contextlib.suppress(OSError):  # it has ended already
        getattr(os, "killpg", os.kill)(leader, getattr(signal, "SIGKILL", signal.SIGTERM))


class _Forks:
    """The process that tasks are forked from, with modules loaded: started for the first, ended with this process."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._started_by: tuple[int, Mapping[str, str]] = (0, {})
        atexit.register(self._close)

    def run(self, task: Task, folder: Path, environment: Mapping[str, str]) -> int | None:
        """Run the task of a folder in a fork; return its exit status, None if it had to be ended."""
        request = json.dumps([task.module, task.gigabytes, task.seconds, str(folder)])
        with self._lock:
            try:
                process = self._ready(environment)
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
            self._process = _start("--fork", *self._modules, env=variables, **options)
        return self._process

    def _close(self) -> None:
        """Close the process's standard input, by which it ends, and wait for that."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                process.communicate()


_forks: Final = _Forks(*_FORKED, *_FORKED.values())
_kept: Final[dict[str, _Forks]] = {}


def _fork_tasks(modules: Sequence[str]) -> None:
    """Fork a child for each line `[module, gigabytes, seconds, folder]` of standard input, and end with the input.

    To standard output goes a line with the child's exit status, or null for one that had to be ended.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that a library prints may pass for an answer
    for module in modules:
        with contextlib.suppress(ImportError):  # the task will say it
            importlib.import_module(module)
    for line in sys.stdin:
        module, gigabytes, seconds, folder = json.loads(line)
        child = os.fork()
        if child == 0:
            answers.close()
            _be_forked(module, gigabytes, folder)
        with contextlib.suppress(OSError):  # the child does it too: whoever comes first
            os.setpgid(child, child)
        deadline = time.monotonic() + seconds
        hangup = False
        while not (ended := os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and not hangup:
            hangup = bool(select.select([0], [], [], 0.002)[0]) or time.monotonic() > deadline
        _end_group(child)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            answers.write(json.dumps(status if ended else None) + "\n")
            answers.flush()
    os._exit(0)


def _be_forked(module: str, gigabytes: int, folder: str) -> NoReturn:
    """Run a task in this process, which has just been forked, as in a new one."""
    status = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        with Path(os.devnull).open("rb") as nothing, Path("log").open("wb") as log:
            for source, target in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(source.fileno(), target)
        _serve(module, gigabytes)
        status = 0
    except BaseException:  # noqa: BLE001 - the fork must not go on as if it were the process that it comes from
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(status)


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


def _pack(message: Mapping[str, Any]) -> bytes:
    """Write a message as .npz: arrays as they are, all else as JSON beside them."""
    arrays: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for key, value in message.items():
        if isinstance(value, bytes):
            arrays[f"bytes:{key}"] = np.frombuffer(value, np.uint8)
        elif isinstance(value, list | tuple) and value and all(isinstance(item, np.ndarray) for item in value):
            for index, item in enumerate(value):
                arrays[f"list:{key}:{index:06d}"] = item
        else:
            values[key] = value
    arrays["values"] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _unpack(data: bytes) -> Message:
    """Read what `_pack` wrote."""
    message: Message = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        for entry in arrays.files:
            kind, _, key = entry.partition(":")
            if kind == "bytes":
                message[key] = arrays[entry].tobytes()
            elif kind == "list":
                message.setdefault(key.rpartition(":")[0], []).append(arrays[entry])
            else:
                message.update(json.loads(arrays["values"].tobytes()))
    return message


def _limit(gigabytes: int) -> None:
    """Bound what this process may take where the system can."""
    try:
        import resource
    except ImportError:  # Windows: only the time limit holds there
        return
    for what, most in (("AS", gigabytes << 30), ("FSIZE", gigabytes << 30), ("CORE", 0)):
        with contextlib.suppress(ValueError, OSError):  # a lower limit is set already, or macOS, which refuses
            resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (most, most))


def _end_with_parent() -> None:
    """Let Linux end this process when the one that started it is killed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1: PR_SET_PDEATHSIG


def _serve(module: str, gigabytes: int) -> None:
    """Answer the request in the working directory: the child's side."""
    _limit(gigabytes)
    request = _unpack(Path("request").read_bytes())
    try:
        answer = importlib.import_module(module).run(request)
    except TflmBuildError as error:
        answer = {"error": str(error), "trace": ""}
    except MemoryError:
        answer = {"error": f"more than {gigabytes} GB of memory would be needed", "trace": ""}
    except Exception as error:  # noqa: BLE001 - whatever a library raises on a stranger's model ends here
        answer = {"error": first_line(error), "trace": traceback.format_exc()}
    Path("response").write_bytes(_pack(answer))


if __name__ == "__main__":
    if sys.argv[1] == "--fork":
        _fork_tasks(sys.argv[2:])
    else:
        _end_with_parent()
        _serve(sys.argv[1], int(sys.argv[2]))
