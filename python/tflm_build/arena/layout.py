# SPDX-License-Identifier: Apache-2.0
"""Work out the sizes of TFLM's structures for a kind of processor and a build of TFLM."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

__all__ = ["HOST", "Layout", "Size", "given_layout", "round_up"]


class Size(NamedTuple):
    """Bytes of a structure, and what its address is a multiple of."""

    bytes: int
    alignment: int


@dataclass(frozen=True)
class Layout:
    """What decides the size of a structure.

    Attributes:
        pointer: bytes of a pointer and of size_t.
        enumeration: bytes of an enumeration: 1 where the compiler makes them short, as for Arm, else 4.
        built_with: what TFLM was built with, of the column "with" in structures.tsv.
        given: structures whose sizes are known, with all but what a library of kernels adds.
    """

    pointer: int
    enumeration: int
    built_with: frozenset[str] = frozenset()
    given: frozenset[tuple[str, Size]] = frozenset()

    def size(self, structure: str) -> Size:
        """Return the size of a structure; KeyError for one that structures.tsv lacks."""
        return _size(self, structure)


HOST: Final = Layout(8, 4, frozenset({"compression", "recording"}))
"""The tflite-micro wheel, which the model is measured on."""


def given_layout(sizes: Mapping[str, tuple[int, int]], built_with: frozenset[str]) -> Layout:
    """Return the layout of a TFLM whose sizes a probe told.

    Args:
        sizes: bytes and alignment of structures, and of `pointer` and `enumeration`.
        built_with: its library of kernels.
    """
    given = frozenset((structure, Size(*size)) for structure, size in sizes.items())
    return Layout(sizes["pointer"][0], sizes["enumeration"][0], built_with, given)


def round_up(value: int, alignment: int) -> int:
    """Return the smallest multiple of the alignment that is not less than the value."""
    return -(-value // alignment) * alignment


@cache
def _size(layout: Layout, structure: str) -> Size:
    """Lay the fields of a structure out, each at a multiple of its size."""
    fields, further = _structures()[structure]
    end, widest = dict(layout.given).get(structure, Size(0, 1))
    fields = "" if end else fields
    for condition, more in further:
        fields += more if condition in layout.built_with else ""
    sizes = {"p": layout.pointer, "e": layout.enumeration, "d": 8, "i": 4, "h": 2, "b": 1}
    for count, field in re.findall(r"(\d*)([a-z])", fields):
        end = round_up(end, sizes[field]) + int(count or 1) * sizes[field]
        widest = max(widest, sizes[field])
    return Size(round_up(end, widest), widest)


@cache
def _structures() -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    """Return, of each structure, its fields, and those that it has besides under a condition."""
    table = resources.files("tflm_build.arena").joinpath("structures.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {
        name: (fields, tuple((text.split(":")[0], text.split(":")[1]) for text in more.split() if text != "-"))
        for name, fields, more in rows
    }
