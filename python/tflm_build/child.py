# SPDX-License-Identifier: Apache-2.0
"""Run a task in a child process with limits, so that its death is an error here and never a crash.

A task is a function in a module of its own that takes and returns a dict of lists of numpy arrays, bytes, and values
that JSON knows. Both travel as an .npz file, read without pickle.
"""

import contextlib
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tflm_build.errors import TflmBuildError

__all__ = ["Task", "run_in_child"]

Message = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What a child does, and what it may use.

    Attributes:
        module: the module that has the function `run(request) -> response`.
        title: who is to blame in an error, such as "TensorFlow".
        seconds: wall-clock limit.
        gigabytes: limit of address space.
    """

    module: str
    title: str
    seconds: int
    gigabytes: int


_LOG_TAIL: Final = 300  # characters of a child's last words that an error quotes


def run_in_child(task: Task, request: Mapping[str, Any], *, environment: Mapping[str, str] | None = None) -> Message:
    """Run a task in a child process and return its answer.

    Args:
        task: what to run.
        request: lists of numpy arrays, bytes, and values that JSON knows.
        environment: variables that the child gets in addition to this process's.

    Raises:
        TflmBuildError: the task refused its input, died by a signal, or exceeded its limits.
    """
    with tempfile.TemporaryDirectory(prefix="tflm-build-") as name:
        folder = Path(name)
        (folder / "request").write_bytes(_pack(request))
        command = [sys.executable, "-m", "tflm_build.child", task.module, str(task.gigabytes), name]
        log = folder / "log"
        with log.open("wb") as output:
            # The folder is also the working directory: modules that lie about in the user's cannot be imported.
            child = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **_import_path(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                code = child.wait(task.seconds)
            except subprocess.TimeoutExpired:
                msg = f"{task.title} gave no answer within {task.seconds} s and was ended"
                raise TflmBuildError(msg) from None
            finally:
                _end(child)
        response = folder / "response"
        if code != 0 or not response.exists():
            raise TflmBuildError(_obituary(task, code, log.read_text("utf-8", "replace")))
        answer = _unpack(response.read_bytes())
    if "error" in answer:
        raise TflmBuildError(answer["error"], answer["trace"])
    return answer


def _import_path() -> dict[str, str]:
    """Let the child import what this process imported, also from a checkout."""
    package = str(Path(__file__).resolve().parents[1])
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([package, inherited] if inherited else [package])}


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child and whatever it forked."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def _obituary(task: Task, code: int, log: str) -> str:
    """Say how a child died and what its last words were."""
    if code < 0:
        try:
            how = f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was ended by signal {-code}"
    else:
        how = f"ended with status {code}"
    lines = [line for line in log.strip().splitlines() if line.strip()]
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


def _limit_memory(gigabytes: int) -> None:
    """Bound the address space of this process where the system can."""
    try:
        import resource
    except ImportError:  # Windows: only the time limit holds there
        return
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set already, or macOS, which refuses
        resource.setrlimit(resource.RLIMIT_AS, (gigabytes << 30, gigabytes << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _serve(module: str, gigabytes: str, folder: str) -> None:
    """Answer the request in a folder: the child's side."""
    _limit_memory(int(gigabytes))
    request = _unpack(Path(folder, "request").read_bytes())
    try:
        answer = importlib.import_module(module).run(request)
    except TflmBuildError as error:
        answer = {"error": str(error), "trace": ""}
    except MemoryError:
        answer = {"error": f"more than {gigabytes} GB of memory would be needed", "trace": ""}
    except Exception as error:  # noqa: BLE001 - whatever a library raises on a stranger's model ends here
        first = (str(error).strip().splitlines() or [""])[0]
        answer = {"error": f"{type(error).__name__}: {first}", "trace": traceback.format_exc()}
    Path(folder, "response").write_bytes(_pack(answer))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
