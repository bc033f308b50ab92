# SPDX-License-Identifier: Apache-2.0
"""Call what may kill its process, as interpreters do, in a fork of this one."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tflm_build.child.messages import Message, pack, unpack
from tflm_build.child.processes import CAN_FORK

__all__ = ["SECONDS", "attempt", "end_after", "words"]

SECONDS: Final = 20
"""Of the processor, for one vector: a model on a chip computes less than these kernels do in that time."""

_ANSWER, _WORDS = Path("attempt.npz"), Path("attempt.log")  # in the child's own folder
_FULL: Final = 2  # exit status
_SHOWN: Final = 3  # lines of what was said that an error quotes


def attempt(work: Callable[[], Mapping[str, Any]], seconds: int) -> Message | None:
    """Call a function in a fork.

    Args:
        work: returns a message.
        seconds: the processor's time that it has; a loop in a model need not end.

    Returns:
        The message; None where the function failed, died, or gave no answer in time: `words` then tells why.

    Raises:
        OSError: there is no room for the message.
    """
    status = _in_fork(work, seconds) if CAN_FORK else _in_this_process(work)
    if status == _FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if status < 0:
        end = signal.Signals(-status).name
        how = "gave no answer in time and was ended" if end == "SIGPROF" else f"was ended by {end}"
        with _WORDS.open("a") as log:
            log.write(f"\nthe interpreter {how}")
    return unpack(_ANSWER.read_bytes()) if status == 0 else None


def _in_fork(work: Callable[[], Mapping[str, Any]], seconds: int) -> int:
    """Call the function in a fork; return its exit status."""
    with _WORDS.open("wb") as log:
        process = os.fork()
        if process == 0:
            end_after(seconds)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            os._exit(_work_here(work))
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _in_this_process(work: Callable[[], Mapping[str, Any]]) -> int:
    """Call the function here, on macOS and Windows: what kills it ends the task, whose own limit of time holds."""
    kept = [os.dup(1), os.dup(2)]
    try:
        with _WORDS.open("wb") as log:
            for target in (1, 2):
                os.dup2(log.fileno(), target)
            return _work_here(work)
    finally:
        for target, own in zip((1, 2), kept, strict=True):
            os.dup2(own, target)
            os.close(own)


def end_after(seconds: int) -> None:
    """End this process after so many seconds of the processor: what else the machine does must not decide an answer."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _work_here(work: Callable[[], Mapping[str, Any]]) -> int:
    """Call the function in this process; the exit status says whether it worked."""
    try:
        answer = pack(work())
    except Exception as error:  # noqa: BLE001 - it goes into _WORDS, behind what the interpreter said
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        return 1
    try:
        _ANSWER.write_bytes(answer)
    except OSError:
        return _FULL
    return 0


def words(*, whole: bool = False) -> str:
    """Return what was said in the last attempt: all of it, or what an error quotes, the reason first."""
    text = _WORDS.read_text("utf-8", "replace")
    if whole:
        return text
    lines = [line for line in text.splitlines() if line.strip()]
    return "; ".join(lines[:_SHOWN]) or "no reason given"
