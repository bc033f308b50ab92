# SPDX-License-Identifier: Apache-2.0
"""Find out what a source is, before anything is built from it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tflm_build.child import Task, run_in_child
from tflm_build.errors import TflmBuildError

__all__ = ["Source", "read_source"]

_KINDS: Final = {".keras": "keras", ".h5": "h5", ".hdf5": "h5", ".tflite": "tflite"}

_VERIFIER: Final = Task("tflm_build.run_litert", "LiteRT", seconds=60, gigabytes=8)


@dataclass(frozen=True)
class Source:
    """A trained model, not yet compiled.

    Attributes:
        path: where it lies.
        kind: keras, h5 or tflite.
        data: its bytes.
        sha256: their digest.
    """

    path: Path
    kind: str
    data: bytes
    sha256: str


def read_source(src: str) -> Source:
    """Read a source; the offsets of a .tflite are verified by LiteRT, in a child process.

    Raises:
        TflmBuildError: it is missing, unreadable, of an unknown kind, or a damaged .tflite.
    """
    path = Path(src)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        msg = f"SRC got '{path.name}'; allowed: {', '.join(_KINDS)}; save the trained model as .keras"
        raise TflmBuildError(msg)
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"SRC '{src}' cannot be read: {error.strerror or error}; check the path"
        raise TflmBuildError(msg) from error
    if kind == "tflite":
        _verify(path, data)
    return Source(path, kind, data, hashlib.sha256(data).hexdigest())


def _verify(path: Path, data: bytes) -> None:
    """Let LiteRT's own flatbuffer verifier look at every offset, and its interpreter at the tensors."""
    try:
        run_in_child(_VERIFIER, {"flatbuffer": data})
    except TflmBuildError as error:
        msg = f"SRC '{path.name}' is not a valid TensorFlow Lite model: {error}; convert it again"
        raise TflmBuildError(msg, error.trace) from error
