# SPDX-License-Identifier: Apache-2.0
"""Put files in their place, once all of them are written."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.own_folder import own_folder

__all__ = ["depfile", "place_files"]

_BESIDE: Final = ".tflm-build-"


@contextlib.contextmanager
def place_files(folder: Path) -> Iterator[Callable[[Mapping[str, bytes], str], None]]:
    """Open a folder for writing: what it yields writes files beside their place and renames them into it.

    The files get the time at which the folder was opened, by the clock of its file system: a build system then sees
    that a source which was replaced since then is newer than what was made of it.

    Args:
        folder: created if need be.

    Yields:
        A function of the content by file name, and the file that is renamed last: while it is missing or old, a build
        system knows that work is left. It raises TflmBuildError where the folder cannot be written to; nothing has
        changed then, unless the file system failed while files were renamed: then the last one has not.

    Raises:
        TflmBuildError: the folder cannot be written to.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = own_folder(folder, _BESIDE)
        try:
            own = beside.__enter__()
        except FileNotFoundError:  # another build, which was refused, has just removed the empty folder
            folder.mkdir(parents=True, exist_ok=True)
            beside = own_folder(folder, _BESIDE)
            own = beside.__enter__()
        opened = own.stat().st_mtime_ns
    except OSError as error:
        msg = f"the folder '{folder}' cannot be written to: {error.strerror or error}; choose another folder"
        raise TflmBuildError(msg) from error

    def place(files: Mapping[str, bytes], last: str) -> None:
        try:
            for name, content in files.items():
                if (folder / name).is_dir():
                    raise IsADirectoryError(None, f"{name} is a folder")
                (own / name).write_bytes(content)
                os.utime(own / name, ns=(opened, opened))
            for name in sorted(files, key=lambda name: name == last):
                (own / name).replace(folder / name)
        except OSError as error:
            msg = (
                f"the folder '{folder}' cannot be written to: {error.strerror or error}; make room or choose another "
                "folder"
            )
            raise TflmBuildError(msg) from error

    try:
        with contextlib.ExitStack() as stack:
            stack.push(beside)
            yield place
    finally:
        with contextlib.suppress(OSError):  # something was placed, here or by another
            for made in missing:
                made.rmdir()


def depfile(target: Path, inputs: Iterable[Path]) -> bytes:
    """Return a dependency file in Make's syntax, with the paths as they were given."""
    lines = [_escaped(target) + ":", *(f"  {_escaped(path)}" for path in inputs)]
    return (" \\\n".join(lines) + "\n").encode()


def _escaped(path: Path) -> str:
    """Escape what Make and Ninja read as more than a letter."""
    text = path.as_posix().replace("$", "$$")
    return "".join("\\" + char if char in " #" else char for char in text)
