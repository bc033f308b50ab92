# SPDX-License-Identifier: Apache-2.0
"""Copy what a project may carry itself: the CMake package and the runtime."""

import shutil
from pathlib import Path
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.own_folder import own_folder

__all__ = ["package_root", "vendor"]

_BESIDE: Final = ".tflm-build-"
_PARTS: Final = ("LICENSE", "cmake", "runtime")
_MARK: Final = Path("cmake", "TflmBuild.cmake")


def package_root() -> Path:
    """Return the folder that has cmake/ and runtime/: the installed package, or a checkout."""
    package = Path(__file__).resolve().parent
    return package if (package / _MARK).is_file() else package.parents[1]


def vendor(folder: Path) -> tuple[Path, ...]:
    """Copy the parts byte for byte; an earlier copy is replaced as a whole.

    Args:
        folder: created if need be; may be empty or hold an earlier copy.

    Returns:
        The copied files, relative to the folder.

    Raises:
        TflmBuildError: the folder holds something else, or cannot be written to.
    """
    root = package_root()
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    others = [name for name in names if name not in _PARTS and not name.startswith(_BESIDE)]
    if others or (names and not (folder / _MARK).is_file()):
        what = f"'{others[0]}'" if others else "something else than an earlier copy"
        msg = f"FOLDER '{folder}' holds {what}; allowed: a new or empty folder, or an earlier copy; choose another"
        raise TflmBuildError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with own_folder(folder, _BESIDE) as beside:
            (beside / "new").mkdir()
            (beside / "old").mkdir()
            for part in _PARTS:
                if (root / part).is_dir():
                    shutil.copytree(root / part, beside / "new" / part, ignore=shutil.ignore_patterns("installed"))
                else:
                    shutil.copyfile(root / part, beside / "new" / part)
            for part in _PARTS:
                if (folder / part).exists():
                    (folder / part).rename(beside / "old" / part)
                (beside / "new" / part).rename(folder / part)
    except OSError as error:
        msg = f"FOLDER '{folder}' cannot be written to: {error.strerror or error}; choose another"
        raise TflmBuildError(msg) from error
    return tuple(sorted(path.relative_to(folder) for part in _PARTS for path in _files(folder / part)))


def _files(path: Path) -> list[Path]:
    """Return a file, or all files of a folder."""
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
