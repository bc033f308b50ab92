# SPDX-License-Identifier: Apache-2.0
"""Put files in their place, once all of them are written."""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.own_folder import own_folder

__all__ = ["Place", "depfile", "place_files"]

_BESIDE: Final = ".tflm-build-"


_CARRIED: Final = re.compile(r"([A-Za-z]:)?[\w /+,.@~()=-]*\w")
"""What a dependency file can name: CMake hands it to Ninja and Make, and Ninja 1.11 reads no quotes, stars and more."""

Place = Callable[[Mapping[str, bytes | Path], str], None]
"""Write files, content by name, or links to paths, and rename the second argument's last: while it is missing or old, a
build system knows that work is left."""


@contextlib.contextmanager
def place_files(folder: Path, sources: Iterable[Path] = ()) -> Iterator[Place]:
    """Open a folder for writing: what it yields writes files beside their place and renames them into it.

    The files get the time at which the folder was opened, by the clock of its file system, or that of the newest
    source where that is later: a build system then sees that a source which was replaced since then is newer.

    Args:
        folder: created if need be, and not left behind empty.
        sources: files and folders that are about to be read; those that do not exist do not count.

    Raises:
        TflmBuildError: no dependency file can name the folder, or it cannot be written to, now or where files are
            placed. Nothing has changed then, unless the file system failed while files were renamed: then the last one
            has not.
    """
    if re.search(r"[\n\r\t]", str(folder)):
        msg = (
            f"the folder {str(folder)!r} has a line break or tab in its name, which no dependency file can carry; "
            "choose another folder"
        )
        raise TflmBuildError(msg)
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


def _place(folder: Path, own: Path, time: int, files: Mapping[str, bytes | Path], last: str) -> None:
    """Write files of a time into a folder of this process, and rename them into their place."""
    try:
        for name, content in files.items():
            if (folder / name).is_dir() and not (folder / name).is_symlink():
                raise IsADirectoryError(None, f"{name} is a folder")
            if isinstance(content, Path):
                (own / name).symlink_to(content.absolute())
            else:
                (own / name).write_bytes(content)
                os.utime(own / name, ns=(time, time))
        for name in sorted(files, key=lambda name: name == last):
            (own / name).replace(folder / name)
    except OSError as error:
        msg = (
            f"the folder '{folder}' cannot be written to: {error.strerror or error}; make room or choose another folder"
        )
        raise TflmBuildError(msg) from error


def depfile(name: str, target: Path, inputs: Iterable[Path]) -> dict[str, bytes | Path]:
    """Return a dependency file in Make's syntax, with the paths as they were given, and the links that it needs.

    A path that it cannot name is named by a link that lies beside it.

    Args:
        name: of the dependency file, which is going to lie beside the target.
        target: what depends on the inputs.
        inputs: files and folders.
    """
    files: dict[str, bytes | Path] = {}
    named = []
    for path in inputs:
        if os.name != "posix" or _CARRIED.fullmatch(path.as_posix()):
            named.append(path)
        else:
            link = f"{name}.{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
            files[link] = path
            named.append(target.with_name(link))
    lines = [_escaped(target) + ":", *(f"  {_escaped(path)}" for path in named)]
    return {name: os.fsencode(" \\\n".join(lines) + "\n"), **files}


def _escaped(path: Path) -> str:
    """Escape what Make and Ninja read as more than a letter."""
    text = path.as_posix().replace("$", "$$")
    return "".join("\\" + char if char in " #" else char for char in text)
