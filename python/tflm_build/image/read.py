# SPDX-License-Identifier: Apache-2.0
"""Read a linked ELF image: what is loaded, its sections and its symbols. It may come from a stranger.

pyelftools reads the headers. Whatever has a length is read here, where the length is checked against the file and a
limit: the library's own readers unpack sections and count by what a header says.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from elftools.common.utils import struct_parse
from elftools.elf.elffile import ELFFile

from tflm_build.errors import TflmBuildError, first_line

__all__ = ["Image", "Section", "Segment", "Symbol", "read_image"]

_MAX_HEADERS: Final = {"section": 0xFF00, "segment": 128}
_MAX_LOADED: Final = 256 << 20  # bytes of all loaded segments
_MAX_SYMBOLS: Final = 32 << 20  # bytes of the symbol table
_MAX_STRINGS: Final = 128 << 20  # bytes of a string table
_MAX_NAME: Final = 1024  # bytes of a name; what is behind is left out

_CHIPS: Final = frozenset({"EM_AARCH64", "EM_ARM", "EM_RISCV", "EM_XTENSA"})
_WRITE, _ALLOC, _EXECUTE, _TLS = 1, 2, 4, 0x400  # SHF_*
_UNDEFINED, _ABSOLUTE, _COMMON = 0, 0xFFF1, 0xFFF2  # SHN_*
_KINDS: Final = {0: "none", 1: "object", 2: "function", 4: "file", 10: "function"}  # STT_*
_ROWS: Final = 4096  # symbols that are turned into Python's numbers at once


@dataclass(frozen=True)
class Segment:
    """A part of the file that is loaded.

    Attributes:
        address: where it is when the program runs.
        load_address: where it is stored; another one if it is copied at start.
        content: the bytes that the file has of it.
        writable: whether it is to be mapped so.
    """

    address: int
    load_address: int
    content: bytes
    writable: bool


@dataclass(frozen=True)
class Section:
    """A section that takes memory.

    Attributes:
        index: in the table of sections.
        stored: whether the file has its bytes; zeros do not need any.
        writable, executable: by its flags.
        thread_local: whether it is the pattern of a thread's own data, which has no address when the program runs.
    """

    name: str
    index: int
    address: int
    size: int
    stored: bool
    writable: bool
    executable: bool
    thread_local: bool


class Symbol(NamedTuple):
    """A symbol with an address.

    Attributes:
        section: index of the one that it is in.
        local: whether other object files cannot see it.
        file: the source of a local symbol, if it is known.
    """

    name: str
    address: int
    size: int
    section: int
    local: bool
    file: str


@dataclass(frozen=True)
class Image:
    """A linked program.

    Attributes:
        name: of the file.
        machine: such as ARM.
        bits: of a pointer, 32 or 64.
        little_endian: order of bytes.
        bare: whether it runs on a chip without an operating system: addresses are those of memories then.
    """

    name: str
    machine: str
    bits: int
    little_endian: bool
    bare: bool
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    _symbols: np.ndarray[Any, Any]
    _names: bytes

    def read(self, address: int, size: int) -> bytes | None:
        """Return bytes at an address; None if the file does not have all of them."""
        segment = self.segment(address, size)
        if segment is None:
            return None
        start = address - segment.address
        return segment.content[start : start + size]

    def read_number(self, address: int, size: int) -> int | None:
        """Return the unsigned number at an address; None if the file does not have it."""
        content = self.read(address, size)
        return None if content is None else int.from_bytes(content, "little" if self.little_endian else "big")

    def find(self, content: bytes) -> int | None:
        """Return the first address that has these bytes, which must be some."""
        for segment in self.segments:
            place = segment.content.find(content)
            if place >= 0:
                return segment.address + place
        return None

    def segment(self, address: int, size: int = 1) -> Segment | None:
        """Return the segment that the file has these bytes of."""
        for segment in self.segments:
            if segment.address <= address and address + size <= segment.address + len(segment.content):
                return segment
        return None

    def section(self, address: int) -> Section | None:
        """Return the section that an address is in."""
        for section in self.sections:
            if section.address <= address < section.address + section.size and not section.thread_local:
                return section
        return None

    def symbols(self) -> Iterator[Symbol]:
        """Yield the symbols that have an address, in the order of the table."""
        file = ""
        for start in range(0, len(self._symbols), _ROWS):
            for name, value, size, info, place in self._symbols[start : start + _ROWS].tolist():
                kind, local = _KINDS.get(info & 15), info >> 4 == 0
                if kind == "file":
                    file = self._name(name)
                elif kind is not None and place not in {_UNDEFINED, _ABSOLUTE, _COMMON}:
                    # The lowest bit of a function's address says that it is Thumb code.
                    address = value & ~1 if self.machine == "ARM" and kind == "function" else value
                    yield Symbol(self._name(name), address, size, place, local, file if local else "")

    def _name(self, offset: int) -> str:
        """Return a symbol's name."""
        return _string(self._names, offset)


def read_image(path: Path) -> Image:
    """Read an ELF file.

    Raises:
        TflmBuildError: it cannot be read, is no linked image, is damaged, or larger than an image can be.
    """
    try:
        if not path.is_file():  # a pipe would have no end
            reason = "it is no file" if path.exists() else "there is no such file"
        else:
            with path.open("rb") as stream:
                return _read(path.name, stream)
    except OSError as error:
        reason = error.strerror or str(error)
    except TflmBuildError:
        raise
    except Exception as error:  # pyelftools raises almost anything on a damaged file
        msg = f"IMAGE is not a valid ELF file: {first_line(error)}; link it again"
        raise TflmBuildError(msg) from error
    msg = f"IMAGE '{path}' cannot be read: {reason}; pass the ELF file that the linker writes"
    raise TflmBuildError(msg)


def _read(name: str, stream: BinaryIO) -> Image:
    """Read the headers, then what they point at."""
    magic = stream.read(4)
    if magic != b"\x7fELF":
        msg = f"IMAGE is not an ELF file: it begins with {str(magic)[1:]}; pass the file that the linker writes"
        raise TflmBuildError(msg)
    elf = ELFFile(stream)
    kind, machine = elf.header["e_type"], str(elf.header["e_machine"])
    if kind not in {"ET_EXEC", "ET_DYN"}:
        msg = f"IMAGE is not linked: its ELF type is {kind}; allowed: executables and shared objects; link it first"
        raise TflmBuildError(msg)
    segment_headers = _headers(elf, "segment", elf.structs.Elf_Phdr, "e_ph")
    section_headers = _headers(elf, "section", elf.structs.Elf_Shdr, "e_sh")
    symbols, names = _symbol_table(elf, section_headers)
    hosted = any(header["p_type"] in {"PT_INTERP", "PT_DYNAMIC"} for header in segment_headers)
    return Image(
        name=name,
        machine=machine.removeprefix("EM_"),
        bits=elf.elfclass,
        little_endian=elf.little_endian,
        bare=kind == "ET_EXEC" and machine in _CHIPS and not hosted,
        segments=_segments(elf, segment_headers),
        sections=_sections(elf, section_headers),
        _symbols=symbols,
        _names=names,
    )


def _headers(elf: ELFFile, what: str, layout: Any, prefix: str) -> list[Any]:
    """Read a table of headers."""
    start, count, size = (elf.header[f"{prefix}{field}"] for field in ("off", "num", "entsize"))
    if start == 0:
        return []
    if count > _MAX_HEADERS[what] or (count == 0 and what == "section"):  # 0: they are too many for the field
        msg = f"IMAGE has too many {what}s; at most {_MAX_HEADERS[what]:,} are allowed; merge them in the linker script"
        raise TflmBuildError(msg)
    table = io.BytesIO(_bytes(elf, start, count * size, f"the {what} headers", count * size))
    return [struct_parse(layout, table, stream_pos=index * size) for index in range(count)]


def _bytes(elf: ELFFile, start: int, size: int, what: str, limit: int) -> bytes:
    """Read a part of the file."""
    if size > limit:
        msg = f"IMAGE has {size:,} B in {what}; allowed: {limit:,}; link less, or strip it"
        raise TflmBuildError(msg)
    if start + size > elf.stream_len:
        msg = f"IMAGE is cut off: {what} would end at {start + size:,} of {elf.stream_len:,} B; link or copy it again"
        raise TflmBuildError(msg)
    elf.stream.seek(start)
    return elf.stream.read(size)


def _segments(elf: ELFFile, headers: list[Any]) -> tuple[Segment, ...]:
    """Read what is loaded."""
    loaded = [header for header in headers if header["p_type"] == "PT_LOAD"]
    left, segments = _MAX_LOADED, []
    for header in loaded:
        content = _bytes(elf, header["p_offset"], header["p_filesz"], "its loaded segments", left)
        left -= len(content)
        writable = bool(header["p_flags"] & 2)  # PF_W
        segments.append(Segment(header["p_vaddr"], header["p_paddr"], content, writable))
    return tuple(segments)


def _sections(elf: ELFFile, headers: list[Any]) -> tuple[Section, ...]:
    """Read what sections there are in memory."""
    index = elf.header["e_shstrndx"]
    names = _strings(elf, headers[index]) if 0 < index < len(headers) else b""
    return tuple(
        Section(
            name=_string(names, header["sh_name"]),
            index=number,
            address=header["sh_addr"],
            size=header["sh_size"],
            stored=header["sh_type"] != "SHT_NOBITS",
            writable=bool(header["sh_flags"] & _WRITE),
            executable=bool(header["sh_flags"] & _EXECUTE),
            thread_local=bool(header["sh_flags"] & _TLS),
        )
        for number, header in enumerate(headers)
        if header["sh_flags"] & _ALLOC and header["sh_size"]
    )


def _symbol_table(elf: ELFFile, headers: list[Any]) -> tuple[np.ndarray[Any, Any], bytes]:
    """Read the rows of the symbol table, or of that for dynamic linking, which stripping leaves; and their names."""
    order = "<" if elf.little_endian else ">"
    fields = {"name": "u4", "value": "u4", "size": "u4", "info": "u1", "other": "u1", "place": "u2"}
    if elf.elfclass == 64:  # noqa: PLR2004 - bits
        fields = {"name": "u4", "info": "u1", "other": "u1", "place": "u2", "value": "u8", "size": "u8"}
    row = np.dtype([(field, order + code) for field, code in fields.items()])
    rows, names = b"", b""
    for kind in ("SHT_SYMTAB", "SHT_DYNSYM"):
        table = next((header for header in headers if header["sh_type"] == kind), None)
        if table is not None and table["sh_link"] < len(headers):
            size = table["sh_size"] // row.itemsize * row.itemsize
            rows = _bytes(elf, table["sh_offset"], size, "its symbol table", _MAX_SYMBOLS)
            names = _strings(elf, headers[table["sh_link"]])
            break
    return np.frombuffer(rows, row)[["name", "value", "size", "info", "place"]], names


def _strings(elf: ELFFile, header: Any) -> bytes:
    """Read a table of strings."""
    if header["sh_type"] == "SHT_NOBITS":
        return b""
    return _bytes(elf, header["sh_offset"], header["sh_size"], "a table of names", _MAX_STRINGS)


def _string(table: bytes, offset: int) -> str:
    """Return a string of a table."""
    end = table.find(b"\0", offset, offset + _MAX_NAME)
    return table[offset : offset + _MAX_NAME if end < 0 else end].decode("utf-8", "replace")
