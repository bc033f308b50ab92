# SPDX-License-Identifier: Apache-2.0
"""The tools whose versions decide the emitted bytes."""

import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import tflm_build

__all__ = ["base_versions", "tool_files"]

_DISTRIBUTIONS = (
    "ai-edge-litert", "ai-edge-quantizer", "flatbuffers", "keras", "numpy", "pillow", "tensorflow", "tensorflow-cpu",
    "tf-keras", "tflite-micro",
)  # fmt: skip


def base_versions() -> dict[str, str]:
    """Return the versions of what every conversion uses."""
    return {
        "ai-edge-litert": metadata.version("ai-edge-litert"),
        "flatbuffers": metadata.version("flatbuffers"),
        "numpy": metadata.version("numpy"),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "tflm-build": tflm_build.__version__,
    }


def tool_files() -> Iterable[Path]:
    """Yield the files that change when a tool does: this package's own, and the metadata of the others' packages."""
    package = Path(tflm_build.__file__).parent
    yield from sorted(path for path in package.rglob("*") if path.suffix in {".py", ".tsv", ".in"})
    for name in _DISTRIBUTIONS:
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        folder = f"{name.replace('-', '_')}-{distribution.version}.dist-info"
        file = Path(str(distribution.locate_file(folder)), "METADATA")
        if file.is_file():
            yield file
