# SPDX-License-Identifier: Apache-2.0
"""Write a folder that Arduino's tools and PlatformIO take as a library: models, the runtime, and a sketch for each."""

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, Final

from tflm_build.errors import TflmBuildError
from tflm_build.manifest.read import hold_files, read_content
from tflm_build.vendor import package_root

__all__ = ["export_arduino"]

_HEADER: Final = re.compile(r"[A-Za-z0-9_./-]+\.h")
_RUNTIME: Final = ("backend.h", "check.c", "model.c", "native.cc")
_MARK: Final = "library.properties"
_NATIVE: Final = "#define TFLM_BUILD_NATIVE /* there is a TFLM: the descriptor has its ops */\n"


def export_arduino(sources: Sequence[Path], folder: Path, header: str) -> tuple[Path, ...]:
    """Write a library with models that were built.

    All models of a program belong into one library, because each library has the runtime.

    Args:
        sources: their manifests; the library is named for its folder.
        folder: created if need be; may hold an earlier export.
        header: by which Arduino's tools find the library that has TFLM.

    Returns:
        The files.

    Raises:
        TflmBuildError: a manifest cannot be read or does not belong to the files beside it; a model has no array; or
            the folder holds something else, or cannot be written to.
    """
    if not _HEADER.fullmatch(header):
        msg = f"TFLM_HEADER got '{header}'; allowed: the name of a header, such as TensorFlowLite.h"
        raise TflmBuildError(msg)
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / _MARK).is_file())):
        msg = f"OUTPUT '{folder}' holds something else than an Arduino library; choose a new or empty folder"
        raise TflmBuildError(msg)
    names, files = [], _runtime(header)
    for source in sources:
        content = read_content(source)
        hold_files(source, content)
        names.append(str(content["name"]))
        files |= _model(source, content, header)
    words = {"name": folder.resolve().name, "models": ", ".join(names), "header": header}
    files[_MARK] = _fill(_MARK, **words, includes=",".join(f"{name}.h" for name in names))
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_bytes() != text.encode():  # what is equal is not compiled again
                path.write_bytes(text.encode())
    except OSError as error:
        msg = f"OUTPUT '{folder}' cannot be written to: {error.strerror or error}; choose another"
        raise TflmBuildError(msg) from error
    return tuple(folder / name for name in sorted(files))


def _runtime(header: str) -> dict[str, str]:
    """Return the files of the runtime; Arduino's tools have no flags for a library, and compile .cpp."""
    runtime, files = package_root() / "runtime", {}
    for name in ("golden.h", "model.h"):
        files[f"src/tflm_build/{name}"] = (runtime / "include" / "tflm_build" / name).read_text("utf-8")
    for name in _RUNTIME:
        text = (runtime / "src" / name).read_text("utf-8")
        files[f"src/tflm_build/{name.replace('.cc', '.cpp')}"] = _found(header, text) if name.endswith(".cc") else text
    return files


def _model(source: Path, content: dict[str, Any], header: str) -> dict[str, str]:
    """Return the files of a model."""
    name, symbol = str(content["name"]), str(content["symbol"])
    data = source.with_name(f"{name}_data.c")
    if not data.is_file():
        msg = f"'{data.name}' is not beside '{source.name}': EMBED incbin makes no array; convert with EMBED array"
        raise TflmBuildError(msg)
    texts = {end: source.with_name(f"{name}{end}").read_text("utf-8") for end in (".h", ".c", "_data.c", "_ops.cc")}
    return {
        f"src/{name}.h": texts[".h"],
        f"src/{name}.c": _NATIVE + texts[".c"],
        f"src/{name}_data.c": texts["_data.c"],
        f"src/{name}_ops.cpp": _found(header, texts["_ops.cc"]),
        f"examples/{name}/{name}.ino": _fill("sketch.ino", name=name, symbol=symbol, upper=symbol.upper()),
    }


def _found(header: str, text: str) -> str:
    """Return a source that includes a header first: so do Arduino's tools find the library that it is in."""
    return f"#include <{header}>\n\n{text}"


def _fill(template: str, **words: str) -> str:
    """Fill in a template."""
    text = resources.files("tflm_build.export").joinpath("templates", template).read_text("utf-8")
    return Template(text).substitute(words)
