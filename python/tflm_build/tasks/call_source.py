# SPDX-License-Identifier: Apache-2.0
"""Call the function that makes a source, and take what it returned: an object of a library, or a .tflite."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_build.errors import TflmBuildError
from tflm_build.tasks.call_function import call_function, used_files

__all__ = ["Made", "call_source"]


@dataclass(frozen=True)
class Made:
    """What a function returned.

    Attributes:
        model: the object.
        flatbuffer: None, or the bytes of the .tflite that it returned, itself or by its path.
        files: of the function's folder that the result depends on.
    """

    model: Any
    flatbuffer: bytes | None
    files: list[str]


def call_source(path: str) -> Made:
    """Call the function of a source.

    Args:
        path: `module.py:name`.

    Raises:
        TflmBuildError: it fails, or the path that it returned cannot be read.
    """
    location, _, name = path.rpartition(":")
    file = Path(location)
    what = f"`SRC` '{file.name}:{name}'"
    model = call_function(what, file, name)
    flatbuffer = None
    if isinstance(model, bytes | bytearray | memoryview):
        flatbuffer = bytes(model)
    elif isinstance(model, str | os.PathLike):
        try:
            flatbuffer = Path(model).read_bytes()
        except OSError as error:
            msg = (
                f"{what} returned the path '{os.fspath(model)}', which cannot be read: {error.strerror or error}; "
                "write the .tflite there, or fix the path"
            )
            raise TflmBuildError(msg) from error
    return Made(model, flatbuffer, used_files(file.parent))
