# SPDX-License-Identifier: Apache-2.0
"""The firmware example as a user builds it, and images that have to fail, on the emulator."""

import json
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import ROOT
from support.hand_made import schema
from support.projects import Project

MODELS = ("hello_world", "patterns")
PASSED, FAILED, FAULT = 0, 1, 99
FLASH, RAM = range(0x400000), range(0x20000000, 0x20400000)

FAULTS = {
    "trap": "__builtin_trap();",
    "stray_write": "*(volatile int *)0x90000000 = 1;",
    "wild_call": "((void (*)(void))0x90000001)();",
    "odd_state": "((void (*)(void))0x00000100)();",  # a Cortex-M knows no Arm instructions
}
OPENS = """
#include "hello_world.h"
#include "tflm_build/model.h"
int main(void) {
  static TFLM_ALIGNED uint8_t arena[HELLO_WORLD_ARENA_SIZE];
  tflm_session session;
  return tflm_open(&session, &hello_world_model, arena, sizeof arena, 0) == TFLM_OK ? 0 : 1;
}
"""
PROGRAM = '#include <stdio.h>\nint main(void) {{\n  puts("alive");\n  {}\n  return 0;\n}}\n'
MORE_PROGRAMS = """
foreach(fault IN ITEMS {faults})
  add_executable(${{fault}} ${{fault}}.c)
  target_link_libraries(${{fault}} PRIVATE board)
endforeach()
add_executable(opens EXCLUDE_FROM_ALL opens.c)
target_link_libraries(opens PRIVATE board hello_world)
foreach(place IN ITEMS in_ram misaligned)
  add_executable(${{place}} firmware.c $<TARGET_OBJECTS:board>)
  target_link_options(${{place}} PRIVATE "-T${{CMAKE_CURRENT_SOURCE_DIR}}/${{place}}.ld" -Wl,--gc-sections)
  target_link_libraries(${{place}} PRIVATE hello_world patterns)
endforeach()
"""


def replace(text: str, old: str, new: str) -> str:
    """Replace what has to be there."""
    assert text.count(old) == 1, text
    return text.replace(old, new)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Copy the example into a folder with a space, add programs that have to fail, and build it all."""
    source = tmp_path_factory.mktemp("projects") / "the firmware"
    shutil.copytree(ROOT / "examples" / "cortex_m_qemu", source)
    for name, fault in FAULTS.items():
        (source / f"{name}.c").write_text(PROGRAM.format(fault))
    (source / "opens.c").write_text(OPENS)
    script = (source / "mps2_an385.ld").read_text()
    with_a_gap = replace(script, ".tflm_models : ALIGN(16)\n  {", ".tflm_models : SUBALIGN(4)\n  {\n    . += 4;")
    (source / "misaligned.ld").write_text(with_a_gap)
    without = replace(script, "    *(.tflm_models)\n", "")
    (source / "in_ram.ld").write_text(replace(without, "*(.data .data.*)", "*(.data .data.*) *(.tflm_models)"))
    with (source / "CMakeLists.txt").open("a") as lists:
        lists.write(MORE_PROGRAMS.format(faults=" ".join(FAULTS)))
    project = Project(source, source.parent / "the build", "Ninja")
    project.configure("--toolchain", "arm-none-eabi.cmake", "-DCMAKE_BUILD_TYPE=MinSizeRel")
    assert "FLASH:" in project.make()  # how full the memories are
    return project


def test_running_a_model_without_an_interpreter_is_explained(project: Project) -> None:
    words = project.make("--target", "opens", check=False)
    assert "undefined reference to `tflm_open_needs_a_TFLM__pass_TFLM_SOURCE_DIR_or_TFLM_ROOT_or_TFLM_TARGET'" in words


def run_test(project: Project, name: str, image: Path) -> tuple[int, list[str]]:
    """Run the command of a CTest on another image; return the exit status and the lines that it printed."""
    shown = json.loads(project.run("ctest", "--test-dir", project.build, "--show-only=json-v1"))
    (test,) = (test for test in shown["tests"] if test["name"] == name)
    firmware = str(project.build / "firmware.elf")
    assert firmware in test["command"]
    command = [str(image) if word == firmware else word for word in test["command"]]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60
    )
    return result.returncode, result.stdout.splitlines()


def emulate(project: Project, image: Path) -> tuple[int, list[str]]:
    """Run an image as CTest runs the firmware."""
    return run_test(project, "firmware", image)


def manifest(project: Project, model: str) -> dict[str, Any]:
    """Read what the converter found."""
    found: dict[str, Any] = json.loads((project.build / f"{model}.tflm" / f"{model}.json").read_text())
    return found


def printed(lines: list[str], model: str) -> dict[str, int]:
    """Return the numbers that the firmware prints about a model's data."""
    pattern = rf"{model}: (\d+) bytes at 0x(\w{{8}}), CRC-32 (\w{{8}}), arena (\d+) bytes"
    (found,) = (match for match in (re.fullmatch(pattern, line) for line in lines) if match)
    return {"bytes": int(found[1]), "address": int(found[2], 16), "crc": int(found[3], 16), "arena": int(found[4])}


def test_it_passes_as_a_ctest(project: Project) -> None:
    output = project.ctest("--verbose")
    assert "2 models, 0 failed" in output
    for model in MODELS:
        assert re.search(rf"{model}: 0x\w{{8}} in .tflm_models, .* aligned to 16, read-only, right in", output)
    assert "100% tests passed, 0 tests failed out of 2" in output


@pytest.mark.parametrize("model", MODELS)
def test_it_prints_what_the_manifest_has(project: Project, model: str) -> None:
    status, lines = emulate(project, project.build / "firmware.elf")
    assert (status, lines[-1]) == (PASSED, "2 models, 0 failed")
    expected, numbers = manifest(project, model), printed(lines, model)
    data = (project.build / f"{model}.tflm" / f"{model}.tflite").read_bytes()
    assert (numbers["bytes"], numbers["crc"]) == (len(data), zlib.crc32(data))
    assert numbers["arena"] == expected["arena"]["size"]
    assert numbers["address"] in FLASH
    assert numbers["address"] % 16 == 0

    for kind in ("input", "output"):
        (tensor,) = expected[f"{kind}s"]
        shape = "".join(f"[{size}]" for size in tensor["shape"])
        begin = f'  {kind} "{tensor["name"]}": {tensor["type"]}{shape}, scale '
        (line,) = (line for line in lines if line.startswith(begin))
        scale, zero_point = line.removeprefix(begin).split(", zero point ")
        assert float(scale) == pytest.approx(tensor["scale"], abs=1e-9)
        assert int(zero_point) == tensor["zero_point"]


def test_the_readme_shows_what_it_prints(project: Project) -> None:
    _, lines = emulate(project, project.build / "firmware.elf")
    readme = (project.source / "README.md").read_text()
    shown = readme.split("prints:\n\n```\n")[1].split("```")[0].splitlines()
    without_addresses = [[re.sub(" at 0x[0-9a-f]{8}", "", line) for line in each] for each in (lines, shown)]
    assert without_addresses[0] == without_addresses[1]


def test_the_image_holds_the_bytes_where_it_says(project: Project) -> None:
    _, lines = emulate(project, project.build / "firmware.elf")
    binary = project.build / "firmware.bin"
    project.run("arm-none-eabi-objcopy", "-O", "binary", project.build / "firmware.elf", binary)
    for model in MODELS:
        numbers = printed(lines, model)
        data = (project.build / f"{model}.tflm" / f"{model}.tflite").read_bytes()
        assert binary.read_bytes()[numbers["address"] :][: numbers["bytes"]] == data
    symbols = project.run("arm-none-eabi-nm", project.build / "firmware.elf")
    assert "hello_world_model" in symbols
    assert "golden" not in symbols


@pytest.mark.parametrize("model", MODELS)
def test_a_changed_byte_is_found(project: Project, model: str, tmp_path: Path) -> None:
    image = bytearray((project.build / "firmware.elf").read_bytes())
    data = (project.build / f"{model}.tflm" / f"{model}.tflite").read_bytes()
    assert image.count(data) == 1
    image[image.index(data) + len(data) - 1] ^= 1
    (tmp_path / "patched.elf").write_bytes(image)
    status, lines = emulate(project, tmp_path / "patched.elf")
    assert (status, lines[-1]) == (FAILED, "2 models, 1 failed")
    failures = [line for line in lines if "failed:" in line]
    assert failures == ["  failed: The model's data differ from the CRC-32 in its descriptor"]
    status, lines = run_test(project, "firmware.verify", tmp_path / "patched.elf")
    assert status == FAILED
    errors = [line for line in lines if "error:" in line]
    assert len(errors) == 1
    assert errors[0].startswith(f"tflm-build: error: {model}: the model's bytes in the image are not those of ")


@pytest.mark.parametrize(("image", "reason"), [("in_ram", "not in flash"), ("misaligned", "not aligned")])
def test_a_wrong_place_is_found(project: Project, image: str, reason: str) -> None:
    status, lines = emulate(project, project.build / image)
    assert (status, lines[-1]) == (FAILED, "2 models, 2 failed")
    assert [line for line in lines if "failed:" in line] == [f"  failed: the data are {reason}"] * 2
    for model in MODELS:
        address = printed(lines, model)["address"]
        assert address in (RAM if image == "in_ram" else FLASH)
        assert (address % 16 == 0) == (image == "in_ram")
    status, lines = run_test(project, "firmware.verify", project.build / image)
    lines = [line for line in lines if line]
    reason = "is not in read-only memory: section .data " if image == "in_ram" else "; allowed: a multiple of 16; "
    assert status == FAILED
    assert [line.split(": ")[:3] for line in lines] == [["tflm-build", "error", model] for model in MODELS]
    assert all(reason in line for line in lines)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_a_status_of_its_own(project: Project, fault: str) -> None:
    assert emulate(project, project.build / fault) == (FAULT, ["alive", "fault"])


@pytest.fixture
def changing(project: Project) -> Iterator[Project]:
    """Give the project to change, and put back what it was built from."""
    kept = {path: path.read_bytes() for path in project.source.iterdir() if path.is_file()}
    yield project
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)
    project.make()


def test_new_weights_get_into_the_image(changing: Project) -> None:
    _, before = emulate(changing, changing.build / "firmware.elf")
    source = changing.source / "patterns.tflite"
    model = bytearray(source.read_bytes())
    buffers = schema.Model.GetRootAs(model)
    weights = max((buffers.Buffers(index).DataAsNumpy() for index in range(buffers.BuffersLength())), key=np.size)
    model[model.index(weights.tobytes()) + len(weights) // 2] ^= 1
    source.write_bytes(model)
    output = changing.make()
    assert "Compiling model patterns" in output
    assert "Compiling model hello_world" not in output

    _, after = emulate(changing, changing.build / "firmware.elf")
    assert printed(after, "patterns")["crc"] != printed(before, "patterns")["crc"]
    assert printed(after, "hello_world")["crc"] == printed(before, "hello_world")["crc"]
    assert after[-1] == "2 models, 0 failed"
    assert "no work to do" in changing.make()


def test_a_new_memory_map_gets_into_the_image(changing: Project) -> None:
    script = changing.source / "mps2_an385.ld"
    script.write_text(replace(script.read_text(), "LENGTH = 4M\n  RAM", "LENGTH = 2M\n  RAM"))
    changing.make()
    _, lines = emulate(changing, changing.build / "firmware.elf")
    assert lines[0] == "flash from 0x00000000 to 0x00200000"
