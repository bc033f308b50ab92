# SPDX-License-Identifier: Apache-2.0
"""Divide images into parts, and hold the sums to what binutils count."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.images import ARM, RISCV, RUNTIME, link_chip, link_host
from support.interpreters import Run

# As TFLM, its kernels and its libraries name what they define; a stand-in, for the sizes are what counts.
TFLM = """\
namespace tflite {
class Interpreter { public: virtual ~Interpreter(); virtual int Invoke() const; };
Interpreter::~Interpreter() {}
int Interpreter::Invoke() const { static const int t[] = {1, 2, 3}; return t[reinterpret_cast<long>(this) % 3]; }
namespace micro { extern const char kKernel[100]; extern const char kKernel[100] = {1}; }
}
void TakesOne(tflite::Interpreter *) {}
extern "C" { char TfLiteBuffer[64]; int arm_convolve_s8() { return 1; } int arm_rfft_q15() { return 2; } }
"""
PARTS = ["TFLM and its kernels", "runtime", "rest of the image", "whole image"]


def rows(tflm_build: Run, image: Path) -> list[Any]:
    """Return the rows of an image, after a look at their sums."""
    result = tflm_build("size", image, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found: list[Any] = json.loads(result.stdout)
    *parts, whole = found
    for memory in ("flash", "ram"):
        assert sum(row[memory] for row in parts) == whole[memory]
        assert all(sum(part[memory] for part in row["parts"]) == row[memory] for row in parts if row["parts"])
        assert all(row[memory] >= 0 for row in parts)
    return found


def counted(image: Path, tool: str = "size") -> tuple[int, int]:
    """Return flash and RAM as binutils count them."""
    output = subprocess.run([tool, image], capture_output=True, text=True, check=True).stdout
    text, data, bss = map(int, output.splitlines()[1].split()[:3])
    return text + data, data + bss


def symbols(image: Path, names: Sequence[str], tool: str = "nm") -> int:
    """Return the bytes of symbols whose demangled names begin so; of several at one address only one counts."""
    output = subprocess.run([tool, "-CS", image], capture_output=True, text=True, check=True).stdout
    lines = [line.split(maxsplit=3) for line in output.splitlines()]
    sizes = {line[0]: int(line[1], 16) for line in lines if len(line) == 4 and line[3].startswith(tuple(names))}
    return sum(sizes.values())


def test_firmware(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    image = link_chip(tmp_path / "firmware.elf", hello_world, ARM)
    model, *others = rows(tflm_build, image)
    assert [row["part"] for row in others] == PARTS
    assert (others[-1]["flash"], others[-1]["ram"]) == counted(image, "arm-none-eabi-size")
    assert (model["part"], model["ram"]) == ("hello_world", 0)
    assert model["arena"] == int((hello_world / "hello_world.arena").read_text())
    described = ("hello_world_model", "inputs", "outputs", "input_0_shape", "output_0_shape")
    assert [(part["part"], part["flash"]) for part in model["parts"]] == [
        ("data", 1552 + 4),
        ("descriptor", symbols(image, described, "arm-none-eabi-nm")),
    ]
    assert others[0]["flash"] == 0
    assert others[1]["flash"] == symbols(image, ["tflm_"], "arm-none-eabi-nm") > 0


def test_a_program_with_golden_vectors_and_tflm(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    (tmp_path / "tflm.cc").write_text(TFLM)
    subprocess.run(["g++", "-c", "-O1", tmp_path / "tflm.cc", "-o", tmp_path / "tflm.o"], check=True)
    image = link_host(tmp_path / "program", hello_world, str(tmp_path / "tflm.o"), "-lstdc++")
    model, tflm, _runtime, _rest, whole = rows(tflm_build, image)
    assert (whole["flash"], whole["ram"]) == counted(image)
    assert [part["part"] for part in model["parts"]] == ["data", "descriptor", "golden vectors"]
    tables = ("vtable for tflite::", "typeinfo for tflite::")
    stored = symbols(image, ("tflite::", *tables, "typeinfo name for tflite::", "arm_convolve_s8"))
    assert tflm["flash"] == stored > 100
    assert tflm["ram"] == symbols(image, (*tables, "TfLiteBuffer"))


def test_two_models_and_the_data_of_one_alone(hello_world: Path, cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    program = tmp_path / "main.c"
    program.write_text(
        '#include "tflm_build/model.h"\n'
        "extern const unsigned char cnn_data[]; extern const tflm_model hello_world_model;"
        "int main(void) { return cnn_data[0] + (int)hello_world_model.data_size; }"
    )
    image = tmp_path / "program"
    files = [cnn / "cnn_data.c", hello_world / "hello_world_data.c", hello_world / "hello_world.c"]
    command = ["gcc", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", f"-I{RUNTIME / 'include'}"]
    subprocess.run([*command, program, *files, "-o", image], check=True)
    first, second, *_ = rows(tflm_build, image)
    assert (first["part"], first["arena"]) == ("cnn", None)
    assert first["parts"] == [
        {"part": "data", "flash": (cnn / "cnn.tflite").stat().st_size, "ram": 0, "arena": None, "parts": []}
    ]
    assert (second["part"], second["arena"] is None) == ("hello_world", False)


def test_a_model_that_is_copied_to_ram_takes_both(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    image = link_chip(tmp_path / "firmware.elf", hello_world, ARM, place="copied")
    model, *_ = rows(tflm_build, image)
    assert model["parts"][0] == {"part": "data", "flash": 1556, "ram": 1552, "arena": None, "parts": []}


def test_another_linker(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    image = link_chip(tmp_path / "firmware.elf", hello_world, RISCV)
    model, *_, whole = rows(tflm_build, image)
    assert model["flash"] > 1552
    assert (whole["flash"], whole["ram"]) == counted(image)


def test_a_stripped_image_is_the_rest(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    image = link_host(tmp_path / "program", hello_world)
    whole = rows(tflm_build, image)[-1]
    subprocess.run(["strip", image], check=True)
    tflm, runtime, rest, stripped = rows(tflm_build, image)
    assert (tflm["flash"], runtime["flash"]) == (0, 0)
    assert {**rest, "part": "whole image"} == stripped == whole


def test_the_table(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    image = link_chip(tmp_path / "firmware.elf", hello_world, ARM)
    found = rows(tflm_build, image)
    titles, *lines, note = tflm_build("size", image).stdout.splitlines()
    assert titles.split() == ["part", "flash", "RAM", "arena"]
    assert note == "(in bytes; arena: from the descriptor, its memory counts for another part)"
    assert lines[0].split() == ["hello_world", f"{found[0]['flash']:,}", "0", "2,672"]
    assert lines[1].split() == ["data", "1,556", "0"]
    assert all(line == line.rstrip() for line in lines)
    assert re.fullmatch(rf"whole image +{found[-1]['flash']:,} +{found[-1]['ram']:,}", lines[-1])


def test_a_terminal_gets_a_table_that_is_drawn(hello_world: Path, tmp_path: Path) -> None:
    image = link_chip(tmp_path / "firmware.elf", hello_world, ARM)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tflm_build", "size", str(image)]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}) as process:
        os.close(theirs)
        shown = b""
        while chunk := read(ours):
            shown += chunk
    os.close(ours)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert "┃" in text
    assert re.search(r"│ +descriptor +│ +\d+ │ +0 │", text)
    assert re.search(r"│ whole image +│ +[\d,]+ │", text)


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux reports the end of a terminal so
        return b""
