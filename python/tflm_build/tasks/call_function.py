# SPDX-License-Identifier: Apache-2.0
"""Call a function of a Python file that the user named; only ever done in a child process."""

import os
import runpy
import sys
from pathlib import Path
from typing import Any, Final

from tflm_build.errors import TflmBuildError, first_line

__all__ = ["call_function", "used_files"]

_OPENED: Final[dict[bool, set[str]]] = {True: set(), False: set()}
"""Paths of files that were opened since a function was called: to be read, and to be written."""

_CALLED: Final[list[Any]] = []
"""Functions that were called: a model of TensorFlow lives as long as the variables of the file that made it."""


def call_function(what: str, file: Path, name: str, *, as_iterator: bool = False) -> Any:
    """Import a file and call one of its functions without arguments.

    Args:
        what: names the function in messages.
        file: the Python file; what lies beside it can be imported.
        name: of the function.
        as_iterator: return a list of all that it yields.

    Raises:
        TflmBuildError: the file cannot be imported, or the function fails.
    """
    sys.path.insert(0, str(file.parent))
    sys.addaudithook(_note_opened)
    try:
        # As runpy does for a script: the file's name need not be a module's, and nothing is cached.
        function = runpy.run_path(str(file), run_name=file.stem).get(name)
        _CALLED.append(function)
        result = function() if callable(function) else None
        items = list(result) if as_iterator and result is not None else result
    except Exception as error:
        msg = f"{what} failed: {first_line(error)}; fix the function"
        raise TflmBuildError(msg) from error
    if not callable(function):
        msg = f"{what} does not exist; define {name}() in {file.name}, without arguments"
        raise TflmBuildError(msg)
    return items


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """Keep which files Python opens, to read or to write."""
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        reads = (arguments[2] or 0) & os.O_ACCMODE == os.O_RDONLY
        _OPENED[reads].add(str(Path(os.fsdecode(arguments[0])).absolute()))


def used_files(folder: Path) -> list[str]:
    """Return the files of a folder that its function depends on as well.

    They are the modules that it imported, and what else was opened from Python to be read, but for what it wrote.
    """
    imported = {str(getattr(module, "__file__", None)) for module in list(sys.modules.values())}
    opened = _OPENED[True] - _OPENED[False]
    read = {file for file in opened if not {"__pycache__", "site-packages"}.intersection(Path(file).parts)}
    return sorted(file for file in imported | read if folder in Path(file).parents and Path(file).is_file())
