# SPDX-License-Identifier: Apache-2.0
"""Find out what a source is, before anything is built from it."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.source.check_archive import verify_archive
from tflm_build.source.check_flatbuffer import verify

__all__ = ["FUNCTION", "Source", "read_source"]

_ALLOWED: Final = ".keras, .h5, .hdf5, .tflite, a SavedModel folder, or module.py:function"
FUNCTION: Final = re.compile(r"(.+\.py):([A-Za-z_][A-Za-z0-9_]*)")
_KINDS: Final = {".keras": "keras", ".h5": "h5", ".hdf5": "h5", ".tflite": "tflite"}


@dataclass(frozen=True)
class Source:
    """A trained model, not yet compiled.

    Attributes:
        location: what TensorFlow loads: an absolute path, or `path:function`.
        name: base name, for messages and the manifest.
        kind: keras, h5, tflite, saved_model or function.
        data: the bytes of a file; empty for a folder.
        size: bytes of all its files.
        sha256: their digest.
        files: all that it consists of, as paths that begin as the user wrote them.
    """

    location: str
    name: str
    kind: str
    data: bytes
    size: int
    sha256: str
    files: tuple[Path, ...]


def read_source(src: str) -> Source:
    """Read a source; a flatbuffer or an archive is verified before anything else reads it.

    Raises:
        TflmBuildError: it is missing, unreadable, of an unknown kind, or damaged.
    """
    function = FUNCTION.fullmatch(src)
    path = Path(function[1] if function else src)
    if not src.isprintable():
        msg = f"SRC got {src!r}; a name that can be printed is allowed, for the emitted files tell it; rename the file"
        raise TflmBuildError(msg)
    kind = "function" if function else _KINDS.get(path.suffix.lower())
    if path.is_dir() and (kind is None or (path / "saved_model.pb").exists()):
        return _saved_model(path)
    if kind is None:
        msg = f"SRC got '{path.name}'; allowed: {_ALLOWED}; save the trained model as .keras"
        raise TflmBuildError(msg)
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"SRC '{src}' cannot be read: {error.strerror or error}; check the path"
        raise TflmBuildError(msg) from error
    if kind == "tflite":
        verify(data)
    elif kind == "keras":
        verify_archive(path.name, data)
    suffix = f":{function[2]}" if function else ""
    return Source(
        f"{path.resolve()}{suffix}",
        path.name + suffix,
        kind,
        data,
        len(data),
        hashlib.sha256(data).hexdigest(),
        (path,),
    )


def _saved_model(folder: Path) -> Source:
    """Read all files of a SavedModel, in the order of their names."""
    if not (folder / "saved_model.pb").is_file():
        msg = f"SRC '{folder}' is a folder without saved_model.pb; allowed: {_ALLOWED}; check the path"
        raise TflmBuildError(msg)
    try:
        return _read_saved_model(folder)
    except OSError as error:
        msg = f"SRC '{folder}' cannot be read: {error.strerror or error}; check the files in it"
        raise TflmBuildError(msg) from error


def _read_saved_model(folder: Path) -> Source:
    """Read the files of a SavedModel."""
    digest, size, files = hashlib.sha256(), 0, sorted(path for path in folder.rglob("*") if path.is_file())
    for file in files:
        data = file.read_bytes()
        digest.update(os.fsencode(file.relative_to(folder)) + b"\0" + hashlib.sha256(data).digest())
        size += len(data)
    name = folder.resolve().name
    return Source(str(folder.resolve()), name, "saved_model", b"", size, digest.hexdigest(), tuple(files))
