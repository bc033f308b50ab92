# SPDX-License-Identifier: Apache-2.0
"""Refuse a .keras archive that Keras cannot have written, before Keras unpacks it."""

import io
import re
import stat
import struct
import zipfile
import zlib
from typing import Final

from tflm_build.errors import TflmBuildError

__all__ = ["check_archive"]

_ENTRY: Final = re.compile(r"(config|metadata)\.json|model\.weights\.(h5|npz)|assets/(?!.*(^|/)\.{1,2}(/|$))[^\\:\0]*")
_MAX_ENTRIES: Final = 1000  # assets of preprocessing layers are a file for each table
_MAX_CONFIG: Final = 16 << 20  # bytes of a JSON file: a deep network's is some hundred KB
# Keras stores weights without compression. Who packs the archive again gains less than this factor, unless the weights
# are nearly all the same, of which there may be so many bytes.
_MAX_FACTOR: Final = 10
_MAX_SAME: Final = 64 << 20


def check_archive(name: str, data: bytes) -> tuple[bytes, bytes]:
    """Check names, kinds and sizes of all entries, and that they are what they were when they were packed.

    Args:
        name: of the file, for messages.
        data: its bytes.

    Returns:
        Its configuration, as JSON, and its weights, as HDF5; empty where it has them in another form or not at all.

    Raises:
        TflmBuildError: it is not an archive as Keras writes it.
    """
    try:
        fault = _fault(data)
    except (
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        fault = f"it is damaged: {error}"
    if fault:
        msg = (
            f"`SRC` is not a model that Keras can load: '{name}' is no archive that Keras wrote: {fault}; save it again"
        )
        raise TflmBuildError(msg)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        weights = "model.weights.h5"
        return archive.read("config.json"), archive.read(weights) if weights in archive.namelist() else b""


def _fault(data: bytes) -> str:
    """Say what is wrong with an archive; nothing if it is sound."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if len(entries) > _MAX_ENTRIES:
            return f"it has {len(entries)} entries; allowed: {_MAX_ENTRIES}"
        if len(set(names)) < len(names):
            return "it has two entries of the same name"
        if "config.json" not in names:
            return "it has no config.json"
        for entry in entries:
            if not _ENTRY.fullmatch(entry.filename):
                return f"it has the entry {entry.filename!r}"
            if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
                return f"its entry {entry.filename!r} is neither a file nor a folder"
            if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                return f"its entry {entry.filename!r} is compressed by a method that Keras never uses"
            if entry.filename.endswith(".json") and entry.file_size > _MAX_CONFIG:
                return f"its entry {entry.filename!r} has {entry.file_size:,} B; allowed: {_MAX_CONFIG:,}"
        size, allowed = sum(entry.file_size for entry in entries), _MAX_SAME + _MAX_FACTOR * len(data)
        if size > allowed:
            return f"its entries unpack to {size:,} B; allowed for its size: {allowed:,}"
        damaged = archive.testzip()
        return f"its entry {damaged!r} is damaged" if damaged else ""
