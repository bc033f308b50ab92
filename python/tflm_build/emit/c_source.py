# SPDX-License-Identifier: Apache-2.0
"""Spell values as C99 that is also C++11."""

from functools import cache
from math import isfinite, isnan

import numpy as np

from tflm_build.arrays import Array

__all__ = ["C_TYPES", "array_initializer", "byte_rows", "comment_text", "float_literal", "string_literal"]

C_TYPES = {
    "float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t",
    "int64": "int64_t", "bool": "bool",
}  # fmt: skip

_WIDTH = 116  # columns that the rows of an array may take
_BYTES_PER_ROW = 28
_BLOCK = 2048  # rows
_NEW_ROW = np.frombuffer(b"\n       ", np.uint64)


def byte_rows(data: bytes) -> memoryview:
    """Spell bytes as the rows of an array of unsigned char, in columns; each row begins with a new line.

    A megabyte takes milliseconds: two bytes at a time become the eight characters of "%3d,%3d,", by a table.
    """
    whole = len(data) // _BYTES_PER_ROW * _BYTES_PER_ROW
    rest = b"".join(b"%3d," % value for value in data[whole:])
    rest = _NEW_ROW.tobytes() + rest if rest else b""
    pairs = np.frombuffer(data, "<u2", whole // 2).reshape(-1, _BYTES_PER_ROW // 2)
    words = len(pairs) * (1 + _BYTES_PER_ROW // 2)
    text = np.empty(8 * words + len(rest), np.uint8)
    rows = text[: 8 * words].view(np.uint64).reshape(-1, 1 + _BYTES_PER_ROW // 2)
    texts, table = np.empty((_BLOCK, _BYTES_PER_ROW // 2), np.uint64), _pair_texts()
    for start in range(0, len(pairs), _BLOCK):  # so that what is in between stays in the cache
        block = rows[start : start + _BLOCK]
        found = np.take(table, pairs[start : start + _BLOCK], out=texts[: len(block)], mode="wrap")
        block[:, 0] = _NEW_ROW[0]
        block[:, 1:] = found
    text[8 * words :] = np.frombuffer(rest, np.uint8)
    return text.data


@cache
def _pair_texts() -> Array:
    """Return the text of each pair of bytes, eight characters as one number, by the pair as a little-endian number."""
    cells = np.frombuffer(b"".join(b"%3d," % value for value in range(256)), np.uint8).reshape(256, 4)
    pairs = np.arange(1 << 16)
    return np.concatenate([cells[pairs & 255], cells[pairs >> 8]], axis=1).view(np.uint64).reshape(-1)


def array_initializer(values: Array) -> str:
    """Spell the elements of an array, in rows indented by two."""
    flat = values.reshape(-1)
    if flat.dtype.kind == "f":
        words = [float_literal(value) + ("f" if isfinite(value) else "") for value in flat.tolist()]
    elif flat.dtype.kind == "b":
        words = ["1" if value else "0" for value in flat]
    else:
        words = _integer_literals(flat)
    rows, row = [], "  "
    for word in words:
        if len(row) + len(word) > _WIDTH:
            rows.append(row.rstrip())
            row = "  "
        row += word + ", "
    return "\n".join([*rows, row.rstrip().rstrip(",")])


def _integer_literals(flat: Array) -> list[str]:
    """Spell integers; C has no literal for the lowest one, only for one more less one."""
    spell = "INT64_C({})".format if flat.dtype.itemsize == 8 else str  # noqa: PLR2004
    words = list(map(spell, flat.tolist()))
    if flat.dtype.kind == "i" and flat.dtype.itemsize >= 4:  # noqa: PLR2004 - int is 4 wide
        lowest = int(np.iinfo(flat.dtype).min)
        for place in np.flatnonzero(flat == lowest):
            words[place] = f"({spell(lowest + 1)} - 1)"
    return words


def float_literal(value: float) -> str:
    """Spell a float32 or double, without suffix, in digits that give the same float32 back.

    What is not finite becomes a macro of math.h, which takes no suffix.
    """
    if not isfinite(value):
        return "NAN" if isnan(value) else "INFINITY" if value > 0 else "(-INFINITY)"
    text = f"{float(value):.9g}"
    return text if "." in text or "e" in text else text + ".0"


def string_literal(text: str) -> str:
    """Spell text from a stranger's model: what is not a plain character of ASCII becomes an octal escape."""
    plain = (
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"  # noqa: PLR2004
        for byte in text.encode()
    )
    return '"' + "".join(plain) + '"'


def comment_text(text: str) -> str:
    """Make text from a stranger safe inside of a C comment."""
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable.replace("*/", "* /").replace("/*", "/ *")
