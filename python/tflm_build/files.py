# SPDX-License-Identifier: Apache-2.0
"""Put files in their place, once all of them are written."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.own_folder import own_folder

__all__ = ["Place", "depfile", "place_files"]

_BESIDE: Final = ".tflm-build-"


Place = Callable[[Mapping[str, bytes], str], None]
"""Write files, content by name, and rename the second argument's last: while it is missing or old, a build system knows
that work is left."""


@contextlib.contextmanager
def place_files(folder: Path, sources: Iterable[Path] = ()) -> Iterator[Place]:
    """Open a folder for writing: what it yields writes files beside their place and renames them into it.

    The files get the time at which the folder was opened, by the clock of its file system, or that of the newest
    source where that is later: a build system then sees that a source which was replaced since then is newer.

    Args:
        folder: created if need be, and not left behind empty.
        sources: files and folders that are about to be read; those that do not exist do not count.

    Raises:
        TflmBuildError: the folder cannot be written to, now or where files are placed. Nothing has changed then, unless
            the file system failed while files were renamed: then the last one has not.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with contextlib.ExitStack() as stack:
            try:
                own = _open(folder, stack)
                time = max([own.stat().st_mtime_ns, *map(_newest, sources)])
            except OSError as error:
                msg = f"the folder '{folder}' cannot be written to: {error.strerror or error}; choose another folder"
                raise TflmBuildError(msg) from error
            yield partial(_place, folder, own, time)
    finally:
        with contextlib.suppress(OSError):  # something was placed, here or by another
            for made in missing:
                made.rmdir()


def _open(folder: Path, stack: contextlib.ExitStack) -> Path:
    """Return a folder of this process in another one, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return stack.enter_context(own_folder(folder, _BESIDE))
    except FileNotFoundError:  # another build, which was refused, has just removed the empty folder
        folder.mkdir(parents=True, exist_ok=True)
        return stack.enter_context(own_folder(folder, _BESIDE))


def _newest(path: Path) -> int:
    """Return when a file, or the newest in a folder, was changed."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max(file.stat().st_mtime_ns if file.exists() else 0 for file in files)


def _place(folder: Path, own: Path, time: int, files: Mapping[str, bytes], last: str) -> None:
    """Write files of a time into a folder of this process, and rename them into their place."""
    try:
        for name, content in files.items():
            if (folder / name).is_dir():
                raise IsADirectoryError(None, f"{name} is a folder")
            (own / name).write_bytes(content)
            os.utime(own / name, ns=(time, time))
        for name in sorted(files, key=lambda name: name == last):
            (own / name).replace(folder / name)
    except OSError as error:
        msg = (
            f"the folder '{folder}' cannot be written to: {error.strerror or error}; make room or choose another folder"
        )
        raise TflmBuildError(msg) from error


def depfile(target: Path, inputs: Iterable[Path]) -> bytes:
    """Return a dependency file in Make's syntax, with the paths as they were given."""
    lines = [_escaped(target) + ":", *(f"  {_escaped(path)}" for path in inputs)]
    return (" \\\n".join(lines) + "\n").encode()


def _escaped(path: Path) -> str:
    """Escape what Make and Ninja read as more than a letter."""
    text = path.as_posix().replace("$", "$$")
    return "".join("\\" + char if char in " #" else char for char in text)
