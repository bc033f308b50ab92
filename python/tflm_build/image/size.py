# SPDX-License-Identifier: Apache-2.0
"""Divide a linked image's flash and RAM among its models, TFLM, the runtime and the rest: each byte counts once."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.image.find_model import descriptor_size, read_descriptor
from tflm_build.image.ram import ram_sections
from tflm_build.image.read import Image, Section, Symbol

__all__ = ["Row", "size_image"]

_MAX_MODELS: Final = 1000

# Namespaces of TFLM and of what it is built with, as they begin a mangled name; and their functions in C.
_NAMESPACES: Final = ("tflite", "tflite_micro", "tflm_signal", "flatbuffers", "gemmlowp", "ruy")
_SPELT: Final = "|".join(f"{len(name)}{name}" for name in _NAMESPACES)
_TFLM: Final = re.compile(
    rf"_Z(?:T[CISVcv]|G[RV]|Z|L)*N[KVr]*(?:{_SPELT})"
    r"|TfLite|(?:arm_nn_|esp_nn_|xa_nn_|kiss_fft)|arm_\w+_s(?:4|8|16)(?:_|$)"
)
_RUNTIME: Final = re.compile(r"tflm_|_Z(?:T[CISVcv]|G[RV]|Z|L)*N[KVr]*10tflm_build")

_TFLM_PART: Final = "TFLM and its kernels"
_RUNTIME_PART: Final = "runtime"
_REST_PART: Final = "rest of the image"
# What follows the model's name in a symbol; and for symbols that only one object file sees, its source and theirs.
_NAMED: Final = {
    "_data": "data", "_data_len": "data", "_model": "descriptor", "_op_resolver": "op registration",
    "_golden": "golden vectors",
}  # fmt: skip
_LOCAL: Final = {
    ".c": ("descriptor", re.compile(r"(?:input|output)(?:s|_\d+_shape)(?:\.\d+)?")),
    "_golden.c": ("golden vectors", re.compile(r".*")),
    "_ops.cc": ("op registration", re.compile(r".*")),
}


@dataclass(frozen=True)
class Row:
    """What a part of an image takes.

    Attributes:
        flash: bytes that are stored: code, constants, and what variables begin with.
        ram: bytes of variables, and of what is copied at start.
        arena: bytes that the descriptor asks for, in memory that counts for another part; None: no descriptor.
        parts: what it consists of.
    """

    part: str
    flash: int
    ram: int
    arena: int | None = None
    parts: tuple["Row", ...] = ()


def size_image(image: Image) -> tuple[Row, ...]:
    """Return a row for each model, for TFLM, the runtime and the rest, and last for the whole image.

    The rows but the last add up to it, and it to the image's sections: what no symbol of a part names, such as padding,
    string literals and functions that the runtime keeps to itself, is the rest.

    Raises:
        TflmBuildError: the image has no sections, or absurdly many models.
    """
    if not image.sections:
        msg = "IMAGE has no section headers to work sizes out of; pass the file that the linker writes"
        raise TflmBuildError(msg)
    arenas = dict(_models(image))
    flash: dict[tuple[str, str], int] = defaultdict(int)
    ram: dict[tuple[str, str], int] = defaultdict(int)
    pieces, variables = _pieces(image, arenas), ram_sections(image)
    for section in image.sections:
        left = section.size
        stored, in_ram = section.stored, section.index in variables
        for owner, size in [*_cut(section, pieces.get(section.index, [])), ((_REST_PART, ""), None)]:
            taken = left if size is None else size
            left -= taken
            flash[owner] += taken * stored
            ram[owner] += taken * in_ram
    rows = [_row(name, arenas[name], flash, ram) for name in sorted(arenas)]
    rows += [Row(part, flash[part, ""], ram[part, ""]) for part in (_TFLM_PART, _RUNTIME_PART, _REST_PART)]
    return (*rows, Row("whole image", sum(flash.values()), sum(ram.values())))


def _row(name: str, arena: int | None, flash: Mapping[tuple[str, str], int], ram: Mapping[tuple[str, str], int]) -> Row:
    """Return the row of a model."""
    parts = tuple(
        Row(part, flash[name, part], ram[name, part])
        for part in dict.fromkeys(_NAMED.values())
        if (name, part) in flash
    )
    return Row(name, sum(part.flash for part in parts), sum(part.ram for part in parts), arena, parts)


def _models(image: Image) -> Iterator[tuple[str, int | None]]:
    """Find the models: their names, and the arenas that their descriptors ask for, where these are linked."""
    data: set[str] = set()
    arenas: dict[str, int] = {}
    size = descriptor_size(image)
    for symbol in image.symbols():
        name, _, end = symbol.name.rpartition("_")
        if end == "model" and symbol.size == size:
            descriptor = read_descriptor(image, symbol.address)
            if descriptor is not None:
                arenas[name] = descriptor.arena_size
        elif end == "data" and (image.read(symbol.address, 8) or b"")[4:] == b"TFL3":
            data.add(name)
        if len(arenas) > _MAX_MODELS or len(data) > _MAX_MODELS:
            msg = f"IMAGE has more than {_MAX_MODELS:,} models; pass the file that the linker writes"
            raise TflmBuildError(msg)
    for name in {*arenas, *data}:
        yield name, arenas.get(name)


def _pieces(image: Image, models: Mapping[str, int | None]) -> dict[int, list[tuple[int, int, tuple[str, str]]]]:
    """Return, by section, where symbols of parts begin and end, and whose they are."""
    named = {f"{name}{end}": (name, part) for name in models for end, part in _NAMED.items()}
    sources = {f"{name}{end}": (name, *rule) for name in models for end, rule in _LOCAL.items()}
    pieces: dict[int, list[tuple[int, int, tuple[str, str]]]] = defaultdict(list)
    for symbol in image.symbols():
        owner = _owner(symbol, named, sources)
        if owner is not None and symbol.size:
            pieces[symbol.section].append((symbol.address, symbol.address + symbol.size, owner))
    return pieces


def _owner(
    symbol: Symbol, named: Mapping[str, tuple[str, str]], sources: Mapping[str, tuple[str, str, re.Pattern[str]]]
) -> tuple[str, str] | None:
    """Say which part a symbol belongs to; None: to the rest."""
    if symbol.name in named:
        return named[symbol.name]
    if symbol.file in sources:
        model, part, pattern = sources[symbol.file]
        if pattern.fullmatch(symbol.name):
            return model, part
    if _RUNTIME.match(symbol.name):
        return _RUNTIME_PART, ""
    return (_TFLM_PART, "") if _TFLM.match(symbol.name) else None


def _cut(section: Section, pieces: list[tuple[int, int, tuple[str, str]]]) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield owners and bytes of a section; what several claim is the first one's."""
    reached, end = section.address, section.address + section.size
    for start, stop, owner in sorted(pieces):
        first, last = max(start, reached), min(stop, end)
        if first < last:
            yield owner, last - first
            reached = last
