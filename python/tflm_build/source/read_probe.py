# SPDX-License-Identifier: Apache-2.0
"""Read the sizes of TFLM's structures out of the object file of runtime/src/probe.cc."""

import re
from pathlib import Path

from tflm_build.errors import TflmBuildError

__all__ = ["read_probe"]


def read_probe(path: Path) -> dict[str, tuple[int, int]]:
    """Return bytes and alignment of each structure that the probe knows, and of `pointer` and `enumeration`.

    The file's format does not matter: what the probe says is text in it.

    Raises:
        TflmBuildError: the file cannot be read, or says nothing.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"the probe '{path}' cannot be read: {error.strerror or error}; build it anew"
        raise TflmBuildError(msg) from error
    found = re.finditer(rb"tflm-build size (\w+)\0(\d{4})/(\d\d);", content)
    sizes = {match[1].decode(): (int(match[2]), int(match[3])) for match in found}
    if not {"pointer", "enumeration"} <= set(sizes):
        msg = f"the probe '{path}' has no sizes of TFLM's structures; compile runtime/src/probe.cc without -flto"
        raise TflmBuildError(msg)
    return sizes
