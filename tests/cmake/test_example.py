# SPDX-License-Identifier: Apache-2.0
"""The example as a user builds it: what is made, what is made again, and what is not."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support import ROOT
from support.projects import Project

CONVERSION = "Compiling model hello_world from hello_world.keras"


@pytest.fixture(params=["Ninja", "Unix Makefiles"])
def generator(request: pytest.FixtureRequest) -> str:
    """Name a generator of CMake's."""
    return str(request.param)


@pytest.fixture
def hello_world(generator: str, tmp_path: Path) -> Project:
    """Copy the example into a folder with a space and a letter beyond ASCII."""
    source = tmp_path / "hellö world"
    shutil.copytree(ROOT / "examples" / "hello_world", source)
    return Project(source, tmp_path / "the build", generator)


def touch(path: Path) -> None:
    """Make a file newer than all that was built, whatever the clock's resolution."""
    latest = max(file.stat().st_mtime for file in path.parent.parent.rglob("*") if file.is_file())
    os.utime(path, (latest + 2, latest + 2))


def test_build_run_and_rebuild(hello_world: Project) -> None:
    hello_world.configure()
    output = hello_world.make("--parallel", "4")
    assert output.count(CONVERSION) == 1

    sweep = hello_world.run(hello_world.build / "sweep").splitlines()
    assert sweep[0].split() == ["x", "model", "sin(x)", "error"]
    rows = np.array([line.split() for line in sweep[1:]], float)
    assert rows.shape == (17, 4)
    assert np.abs(rows[:, 1] - np.sin(rows[:, 0])).max() < 0.08

    assert "100% tests passed, 0 tests failed out of 2" in hello_world.ctest()
    assert "equal to TensorFlow Lite for Microcontrollers" in hello_world.ctest("--verbose", "-R", "golden")

    before = {path: path.stat().st_mtime_ns for path in hello_world.build.rglob("*") if path.is_file()}
    assert CONVERSION not in hello_world.make()
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert [path.name for path in changed if ".tflm" in str(path) or path.suffix in {".a", ".o", ""}] == []

    for file in ("calibration.npz", "hello_world.keras"):
        touch(hello_world.source / file)
        assert hello_world.make("--parallel", "4").count(CONVERSION) == 1
        assert CONVERSION not in hello_world.make()


@pytest.mark.parametrize("generator", ["Ninja"], indirect=True)
def test_bytes_are_those_of_the_command(hello_world: Project, tmp_path: Path) -> None:
    hello_world.configure()
    hello_world.make("--target", "hello_world_generate")
    out = tmp_path / "by hand"
    source = hello_world.source
    subprocess.run(
        [sys.executable, "-m", "tflm_build", "convert", "--name", "hello_world", "--src", source / "hello_world.keras",
         "--quantize", "int8", "--calibration", source / "calibration.npz", "--embed", "incbin", "--out-dir", out],
        check=True,
    )  # fmt: skip
    by_hand = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".d"}
    assert hello_world.emitted("hello_world") == by_hand

    for end in ("h", "tflite"):
        (hello_world.build / "hello_world.tflm" / f"hello_world.{end}").unlink()
    hello_world.make("--target", "hello_world_generate")
    assert hello_world.emitted("hello_world") == by_hand
    assert CONVERSION not in hello_world.make("--target", "hello_world_generate")


@pytest.mark.parametrize("generator", ["Unix Makefiles"], indirect=True)
def test_a_page_on_request(hello_world: Project) -> None:
    lists = hello_world.source / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("calibration.npz)", "calibration.npz REPORT)"))
    hello_world.configure()
    page = hello_world.build / "hello_world.tflm" / "hello_world.html"
    for _ in range(2):
        hello_world.make("--target", "hello_world_generate")
        assert "<h1>hello_world</h1>" in page.read_text()
        page.unlink()


def test_a_failed_conversion_writes_nothing_and_mends(hello_world: Project) -> None:
    good = (hello_world.source / "calibration.npz").read_bytes()
    np.savez(hello_world.source / "calibration.npz", x=np.full((4, 1), np.nan, np.float32))
    hello_world.configure()
    output = hello_world.make("--target", "hello_world_generate", check=False)
    assert (
        "tflm-build: error: hello_world: CALIBRATION 'calibration.npz' for input 'x' has values that are NaN " in output
    )
    assert "Traceback" not in output
    if hello_world.generator == "Ninja":  # which repeats the outputs of what fails
        (failed,) = re.findall(r"^FAILED: (.*)", output, re.MULTILINE)
        assert re.findall(r"hello_world\.tflm/(\S+)", failed) == ["hello_world.json", "hello_world.json"]
    assert not list(hello_world.build.glob("*.tflm/*"))  # Ninja makes the folder itself

    (hello_world.source / "calibration.npz").write_bytes(good)
    touch(hello_world.source / "calibration.npz")
    hello_world.make("--target", "hello_world_generate")
    assert "hello_world.json" in hello_world.emitted("hello_world")


@pytest.mark.parametrize("generator", ["Ninja"], indirect=True)
def test_a_golden_test_fails_when_the_answers_change(hello_world: Project) -> None:
    hello_world.configure()
    hello_world.make("--target", "hello_world_generate")
    golden = hello_world.build / "hello_world.tflm" / "hello_world_golden.c"
    text = golden.read_text()
    start = text.index("output_0[] = {") + len("output_0[] = {")
    first = int(text[start:].split(",")[0])
    golden.write_text(text[:start] + "\n  " + str(first ^ 1) + text[start + text[start:].index(",") :])
    hello_world.make()
    output = hello_world.run(hello_world.build / "hello_world_golden_test", check=False)
    said = f"got {first}; expected {first ^ 1}, at most 0 away"
    assert f"hello_world: vector 0, output 0 (output_0), element 0: {said}" in output
    assert "hello_world: 1 comparisons failed over " in output


@pytest.mark.parametrize("generator", ["Ninja"], indirect=True)
def test_the_checkout_by_add_subdirectory(hello_world: Project) -> None:
    lists = hello_world.source / "CMakeLists.txt"
    found = "find_package(tflm_build CONFIG REQUIRED)"
    text = lists.read_text()
    assert found in text
    lists.write_text(text.replace(found, f'add_subdirectory("{ROOT.as_posix()}" tflm_build)'))
    hello_world.configure()
    hello_world.make()
    hello_world.ctest()


MODEL = """
import keras

def build():
    inputs = keras.Input((2,), name="x")
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(inputs))
"""

LISTS = """cmake_minimum_required(VERSION 3.22)
project(sources LANGUAGES C)
find_package(tflm_build CONFIG REQUIRED)
add_tflm_model(m SRC model.py:build QUANTIZE int8 CALIBRATION samples KEEP_NAMES MAX_FLASH 4K)
"""


def test_a_function_and_a_folder_are_sources_too(generator: str, tmp_path: Path) -> None:
    source, conversion = tmp_path / "the source", "Compiling model m from model.py:build"
    (source / "samples").mkdir(parents=True)
    (source / "model.py").write_text(MODEL)
    (source / "CMakeLists.txt").write_text(LISTS)
    for index in range(4):
        np.save(source / "samples" / f"{index}.npy", np.array([index, 1], np.float32))
    project = Project(source, tmp_path / "build", generator)
    project.configure()
    assert project.make("--target", "m_generate").count(conversion) == 1
    assert conversion not in project.make("--target", "m_generate")

    np.save(source / "samples" / "new.npy", np.array([9, 9], np.float32))
    touch(source / "samples")
    assert project.make("--target", "m_generate").count(conversion) == 1
    touch(source / "model.py")
    assert project.make("--target", "m_generate").count(conversion) == 1
    assert conversion not in project.make("--target", "m_generate")
    assert b"dense" in project.emitted("m")["m.tflite"]

    lists = source / "CMakeLists.txt"
    lists.write_text(LISTS.replace("4K", "64"))
    output = project.make("--target", "m_generate", check=False)
    assert re.search(r"tflm-build: error: m: MAX_FLASH is exceeded: got \d+ B of flash; allowed: 64", output)


def test_the_checkout_on_its_own(tmp_path: Path) -> None:
    project = Project(ROOT, tmp_path / "build", "Ninja")
    assert "tflm-build: error" not in project.run("cmake", "-S", ROOT, "-B", project.build, "-G", "Ninja")
    project.make()
    assert "100% tests passed, 0 tests failed out of 2" in project.ctest()
