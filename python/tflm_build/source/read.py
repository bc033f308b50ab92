# SPDX-License-Identifier: Apache-2.0
"""Find out what a source is, before anything is built from it."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.source.check_archive import check_archive
from tflm_build.source.check_config import check_config
from tflm_build.source.check_flatbuffer import check_flatbuffer
from tflm_build.source.check_hdf5 import check_hdf5

__all__ = ["FUNCTION", "Source", "check_name", "kind_of", "read_source"]

_ALLOWED: Final = ".keras, .h5, .hdf5, .tflite, a SavedModel folder, or module.py:function"
FUNCTION: Final = re.compile(r"(.+\.py):([A-Za-z_][A-Za-z0-9_]*)")
_KINDS: Final = {".keras": "keras", ".h5": "h5", ".hdf5": "h5", ".tflite": "tflite"}


@dataclass(frozen=True)
class Source:
    """A trained model, not yet compiled.

    Attributes:
        location: where it lies: an absolute path, or `path:function`.
        name: base name, for messages and the manifest.
        kind: keras, h5, tflite, saved_model or function.
        data: the bytes of a file; empty for a folder.
        contents: the bytes of a folder's files, by path inside of it. What was judged is what is opened, so nobody
            reads a file of Keras or of a SavedModel again.
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
    contents: Mapping[str, bytes] = field(default_factory=dict)


def read_source(src: str, *, unsafe: bool = False) -> Source:
    """Read a source; a flatbuffer or a file of Keras is verified before anything else reads it.

    Args:
        src: as the user wrote it.
        unsafe: let a file of Keras name what may run code.

    Raises:
        TflmBuildError: it is missing, unreadable, of an unknown kind, or damaged.
    """
    function = FUNCTION.fullmatch(src)
    path = Path(function[1] if function else src)
    check_name("SRC", path)
    kind = kind_of(src)
    if kind == "saved_model":
        return _saved_model(path)
    if kind is None:
        msg = f"`SRC` got '{path.name}'; allowed: {_ALLOWED}; save the trained model as .keras"
        raise TflmBuildError(msg)
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"`SRC` '{src}' cannot be read: {error.strerror or error}; check the path"
        raise TflmBuildError(msg) from error
    if kind == "tflite":
        check_flatbuffer(data)
    elif kind in {"keras", "h5"}:
        _verify_keras(kind, path.name, data, unsafe=unsafe)
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


def kind_of(src: str) -> str | None:
    """Return what kind of source it is by its name: one of a Source, or None for an unknown one."""
    if FUNCTION.fullmatch(src):
        return "function"
    path = Path(src)
    kind = _KINDS.get(path.suffix.lower())
    return "saved_model" if path.is_dir() and (kind is None or (path / "saved_model.pb").exists()) else kind


def check_name(option: str, path: Path) -> None:
    """Refuse a file or folder whose own name is not printable.

    Args:
        option: which names it, for messages.
        path: it need not exist.

    Raises:
        TflmBuildError: with the name as Python writes it.
    """
    name = path.name or path.resolve().name
    if not name.isprintable():
        msg = f"`{option}` got {name!r}; allowed: a printable name, because emitted files contain it; rename the file"
        raise TflmBuildError(msg)


def _verify_keras(kind: str, name: str, data: bytes, *, unsafe: bool) -> None:
    """Verify a file of Keras, its weights and its configuration."""
    config, weights = b"", data
    if kind == "keras":
        config, weights = check_archive(name, data)
    if weights:
        found = check_hdf5(name, weights)
        config = found if kind == "h5" else config
    if not unsafe:
        check_config(config)


def _saved_model(folder: Path) -> Source:
    """Read all files of a SavedModel, in the order of their names."""
    if not (folder / "saved_model.pb").is_file():
        msg = f"`SRC` '{folder}' is a folder without saved_model.pb; allowed: {_ALLOWED}; check the path"
        raise TflmBuildError(msg)
    try:
        return _read_saved_model(folder)
    except OSError as error:
        msg = f"`SRC` '{folder}' cannot be read: {error.strerror or error}; check the files in it"
        raise TflmBuildError(msg) from error


def _read_saved_model(folder: Path) -> Source:
    """Read the files of a SavedModel."""
    digest, contents, files = hashlib.sha256(), {}, sorted(path for path in folder.rglob("*") if path.is_file())
    for file in files:
        data = file.read_bytes()
        digest.update(os.fsencode(file.relative_to(folder)) + b"\0" + hashlib.sha256(data).digest())
        contents[file.relative_to(folder).as_posix()] = data
    where, size = folder.resolve(), sum(map(len, contents.values()))
    return Source(str(where), where.name, "saved_model", b"", size, digest.hexdigest(), tuple(files), contents)
