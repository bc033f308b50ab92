# SPDX-License-Identifier: Apache-2.0
"""Call what may kill its process, as interpreters do, in forks of this one."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.child.messages import Message, pack, unpack
from tflm_build.child.processes import CAN_FORK

__all__ = ["SECONDS", "attempt", "attempt_vectors", "end_after", "words"]

SECONDS: Final = 20
"""Of the processor, for one vector: a model on a chip computes less than these kernels do in that time."""

_FULL: Final = 2  # exit status
_SHOWN: Final = 3  # lines of what was said that an error quotes
_WORDS: Final = Path("attempt.log")  # in the child's own folder: what the attempt said that failed, or the first
_MOST: Final = 8  # forks at once: each has the model and an arena


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
    answers = _attempt_all([work], seconds)
    return answers[0] if answers else None


def attempt_vectors(
    work: Callable[[Sequence[Array]], Mapping[str, Any]], inputs: Sequence[Array], seconds: int, *, in_order: bool
) -> Message | None:
    """Call a function of vectors in as many forks as there are processors, each with a share of the vectors.

    Args:
        work: takes per input an array (vectors, *shape); returns a message of lists of arrays (vectors, ...).
        inputs: what is shared out; of none, the function is called once.
        seconds: the processor's time for each vector.
        in_order: an answer depends on the vectors before, so that one fork has all.

    Returns:
        The message with the arrays of all vectors; None as in `attempt`.

    Raises:
        OSError: there is no room for the messages.
    """
    count = len(inputs[0]) if inputs else 1
    shares = 1 if in_order or not CAN_FORK else min(count, len(os.sched_getaffinity(0)), _MOST)
    ends = [count * share // shares for share in range(shares + 1)]
    works = [partial(work, [array[start:end] for array in inputs]) for start, end in pairwise(ends)]
    answers = _attempt_all(works, seconds * -(-count // shares))
    if answers is None:
        return None
    if shares == 1:  # nothing to copy
        return answers[0]
    return {
        key: [np.concatenate(parts) for parts in zip(*(answer[key] for answer in answers), strict=True)]
        for key in answers[0]
    }


def _attempt_all(works: Sequence[Callable[[], Mapping[str, Any]]], seconds: int) -> list[Message] | None:
    """Call functions side by side, a fork for each; None where one fails."""
    logs = [Path(f"attempt.{place}.log") for place in range(len(works))]
    files = [log.with_suffix(".npz") for log in logs]
    run = _in_forks if CAN_FORK else _in_this_process
    statuses = run([partial(_work_here, work, file) for work, file in zip(works, files, strict=True)], logs, seconds)
    if _FULL in statuses:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    failed = next((place for place, status in enumerate(statuses) if status), None)
    logs[failed or 0].replace(_WORDS)
    if failed is None:
        return [unpack(file.read_bytes()) for file in files]
    if statuses[failed] < 0:
        end = signal.Signals(-statuses[failed]).name
        how = "gave no answer in time and was ended" if end == "SIGPROF" else f"was ended by {end}"
        with _WORDS.open("a") as log:
            log.write(f"\nthe interpreter {how}")
    return None


def _in_forks(works: Sequence[Callable[[], int]], logs: Sequence[Path], seconds: int) -> list[int]:
    """Call functions in forks, all at once; return their exit statuses."""
    processes = []
    for work, path in zip(works, logs, strict=True):
        with path.open("wb") as log:
            process = os.fork()
            if process == 0:
                end_after(seconds)
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                os._exit(work())
            processes.append(process)
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


def _in_this_process(works: Sequence[Callable[[], int]], logs: Sequence[Path], _seconds: int) -> list[int]:
    """Call functions here, on macOS and Windows: what kills one ends the task, whose own limit of time holds."""
    statuses = []
    kept = [os.dup(1), os.dup(2)]
    try:
        for work, path in zip(works, logs, strict=True):
            with path.open("wb") as log:
                for target in (1, 2):
                    os.dup2(log.fileno(), target)
                statuses.append(work())
    finally:
        end_after(0)  # what comes next has the time of the task
        for target, own in zip((1, 2), kept, strict=True):
            os.dup2(own, target)
            os.close(own)
    return statuses


def end_after(seconds: int) -> None:
    """End this process after so many seconds of the processor, with 0 never: no other process decides an answer."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _work_here(work: Callable[[], Mapping[str, Any]], file: Path) -> int:
    """Call a function in this process, and write its message; the exit status says whether it worked."""
    try:
        answer = pack(work())
    except Exception as error:  # noqa: BLE001 - it goes into the log, behind what the interpreter said
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        return 1
    try:
        file.write_bytes(answer)
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
