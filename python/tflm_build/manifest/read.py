# SPDX-License-Identifier: Apache-2.0
"""Find a model's manifest and read what it says, and the files that lie beside it."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tflm_build.errors import TflmBuildError
from tflm_build.manifest.schema import SCHEMA_VERSION

__all__ = ["Manifest", "find_manifest", "hold_files", "is_manifest", "read_content", "read_manifest"]

_MAX_BYTES: Final = 256 << 20  # of a file beside it, and of itself
_MAX_LOOKED_AT: Final = 32 << 20  # of a file of JSON that may be a manifest
_PARENTS: Final = 2  # folders above the image in which a manifest is looked for
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FILE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")  # what convert emits; it leads nowhere else


@dataclass(frozen=True)
class Manifest:
    """What a manifest says that a linked image can be held against.

    Attributes:
        path: of the manifest.
        name: of the model, which its files begin with.
        symbol: what its C symbols begin with.
        size, sha256, crc32: of the model's bytes.
        align: bytes: what its address is a multiple of.
        arena_sizes: what its descriptor may ask for: as much as the target needs, or a test on the machine that builds.
        sequence: whether the model keeps state, so that its golden vectors are one sequence.
        inputs, outputs: per tensor its element type and shape.
        files: SHA-256 by file name.
    """

    path: Path
    name: str
    symbol: str
    size: int
    sha256: str
    crc32: int
    align: int
    arena_sizes: tuple[int, ...]
    sequence: bool
    inputs: tuple[tuple[np.dtype[Any], tuple[int, ...]], ...]
    outputs: tuple[tuple[np.dtype[Any], tuple[int, ...]], ...]
    files: Mapping[str, str]

    def beside(self, end: str) -> Path:
        """Return the path of an emitted file, given what follows the model's name in it."""
        return self.path.with_name(self.name + end)

    def read(self, end: str) -> bytes | None:
        """Return the content of an emitted file beside the manifest; None if it is not there.

        Raises:
            TflmBuildError: it is not the file that the manifest was written with.
        """
        path = self.beside(end)
        if not path.is_file():
            return None
        content = _content(path)
        _hold(self.path, path, content, self.files.get(path.name, "none"))
        return content


def find_manifest(model: str, image: Path) -> Path:
    """Return the path of a manifest.

    Args:
        model: a path, or a model's name: its manifest is looked for in the image's folder, in two folders above it, and
            in the current folder, and there in `<name>.tflm`.
        image: path of the image.

    Raises:
        TflmBuildError: there is none.
    """
    if not _NAME.fullmatch(model):
        path = Path(model)
        if path.suffix != ".json":
            msg = f"MODEL got '{model}'; allowed: a model's name, or the path of its manifest, a .json file"
            raise TflmBuildError(msg)
        if not path.is_file():
            msg = f"MODEL '{model}' cannot be read: there is no such file; pass the manifest that convert has written"
            raise TflmBuildError(msg)
        return path
    above = Path(image).resolve().parents[: _PARENTS + 1]
    folders = list(dict.fromkeys([*above, Path.cwd()]))
    for folder in folders:
        for path in (folder / f"{model}.json", folder / f"{model}.tflm" / f"{model}.json"):
            if path.is_file():
                return path
    msg = (
        f"there is no {model}.json, nor {model}.tflm/{model}.json, in {', '.join(map(str, folders))}; pass the path of "
        "the manifest"
    )
    raise TflmBuildError(msg)


def is_manifest(path: Path) -> bool:
    """Say whether a file is a manifest, of whatever version: a folder of a build has many other files of JSON.

    One that is cut off cannot be parsed; it counts where it has keys that a manifest begins with.
    """
    try:
        if path.stat().st_size > _MAX_LOOKED_AT:
            return False
        text = path.read_bytes()
    except OSError:
        return False
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return all(f'"{key}": '.encode() in text for key in ("activations", "arena", "calibration"))
    return isinstance(content, dict) and {"schema_version", "name", "model", "files"} <= content.keys()


def read_content(path: Path) -> dict[str, Any]:
    """Read what a manifest says, and check nothing but its version.

    Raises:
        TflmBuildError: it cannot be read, or is of another version.
    """
    try:
        content = json.loads(_content(path))
    except (ValueError, RecursionError) as error:
        msg = f"MODEL '{path}' is not valid JSON; pass the manifest that convert has written"
        raise TflmBuildError(msg) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        msg = (
            f"MODEL '{path}' is no manifest of version {SCHEMA_VERSION}: its schema_version is {version!r}; convert "
            "the model again, with this version of tflm-build"
        )
        raise TflmBuildError(msg)
    return dict(content)


def hold_files(path: Path, content: Mapping[str, Any]) -> None:
    """Check the digests in a manifest against the files that lie beside it; files that lie elsewhere are not checked.

    Raises:
        TflmBuildError: a file is not the one that the manifest was written with.
    """
    digests = content.get("files")
    if not isinstance(digests, dict):
        msg = f"MODEL '{path}' is damaged: it has no digests of files; convert the model again"
        raise TflmBuildError(msg)
    for name, listed in digests.items():
        file = path.with_name(name) if _FILE.fullmatch(name) else None
        if file is not None and file.is_file():
            _hold(path, file, _content(file), str(listed))


def _hold(path: Path, file: Path, content: bytes, listed: str) -> None:
    """Compare a file's digest with the one that a manifest lists."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != listed:
        msg = (
            f"{file.name} does not belong to {path.name}: its SHA-256 is {digest[:16]}..., the manifest's "
            f"{listed[:16]}...; convert the model again, or keep its files together"
        )
        raise TflmBuildError(msg)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        TflmBuildError: it cannot be read, is of another version, or does not say what a manifest says.
    """
    content = read_content(path)
    try:
        manifest = _manifest(path, content)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        msg = f"MODEL '{path}' is damaged: {type(error).__name__}: {error}; convert the model again"
        raise TflmBuildError(msg) from error
    if manifest.files.get(f"{manifest.name}.tflite") != manifest.sha256:
        msg = f"MODEL '{path}' contradicts itself on the SHA-256 of the model; convert the model again"
        raise TflmBuildError(msg)
    return manifest


def _manifest(path: Path, content: dict[str, Any]) -> Manifest:
    """Take what is needed; raise what Python raises where it is not there."""
    name, model = content["name"], content["model"]
    symbol = content.get("symbol", name)  # older manifests have none
    for text in (name, symbol):
        if not _NAME.fullmatch(text):
            msg = f"the name {text!r}"
            raise ValueError(msg)
    return Manifest(
        path=path,
        name=name,
        symbol=symbol,
        size=int(model["bytes"]),
        sha256=str(model["sha256"]),
        crc32=int(model["crc32"], 16),
        align=max(16, int(content["options"]["align"])),
        arena_sizes=tuple(int(content["arena"][key]) for key in ("size", "host_size") if key in content["arena"]),
        sequence=bool(content.get("state", {}).get("bytes", 0)),  # older manifests have none
        inputs=_tensors(content["inputs"]),
        outputs=_tensors(content["outputs"]),
        files={str(file): str(digest) for file, digest in content["files"].items()},
    )


def _tensors(tensors: list[dict[str, Any]]) -> tuple[tuple[np.dtype[Any], tuple[int, ...]], ...]:
    """Return types and shapes."""
    return tuple((np.dtype(str(tensor["type"])), tuple(int(size) for size in tensor["shape"])) for tensor in tensors)


def _content(path: Path) -> bytes:
    """Read a file, unless it is absurdly large."""
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            msg = f"'{path}' has {size:,} B; allowed: {_MAX_BYTES:,}; convert the model again"
            raise TflmBuildError(msg)
        return path.read_bytes()
    except OSError as error:
        msg = f"'{path}' cannot be read: {error.strerror or error}; check the path"
        raise TflmBuildError(msg) from error
