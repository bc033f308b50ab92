# SPDX-License-Identifier: Apache-2.0
"""Link a compiled model into images, right and wrong ones, with compilers and linkers that firmware is built with."""

import subprocess
from pathlib import Path

from support import ROOT

RUNTIME = ROOT / "runtime"
ARM = ("arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb")
BIG_ARM = ("arm-none-eabi-gcc", "-mcpu=cortex-r5", "-mbig-endian")
RISCV = ("clang", "--target=riscv32-unknown-elf", "-march=rv32imac", "-mno-relax", "-fuse-ld=lld", "-ffreestanding")
MACHINE = 18  # offset of the field in the header
XTENSA = 94

PROGRAM = """\
#include "hello_world.h"
#include "tflm_build/model.h"
#ifdef WITH_GOLDEN
#include "hello_world_golden.h"
const void *volatile golden = &hello_world_golden;
#endif
static TFLM_ALIGNED unsigned char arena[HELLO_WORLD_ARENA_SIZE];
const void *volatile kept[] = {arena, &hello_world_data_len};
__attribute__((constructor)) static void begin(void) { kept[1] = arena; }
int main(void) { return (int)tflm_check(&hello_world_model, TFLM_CHECK_DATA); }
"""

# Memories of a chip; {models} is the part for the model.
SCRIPT = """\
MEMORY {{
  FLASH (rx) : ORIGIN = 0x10000, LENGTH = 1M
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 1M
  DROM (r) : ORIGIN = 0x3C000000, LENGTH = 1M
}}
ENTRY(main)
SECTIONS {{
  .text : {{ *(.text*) }} > FLASH
  {models}
  .rodata : {{ *(.rodata* .srodata*) }} > FLASH
  .init_array : {{ KEEP(*(.init_array*)) }} > FLASH
  .data : {{ *(.data* .sdata*) }} > RAM AT > FLASH
  .bss (NOLOAD) : {{ *(.bss* .sbss* COMMON) }} > RAM
  /DISCARD/ : {{ *(.ARM.exidx* .eh_frame*) }}
}}
"""
MODELS = "*(.rodata.hello_world_data)"
PLACES = {
    "good": f".models : {{ {MODELS} }} > FLASH",
    "misaligned": f".models : SUBALIGN(1) {{ BYTE(0) {MODELS} }} > FLASH",
    "copied": f".models : {{ {MODELS} }} > RAM AT > FLASH",
    "beside variables": f".models : {{ {MODELS} }} > RAM",
    "zeros": f".models (NOLOAD) : {{ {MODELS} }} > RAM",
    "beside constructors": f".models : {{ {MODELS} KEEP(*(.init_array*)) }} > FLASH",
    # ESP-IDF's way: a placeholder without bytes, then constants and constructors.
    "espressif": f".flash_rodata_dummy (NOLOAD) : {{ . = . + 0x1000; }} > DROM "
    f".flash.rodata : {{ {MODELS} KEEP(*(.init_array*)) }} > DROM",
}


def link_chip(
    out: Path, folder: Path, compiler: tuple[str, ...] = ARM, *, place: str = "good", flags: tuple[str, ...] = ()
) -> Path:
    """Link `hello_world` of a folder for a chip, with its data taken by the assembler."""
    script = out.with_suffix(".ld")
    script.write_text(SCRIPT.format(models=PLACES[place]))
    data = folder / "hello_world_data.S"
    options = ("-Os", "-nostdlib", "-fdata-sections", "-ffunction-sections", f"-I{folder}", "-Wl,-T", f"-Wl,{script}")
    compile_image(out, folder, (*compiler, *options, *flags), data)
    return out


def link_host(out: Path, folder: Path, *flags: str, data: Path | None = None) -> Path:
    """Link `hello_world` of a folder for this machine, with golden vectors, and its data from an array."""
    command = ("gcc", "-O2", "-DWITH_GOLDEN", *flags, str(folder / "hello_world_golden.c"))
    return compile_image(out, folder, command, data or folder / "hello_world_data.c")


def compile_image(out: Path, folder: Path, command: tuple[str, ...], data: Path) -> Path:
    """Compile and link the program."""
    program = out.with_suffix(".c")
    program.write_text(PROGRAM)
    sources = [program, folder / "hello_world.c", data, RUNTIME / "src" / "check.c"]
    include = [f"-I{folder}", f"-I{RUNTIME / 'include'}"]
    subprocess.run([*command, *include, *map(str, sources), "-o", out], check=True)
    return out


def patch(image: Path, flatbuffer: bytes, offset: int) -> None:
    """Change a byte of the model in an image."""
    content = bytearray(image.read_bytes())
    place = content.index(flatbuffer)
    assert content.find(flatbuffer, place + 1) < 0
    content[place + offset] ^= 0x10
    image.write_bytes(content)
