# SPDX-License-Identifier: Apache-2.0
"""Put files in their place, once all of them are written."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tflm_build.errors import TflmBuildError

__all__ = ["depfile", "place_files"]

_BESIDE: Final = ".tflm-build-"


def place_files(folder: Path, files: Mapping[str, bytes], last: str) -> None:
    """Write files beside their place and rename them into it. What an earlier call left that was killed is removed.

    Args:
        folder: created if need be.
        files: content by file name.
        last: the file that is renamed last: while it is missing or old, a build system knows that work is left.

    Raises:
        TflmBuildError: the folder cannot be written to. Nothing has changed then, unless the file system failed while
            files were renamed: then the last one has not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_BESIDE}*"):
            shutil.rmtree(left, ignore_errors=True)
        beside = Path(tempfile.mkdtemp(prefix=_BESIDE, dir=folder))
    except OSError as error:
        msg = f"the folder '{folder}' cannot be written to: {error.strerror or error}; choose another folder"
        raise TflmBuildError(msg) from error
    try:
        for name, content in files.items():
            if (folder / name).is_dir():
                raise IsADirectoryError(None, f"{name} is a folder")
            (beside / name).write_bytes(content)
        for name in sorted(files, key=lambda name: name == last):
            (beside / name).replace(folder / name)
    except OSError as error:
        msg = (
            f"the folder '{folder}' cannot be written to: {error.strerror or error}; make room or choose another folder"
        )
        raise TflmBuildError(msg) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def depfile(target: Path, inputs: Iterable[Path]) -> bytes:
    """Return a dependency file in Make's syntax, with the paths as they were given."""
    lines = [_escaped(target) + ":", *(f"  {_escaped(path)}" for path in inputs)]
    return (" \\\n".join(lines) + "\n").encode()


def _escaped(path: Path) -> str:
    """Escape what Make and Ninja read as more than a letter."""
    text = path.as_posix().replace("$", "$$")
    return "".join("\\" + char if char in " #" else char for char in text)
