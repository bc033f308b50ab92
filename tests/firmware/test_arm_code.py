# SPDX-License-Identifier: Apache-2.0
"""Arm's compiler on the runtime and on what is emitted: nothing to say, and the same image with either embedding."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT
from support.vendor_tflm import GEMMLOWP, HEADERS, RENAMED

EXAMPLE = ROOT / "examples" / "cortex_m_qemu"
TARGET = ["-mcpu=cortex-m3", "-mthumb", "-Os", "-ffunction-sections", "-fdata-sections"]
INCLUDE = [f"-I{ROOT / 'runtime' / 'include'}"]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
RUNTIME = ("check.c", "model.c", "model_test.c")  # without the host backend, which starts a process
EMITTED = ("patterns.c", "patterns_data.c", "patterns_golden.c")
CXX = ["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-unwind-tables"]
TFLM = [RENAMED, "-isystem", str(HEADERS), "-isystem", str(GEMMLOWP)]

PROGRAM = """
#include "patterns.h"
#include "tflm_build/model.h"
int main(void) { return (int)tflm_check(&patterns_model, TFLM_CHECK_DATA); }
"""


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a model of the example, for both embeddings."""
    folder = tmp_path_factory.mktemp("emitted")
    command = [sys.executable, "-m", "tflm_build", "convert", "--name", "patterns", "--section", ".tflm_models"]
    subprocess.run([*command, "--src", EXAMPLE / "patterns.tflite", "--out-dir", folder], check=True)
    return folder


def compile_quietly(compiler: str, *words: str | Path) -> None:
    """Compile, and have nothing said."""
    command = [f"arm-none-eabi-{compiler}", *TARGET, *WARNINGS, *INCLUDE, *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("standard", ["c99", "c11", "gnu17"])
@pytest.mark.parametrize("file", [*RUNTIME, *EMITTED])
def test_c_compiles_without_a_warning(file: str, standard: str, emitted: Path, tmp_path: Path) -> None:
    source = ROOT / "runtime" / "src" / file if file in RUNTIME else emitted / file
    compile_quietly(
        "gcc", f"-std={standard}", "-DTFLM_GOLDEN=patterns_golden", "-I", emitted, "-c", source, "-o", tmp_path / "o"
    )


@pytest.mark.parametrize("file", EMITTED)
def test_emitted_c_is_cxx_too(file: str, emitted: Path, tmp_path: Path) -> None:
    compile_quietly("g++", "-x", "c++", *CXX, "-I", emitted, "-c", emitted / file, "-o", tmp_path / "o")


def test_the_examples_code_compiles_without_a_warning(emitted: Path, tmp_path: Path) -> None:
    (tmp_path / "hello_world.h").write_text(
        '#include "tflm_build/model.h"\nextern const tflm_model hello_world_model;\n'
        "enum { HELLO_WORLD_INPUT_0_LENGTH = 1, HELLO_WORLD_OUTPUT_0_LENGTH = 1 };\n"
    )
    for file in ("startup.c", "firmware.c"):
        compile_quietly("gcc", "-I", emitted, "-I", tmp_path, "-c", EXAMPLE / file, "-o", tmp_path / "o")


def test_the_ops_compile_for_the_chip(emitted: Path, tmp_path: Path) -> None:
    compile_quietly("g++", *CXX, *TFLM, "-I", emitted, "-c", emitted / "patterns_ops.cc", "-o", tmp_path / "o")


def link(emitted: Path, data: str, image: Path) -> str:
    """Link a program with the model; return its symbols with their addresses, sizes, kinds and places."""
    (emitted / "main.c").write_text(PROGRAM)
    sources = [emitted / "main.c", emitted / "patterns.c", EXAMPLE / "startup.c", ROOT / "runtime" / "src" / "check.c"]
    script = f"-T{EXAMPLE / 'mps2_an385.ld'}"
    options = ["-nostartfiles", "--specs=nano.specs", "--specs=rdimon.specs", "-Wl,--gc-sections", script]
    compile_quietly("gcc", "-I", emitted, *sources, emitted / data, *options, "-o", image)
    command = ["arm-none-eabi-readelf", "--symbols", "--wide", str(image)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "\n".join(sorted(re.findall(r"^ *\d+: (.* patterns_\w+)$", listed, re.MULTILINE)))


def test_both_embeddings_give_the_same_image(emitted: Path, tmp_path: Path) -> None:
    array = link(emitted, "patterns_data.c", tmp_path / "array.elf")
    incbin = link(emitted, "patterns_data.S", tmp_path / "incbin.elf")
    assert re.search(r"^0000\w+[048c] +\d+ OBJECT +GLOBAL DEFAULT +\d+ patterns_data$", array, re.MULTILINE)
    assert incbin == array

    images = []
    for name in ("array", "incbin"):
        binary = tmp_path / f"{name}.bin"
        subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", tmp_path / f"{name}.elf", binary], check=True)
        images.append(binary.read_bytes())
    assert images[0] == images[1]
    assert (emitted / "patterns.tflite").read_bytes() in images[0]
