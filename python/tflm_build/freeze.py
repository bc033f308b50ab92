# SPDX-License-Identifier: Apache-2.0
"""List what decides the emitted bytes: the versions of Python and of the tools, and this package's own files.

`python -m tflm_build.freeze` prints the list. A build system makes it an input of every conversion, so that no cache
serves what another TensorFlow made.
"""

import hashlib
import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import tflm_build
from tflm_build.versions import tool_files

__all__ = ["freeze"]


@cache
def freeze() -> str:
    """Return the list, one `name==version` in a line; no path and no time."""
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
    sys.stdout.write(freeze())
