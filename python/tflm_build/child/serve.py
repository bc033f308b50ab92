# SPDX-License-Identifier: Apache-2.0
"""Answer a request: the child's side. This module is what the processes of `processes.py` run."""

import contextlib
import errno
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tflm_build.child.processes import FULL, end_group
from tflm_build.errors import TflmBuildError, first_line

__all__: list[str] = []


def _fork_tasks(parent: int, modules: Sequence[str]) -> None:
    """Fork a child for each line `[module, gigabytes, seconds, folder]` of standard input, and end with the input.

    To standard output goes a line with the child's exit status, or null for one that had to be ended.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that a library prints may pass for an answer
    _end_with_parent(parent)
    for module in modules:
        with contextlib.suppress(ImportError):  # the task will say it
            importlib.import_module(module)
    _end_with_parent(parent, end=False)  # with the input, so that what runs is ended before
    for line in sys.stdin:
        module, gigabytes, seconds, folder = json.loads(line)
        child = os.fork()
        if child == 0:
            answers.close()
            _be_forked(module, gigabytes, folder)
        with contextlib.suppress(OSError):  # the child does it too, and may come first
            os.setpgid(child, child)
        deadline = time.monotonic() + seconds
        hangup = False
        while not (ended := os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and not hangup:
            hangup = bool(select.select([0], [], [], 0.002)[0]) or time.monotonic() > deadline
        end_group(child)
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
        status = _serve(module, gigabytes)
    except BaseException:  # noqa: BLE001 - the fork must not go on as if it were the process that it comes from
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(status)


def _limit(gigabytes: int) -> None:
    """Bound what this process may take where the system can."""
    try:
        import resource
    except ImportError:  # Windows: only the time limit holds there
        return
    for what, most in (("AS", gigabytes << 30), ("FSIZE", gigabytes << 30), ("CORE", 0)):
        with contextlib.suppress(ValueError, OSError):  # a lower limit is set already, or macOS, which refuses
            resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (most, most))


def _end_with_parent(parent: int, *, end: bool = True) -> None:
    """Let Linux end this process when the one that started it is killed, or not; it may have been killed already."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL if end else 0)  # 1: PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)


def _serve(module: str, gigabytes: int) -> int:
    """Answer the request in the working directory: the child's side. Return an exit status."""
    from tflm_build.child.messages import pack, unpack  # numpy takes long: by now this process ends with its parent

    _limit(gigabytes)
    request = unpack(Path("request").read_bytes())
    try:
        answer = importlib.import_module(module).run(request)
    except TflmBuildError as error:
        answer = {"error": error.marked, "trace": ""}
    except MemoryError:
        answer = {"error": f"more than {gigabytes} GB of memory would be needed", "trace": ""}
    except Exception as error:  # noqa: BLE001 - whatever a library raises on a stranger's model ends here
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return FULL
        answer = {"error": first_line(error), "trace": traceback.format_exc()}
    try:
        Path("response").write_bytes(pack(answer))
    except OSError:
        return FULL
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--fork":
        _fork_tasks(int(sys.argv[2]), sys.argv[3:])
    else:
        _end_with_parent(int(sys.argv[3]))
        sys.exit(_serve(sys.argv[1], int(sys.argv[2])))
