# SPDX-License-Identifier: Apache-2.0
"""Find which parts of a linked image are in memory that the program writes to."""

from collections.abc import Iterator
from typing import Final

from tflm_build.image.read import Image, Section

__all__ = ["ram_reason", "ram_sections"]

_ESPRESSIF: Final = (frozenset({"RISCV", "XTENSA"}), ".flash.rodata")
"""ESP-IDF links this section into flash, and also puts arrays of pointers and thread-local data into it, whose flags
make the whole section count as writable."""

_GAP: Final = 1 << 16  # bytes: a linker fills a memory without larger ones, and memories are farther apart


def ram_reason(image: Image, address: int) -> str:
    """Say why an address is one of RAM; an empty text: it is not."""
    section = image.section(address)
    if section is not None:
        return ram_sections(image).get(section.index, "")
    origin = _copied_from(image, address)
    if origin is not None:
        return f"its segment is copied to RAM from 0x{origin:08x} at start"
    segment = image.segment(address)
    return "its segment is writable" if segment is not None and segment.writable else ""


def ram_sections(image: Image) -> dict[int, str]:
    """Return the sections that take RAM, by index, and the reasons.

    A segment's flags count only where something heeds them. On a chip nothing does, and linkers put all of flash into
    one segment with the arrays of constructors, which count as writable.
    """
    reasons = {}
    for section in image.sections:
        origin = _copied_from(image, section.address)
        segment = image.segment(section.address)
        if _in_esp_flash(image, section):
            continue
        if origin is not None:
            reasons[section.index] = f"section {section.name} is copied to RAM from 0x{origin:08x} at start"
        elif section.writable:
            reasons[section.index] = f"section {section.name} is writable"
        elif not section.stored:
            reasons[section.index] = f"section {section.name} has no bytes in the image"
        elif not image.bare and segment is not None and segment.writable:
            reasons[section.index] = f"the segment of section {section.name} is writable"
    for group in _neighbours(image) if image.bare else ():
        # Constructors count as writable too, but stay where they are stored, beside constants.
        variables = [
            section
            for section in group
            if (section.writable and not section.stored) or _copied_from(image, section.address) is not None
        ]
        code = any(section.executable and section.index not in reasons for section in group)
        if variables and not code:
            for section in group:
                reasons.setdefault(section.index, f"section {section.name} is beside variables, as {variables[0].name}")
    return reasons


def _neighbours(image: Image) -> Iterator[list[Section]]:
    """Yield groups of sections that are in one memory, as far as addresses show."""
    group: list[Section] = []
    end = 0
    for section in sorted(image.sections, key=lambda section: section.address):
        if section.thread_local or _in_esp_flash(image, section):
            continue
        if group and section.address - end >= _GAP:
            yield group
            group = []
        group.append(section)
        end = max(end, section.address + section.size)
    yield group


def _in_esp_flash(image: Image, section: Section) -> bool:
    """Say whether it is the section for constants of an ESP-IDF program."""
    machines, name = _ESPRESSIF
    return image.machine in machines and section.name == name


def _copied_from(image: Image, address: int) -> int | None:
    """Return the address that a byte is copied from at start; None if it stays where it is stored."""
    segment = image.segment(address)
    if segment is None or not image.bare or segment.load_address in {0, segment.address}:
        return None
    return address - segment.address + segment.load_address
