# SPDX-License-Identifier: Apache-2.0
"""The generated C: clean for every compiler and standard, and right where it computes."""

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from support.interpreters import Run, read_manifest
from support.tiny_models import RUNTIME
from support.vendor_tflm import GEMMLOWP, HEADERS, NATIVE, RENAMED

WARNINGS = [
    "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wcast-qual", "-Wswitch-default", "-Wshadow", "-Wundef",
    "-Werror", "-fsyntax-only",
]  # fmt: skip
OF_C = [*WARNINGS, "-Wc++-compat", "-Wstrict-prototypes", "-Wmissing-prototypes"]
OF_CXX = [*WARNINGS, "-Wold-style-cast"]
INCLUDE = f"-I{RUNTIME / 'include'}"
C, CXX = ("c99", "c11", "c17", "c2x"), ("c++11", "c++14", "c++17", "c++20")


def check(*command: str | Path, text: str = "") -> None:
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def including(*files: Path) -> str:
    """Put files into one: reading TFLM's headers takes nearly all of a compiler's time."""
    return "".join(f'#include "{file}"\n' for file in files)


@pytest.mark.parametrize("standard", [*C, *CXX])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_compiler_has_anything_to_say(compiler: str, standard: str, hello_world: Path, cnn: Path) -> None:
    folders = (hello_world, cnn)
    emitted = [path for folder in folders for path in sorted(folder.glob("*.c"))]
    if standard in C:
        defines = ["-DTFLM_GOLDEN=some_golden", "-DTFLM_ONE_MODEL=one", "-DTFLM_LIBRARY=library"]
        data = [path for folder in folders for path in folder.glob("*_data.S")]
        sources = [*emitted, *data, *sorted((RUNTIME / "src").glob("*.c"))]
        check(compiler, f"-std={standard}", *OF_C, *defines, INCLUDE, "-x", "c", *sources)
        return
    known = ["-Wuseless-cast"] if compiler == "gcc" else []  # that Clang does not have
    flags = [compiler, f"-std={standard}", *OF_CXX, *known, INCLUDE, "-x", "c++"]
    check(*flags, *emitted)
    headers = [path for folder in (*folders, RUNTIME / "include") for path in sorted(folder.rglob("*.h"))]
    check(*flags, "-", text=including(*headers, RUNTIME / "src" / "backend.h"))
    if standard in {"c++17", "c++20"}:
        tflm: list[str | Path] = ["-isystem", HEADERS, "-isystem", GEMMLOWP, RENAMED, "-DTFLM_BUILD_PER_CHANNEL"]
        check(*flags, *tflm, hello_world / "hello_world_ops.cc")
        check(*flags, *tflm, "-", text=including(cnn / "cnn_ops.cc", NATIVE))


def sections(folder: Path, *command: str | Path) -> dict[str, tuple[bytes, int]]:
    """Compile an object that has the data; return the bytes and the alignment of each read-only section of it."""
    subprocess.run([*command, "-I", folder, "-c", "-o", folder / "data.o"], check=True)
    listed = subprocess.run(
        ["objdump", "-h", "-w", folder / "data.o"], capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for name, alignment in re.findall(r"^ +\d+ (\S+) .* 2\*\*(\d+) .*READONLY, DATA", listed, re.MULTILINE):
        copy = ["objcopy", "-O", "binary", "-j", name, folder / "data.o", folder / "data.bin"]
        subprocess.run(copy, check=True)
        found[name] = ((folder / "data.bin").read_bytes(), 2 ** int(alignment))
    return found


@pytest.mark.parametrize("section", ["", ".flash_models"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_assembly_is_the_array(compiler: str, section: str, cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    options = ("--align", "64", *(("--section", section) if section else ()))
    result = tflm_build("convert", "--name", "m", "--src", cnn / "cnn.tflite", *options, "--out-dir", folder)
    assert result.returncode == 0, result.stderr
    array = sections(folder, compiler, "-fdata-sections", folder / "m_data.c")
    symbols = "nm", "--defined-only", "--extern-only", folder / "data.o"
    names = subprocess.run(symbols, capture_output=True, text=True, check=True).stdout
    assembly = sections(folder, compiler, folder / "m_data.S")
    assert assembly == array
    # As C, behind what a project has all its files include; without -fno-lto there would be no such sections.
    (folder / "config.h").write_text("typedef int everywhere;\n")
    as_c = "-include", folder / "config.h", "-O2", "-flto", "-x", "c", "-fno-lto", folder / "m_data.S"
    assert sections(folder, compiler, *as_c) == array
    assert assembly[section or ".rodata.m_data"] == ((folder / "m.tflite").read_bytes(), 64)
    assert subprocess.run(symbols, capture_output=True, text=True, check=True).stdout == names


@pytest.mark.parametrize("target", ["arm64-apple-macos11", "x86_64-pc-windows-msvc", "armv7m-none-eabi", "riscv32"])
def test_the_assembly_suits_other_systems(target: str, cnn: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.o"
    subprocess.run(["clang", f"--target={target}", "-I", cnn, "-c", cnn / "cnn_data.S", "-o", data], check=True)
    assert (cnn / "cnn.tflite").read_bytes() in data.read_bytes()
    symbol = b"_cnn_data" if "apple" in target else b"cnn_data"
    assert symbol + b"\0" in data.read_bytes()  # of a table of strings, in which one may be the end of another


PROGRAM = """
#include <stdio.h>
#include "hello_world.h"
int main(void) {
  float real;
  while (scanf("%a", &real) == 1) {
    const int8_t element = hello_world_quantize_input_0(real);
    printf("%d %a\\n", element, hello_world_dequantize_output_0(element));
  }
  return 0;
}
"""


def test_helpers_round_and_clamp(hello_world: Path, tmp_path: Path) -> None:
    """Compare with exact fractions; they know nothing of float32, so a tie within a rounding may go either way."""
    (tmp_path / "main.c").write_text(PROGRAM)
    program = tmp_path / "main"
    flags = ["-std=c99", "-fsanitize=undefined", "-fno-sanitize-recover=all", f"-I{hello_world}"]
    subprocess.run(["gcc", *flags, tmp_path / "main.c", "-o", program], check=True)

    generator = np.random.default_rng(11)
    reals = np.concatenate([
        generator.uniform(-1, 8, 2000), [0, -0.0, 3e38, -3e38, np.inf, -np.inf, np.nan, 1e-45],
    ]).astype(np.float32)  # fmt: skip
    text = "\n".join(float(real).hex() if np.isfinite(real) else str(real) for real in reals)
    output = subprocess.run([program], input=text, capture_output=True, text=True, check=True).stdout.split("\n")

    manifest = read_manifest(hello_world)
    x, y = manifest["inputs"][0], manifest["outputs"][0]
    x_scale, y_scale = (Fraction(float(np.float32(tensor["scale"]))) for tensor in (x, y))
    for real, line in zip(reals, output, strict=False):
        element, back = line.split()
        if np.isfinite(real):
            steps = Fraction(float(real)) / x_scale
            exact = min(max(steps + x["zero_point"], Fraction(-128)), Fraction(127))
            assert abs(int(element) - exact) <= Fraction(1, 2) + Fraction(1, 10000)
        else:
            assert int(element) == (127 if real > 0 else -128)
        expected = y_scale * (int(element) - y["zero_point"])
        assert float.fromhex(back) == pytest.approx(float(expected), rel=1e-6)
