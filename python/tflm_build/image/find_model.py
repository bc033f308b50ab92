# SPDX-License-Identifier: Apache-2.0
"""Find a model in a linked image: by its symbols, or by its bytes where the image has none."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.image.read import Image, Symbol

__all__ = ["Descriptor", "Embedded", "descriptor_size", "find_model", "find_symbols", "read_descriptor"]

_MAGIC: Final = 0x424C4654  # TFLM_MODEL_MAGIC
_VERSION: Final = 2  # TFLM_MODEL_VERSION
# magic, version, name, data, data_size, data_crc32, arena_size, pointers and counts of inputs and outputs, state_size,
# variable_count, and the pointer to the ops.
_LAYOUTS: Final = {32: "2I 2I I I I 7I", 64: "2I 2Q Q I 4x Q 7Q"}


@dataclass(frozen=True)
class Descriptor:
    """What a `tflm_model` says of its model.

    Attributes:
        data: address of the data; 0 where the program is placed only when it starts.
        data_size, arena_size: bytes.
    """

    data: int
    data_size: int
    data_crc32: int
    arena_size: int


@dataclass(frozen=True)
class Embedded:
    """A model in an image.

    Attributes:
        address: of its data.
        sizes: bytes of the data, by who says so: the variable `<symbol>_data_len`, the symbol, the descriptor.
        descriptor: None where none was linked, or its place is not known.
    """

    address: int
    sizes: Mapping[str, int]
    descriptor: Descriptor | None


def find_model(image: Image, symbol: str, name: str, flatbuffer: bytes | None) -> Embedded:
    """Find a model's data and descriptor.

    Args:
        image: what was linked.
        symbol: what its symbols begin with.
        name: of the model.
        flatbuffer: the bytes to look for where no symbol says where they are; None: they are not known.

    Raises:
        TflmBuildError: the image does not have the model, or a damaged descriptor.
    """
    data, length, model = f"{symbol}_data", f"{symbol}_data_len", f"{symbol}_model"
    found = find_symbols(image, {data, length, model})
    descriptor = None
    if model in found:
        descriptor = read_descriptor(image, found[model].address)
        if descriptor is None:
            msg = f"{model} in the image is no descriptor of version {_VERSION}; build with one version of tflm-build"
            raise TflmBuildError(msg)
    sizes = {}
    if length in found:
        number = image.read_number(found[length].address, image.bits // 8)
        if number is not None:
            sizes[length] = number
    if data in found:
        address = found[data].address
        if found[data].size:  # what is written in assembly need not state one
            sizes[data] = found[data].size
    elif descriptor is not None and image.read(descriptor.data, 1) is not None:
        address = descriptor.data
    else:
        address = _search(image, symbol, name, flatbuffer)
    if descriptor is not None:
        sizes[model] = descriptor.data_size
    return Embedded(address, sizes, descriptor)


def find_symbols(image: Image, names: Iterable[str]) -> dict[str, Symbol]:
    """Return the symbols that have these names; of several the one that other object files see."""
    found: dict[str, Symbol] = {}
    wanted = frozenset(names)
    for symbol in image.symbols():
        if symbol.name in wanted and (symbol.name not in found or found[symbol.name].local):
            found[symbol.name] = symbol
    return found


def descriptor_size(image: Image) -> int:
    """Return the bytes of a descriptor, with the padding that the image's compiler puts into it."""
    return struct.calcsize(f"={_LAYOUTS[image.bits]}")


def read_descriptor(image: Image, address: int) -> Descriptor | None:
    """Read a descriptor; None where there is none of this version."""
    content = image.read(address, descriptor_size(image))
    if content is None:
        return None
    order = "<" if image.little_endian else ">"
    magic, version, _name, data, size, crc32, arena, *_ = struct.unpack(order + _LAYOUTS[image.bits], content)
    return Descriptor(data, size, crc32, arena) if (magic, version) == (_MAGIC, _VERSION) else None


def _search(image: Image, symbol: str, name: str, flatbuffer: bytes | None) -> int:
    """Find the model by its bytes."""
    if flatbuffer is None:
        msg = (
            f"the image has no symbol {symbol}_data, and {name}.tflite does not lie beside the manifest to look for "
            "its bytes; link the model, or pass the image before it is stripped"
        )
        raise TflmBuildError(msg)
    address = image.find(flatbuffer)
    if address is None:
        msg = (
            f"the image has neither a symbol {symbol}_data nor the bytes of {name}.tflite; link the model, and use it: "
            "linkers drop what nothing refers to"
        )
        raise TflmBuildError(msg)
    return address
