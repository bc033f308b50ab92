# SPDX-License-Identifier: Apache-2.0
"""The tools whose versions decide the emitted bytes.

`python -m tflm_build.versions` lists them. A build system makes the list an input of every conversion, so that no cache
serves what another TensorFlow made.
"""

import hashlib
import platform
import sys
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import tflm_build

__all__ = ["all_versions", "base_versions", "tool_files"]

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


@cache
def all_versions() -> str:
    """List the tools and a digest of this package: one `name==version` in a line; no path and no time."""
    lines = {f"python=={platform.python_version()}", f"tflm-build=={tflm_build.__version__}"}
    digest = hashlib.sha256()
    package = Path(tflm_build.__file__).parent
    for file in tool_files():
        if package in file.parents:
            content = file.read_bytes()
            digest.update(f"{file.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
        else:  # <name>-<version>.dist-info/METADATA
            name, _, version = file.parent.name.removesuffix(".dist-info").partition("-")
            lines.add(f"{name.replace('_', '-')}=={version}")
    for distribution in metadata.distributions(name="h5py"):  # reads what Keras 2 has saved
        lines.add(f"h5py=={distribution.version}")
    lines.add(f"tflm-build-files==sha256:{digest.hexdigest()}")
    return "".join(f"{line}\n" for line in sorted(lines))


if __name__ == "__main__":
    sys.stdout.write(all_versions())
