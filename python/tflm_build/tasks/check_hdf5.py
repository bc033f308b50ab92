# SPDX-License-Identifier: Apache-2.0
"""Look for what reaches out of an HDF5 file, or loads a library: in a child process, as bytes may kill HDF5."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tflm_build.errors import TflmBuildError, first_line

__all__ = ["run"]

_FILTERS: Final = frozenset({1, 2, 3})  # deflate, shuffle, fletcher32: what HDF5 itself has; others are plugins
_MAX_OBJECTS: Final = 100_000
# A data set that unpacks to more than this, and to more than so many times the file, is no trained weight.
_MAX_FACTOR: Final = 100
_MAX_SAME: Final = 64 << 20


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Judge a file.

    Args:
        request: `hdf5`: its bytes.

    Returns:
        `fault`: what is wrong; empty if nothing is. `config`: the attribute `model_config`, as bytes.
    """
    try:
        import h5py
    except ImportError as error:
        msg = f"this source needs TensorFlow; got: {error}; pip install 'tflm-build[tensorflow-cpu]'"
        raise TflmBuildError(msg) from error
    data, config = request["hdf5"], b""
    Path("judged.h5").write_bytes(data)
    try:
        with h5py.File("judged.h5", "r") as file:
            fault = next(_faults(h5py, file, _MAX_SAME + _MAX_FACTOR * len(data)), "")
            if not fault:
                value = file.attrs.get("model_config", b"")
                config = value.encode() if isinstance(value, str) else bytes(value)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        fault = f"is no HDF5 file that can be read: {first_line(error)}"
    return {"fault": fault, "config": config}


def _faults(h5py: Any, file: Any, most: int) -> Iterator[str]:
    """Give what Keras never writes; every object is looked at once, however many links lead to it."""
    groups, seen = [("", file)], set()
    yield from _attribute_faults(h5py, "/", file)
    while groups:
        prefix, group = groups.pop()
        for key in group:
            path = f"{prefix}/{key}"
            link = group.get(key, getlink=True, getclass=True)
            if link is not h5py.HardLink:
                yield f"has {path!r}, which is a link to elsewhere ({getattr(link, '__name__', link)})"
                return
            item = group[key]
            info = h5py.h5o.get_info(item.id)
            if info.addr in seen:
                continue
            seen.add(info.addr)
            if len(seen) > _MAX_OBJECTS:
                yield f"has more than {_MAX_OBJECTS:,} objects"
            yield from _attribute_faults(h5py, path, item)
            if isinstance(item, h5py.Group):
                groups.append((path, item))
            elif isinstance(item, h5py.Dataset):
                yield from _dataset_faults(h5py, path, item, most)
            else:
                yield f"has {path!r}, which is a named type"


def _dataset_faults(h5py: Any, path: str, item: Any, most: int) -> Iterator[str]:
    """Give what is wrong with a data set."""
    properties = item.id.get_create_plist()
    if properties.get_external_count():
        yield f"has {path!r}, whose values lie in another file"
    if properties.get_layout() == h5py.h5d.VIRTUAL:
        yield f"has {path!r}, which is a virtual data set"
    for index in range(properties.get_nfilters()):
        code = properties.get_filter(index)[0]
        if code not in _FILTERS:
            yield f"has {path!r}, which needs the filter {code}, a plugin"
    yield from _type_faults(h5py, path, item.id.get_type())
    if item.size is not None and item.size * item.dtype.itemsize > most:
        yield f"has {path!r}, which unpacks to {item.size * item.dtype.itemsize:,} B"


def _attribute_faults(h5py: Any, path: str, item: Any) -> Iterator[str]:
    """Give what is wrong with an object's attributes."""
    for name in item.attrs:
        yield from _type_faults(h5py, f"{path}@{name}", h5py.h5a.open(item.id, name.encode()).get_type())


def _type_faults(h5py: Any, path: str, kind: Any) -> Iterator[str]:
    """Give what is wrong with a type: numbers, text and truth values are all that Keras writes."""
    if kind.get_class() not in {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM}:
        yield f"has {path!r}, whose values are neither numbers nor text"
