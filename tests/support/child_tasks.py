# SPDX-License-Identifier: Apache-2.0
"""A task for `test_child.py`: it runs in a child and does what it is told."""

import ctypes
import errno
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from tflm_build.errors import TflmBuildError


def run(request: dict[str, Any]) -> dict[str, Any]:
    tasks: dict[str, Any] = {
        "echo": echo, "tell": tell, "die": die, "exit": end, "babble": babble, "garble": garble, "hang": hang,
        "murder": murder, "eat": eat, "refuse": refuse, "fill": fill, "attempt": attempt_to_fill,
    }  # fmt: skip
    answer: dict[str, Any] = tasks[request["what"]](request)
    return answer


def echo(request: dict[str, Any]) -> dict[str, Any]:
    print("libraries print where they should not")
    return request


def die(_: dict[str, Any]) -> NoReturn:
    print("about to die", file=sys.stderr, flush=True)
    ctypes.string_at(0)
    end(_)


def end(_: dict[str, Any]) -> NoReturn:
    os._exit(3)


def babble(_: dict[str, Any]) -> NoReturn:
    print("bla " * 10_000_000 + "the end", flush=True)
    os._exit(3)


def garble(_: dict[str, Any]) -> NoReturn:
    Path("response").write_bytes(b"PK\3\4 is not all of an archive")
    os._exit(0)


def murder(_: dict[str, Any]) -> dict[str, Any]:
    os.kill(os.getppid(), signal.SIGKILL)
    return {}


def eat(_: dict[str, Any]) -> dict[str, Any]:
    return {"size": len(bytearray(8 << 30))}


def fill(_: dict[str, Any]) -> NoReturn:
    raise OSError(errno.ENOSPC, "no room")


def attempt_to_fill(_: dict[str, Any]) -> dict[str, Any]:
    """Let an attempt answer what there is no room for."""
    from tflm_build.tasks.attempt import attempt

    Path("attempt.0.npz").symlink_to("/dev/full")
    return {"answer": attempt(lambda: {"x": 1}, 5)}


def refuse(_: dict[str, Any]) -> NoReturn:
    msg = "this is\nrefused"
    raise TflmBuildError(msg)


def tell(_: dict[str, Any]) -> dict[str, Any]:
    """Say what kind of a process this is."""
    limits = (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)
    listing = [int(file.name) for file in Path("/proc/self/fd").iterdir() if file.exists()]
    return {
        "process": os.getpid(),
        "parent": os.getppid(),
        "group": os.getpgid(0),
        "folder": str(Path.cwd()),
        "limits": [resource.getrlimit(limit)[0] for limit in limits],
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "files": sorted(listing),
        "variable": os.environ.get("TFLM_BUILD_TEST"),
    }


def hang(request: dict[str, Any]) -> NoReturn:
    """Write down this process, one that it forks, and its parent; then do nothing."""
    forked = os.fork()
    if forked != 0:
        Path(request["file"]).write_text(f"{os.getpid()} {forked} {os.getppid()}")
    while True:
        time.sleep(1000)
