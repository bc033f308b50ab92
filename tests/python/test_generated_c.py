# SPDX-License-Identifier: Apache-2.0
"""The generated C: clean for every compiler and standard, and right where it computes."""

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from support import ROOT
from support.interpreters import Run, read_manifest

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
C, CXX = ("-x c -std=c99", "-x c -std=c11"), ("-x c++ -std=c++11", "-x c++ -std=c++17")
INCLUDE = f"-I{ROOT / 'runtime' / 'include'}"


COMPILERS = [
    f"{compiler} {standard}"
    for compiler, standards in {"gcc": C, "clang": C, "g++": CXX, "clang++": CXX}.items()
    for standard in standards
]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("model", ["hello_world", "cnn"])
def test_no_compiler_has_anything_to_say(model: str, compiler: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(model)
    for source in sorted(folder.glob("*.c")):
        command = [*compiler.split(), *WARNINGS, INCLUDE, "-fsyntax-only", str(source)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")


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
