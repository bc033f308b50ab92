# SPDX-License-Identifier: Apache-2.0
"""Make folders that belong to a process while it lives, and remove what processes left that were killed."""

import contextlib
import importlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

__all__ = ["own_folder"]

_LOCK: Final = ".lock"
_NEW: Final = 60  # seconds: a folder without a lock is being made, or was left before it had one


@contextlib.contextmanager
def own_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder, and remove it at the end, with what was left by processes that are dead.

    The lock of a folder is held while its owner lives, and by nobody else: the system lets go of it, however a process
    ends. Windows has no such lock; there nobody can remove a file that is open.

    Args:
        parent: the folder that it lies in.
        prefix: what its name begins with; folders in `parent` that begin so are looked at.

    Raises:
        OSError: the folder cannot be made.
    """
    for left in parent.glob(f"{prefix}*"):
        _sweep(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        unseen = folder / f"{_LOCK}.new"
        with unseen.open("wb") as lock:
            _try_lock(lock)
            with contextlib.suppress(PermissionError):  # Windows, where it is open
                unseen.rename(folder / _LOCK)  # the lock is taken before others can see it
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove a folder whose owner is dead."""
    with contextlib.suppress(OSError):  # of another user, or just removed
        if not folder.is_dir() or folder.is_symlink():
            return
        if not (folder / _LOCK).exists():
            if time.time() - folder.stat().st_mtime > _NEW:
                shutil.rmtree(folder, ignore_errors=True)
            return
        with (folder / _LOCK).open("r+b") as lock:
            dead = _try_lock(lock)
        if dead:
            shutil.rmtree(folder, ignore_errors=True)


def _try_lock(file: IO[Any]) -> bool:
    """Take a file's lock if nobody has it; True also where the system has no such locks."""
    try:
        fcntl = importlib.import_module("fcntl")
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
