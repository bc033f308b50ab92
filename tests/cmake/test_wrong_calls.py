# SPDX-License-Identifier: Apache-2.0
"""What CMake says of wrong calls, when it configures."""

import shutil
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from support import ROOT
from support.projects import Project

HEAD = """cmake_minimum_required(VERSION 3.22)
project(scenario LANGUAGES C)
enable_testing()
find_package(tflm_build CONFIG REQUIRED)
"""

CASES = {
    "add_tflm_model(m SRC m.keras CALIBRATON c.npz)": (
        "m: add_tflm_model got the unknown keyword 'CALIBRATON'; did you mean CALIBRATION?"
    ),
    "add_tflm_model(m SRC m.keras quantise int8)": (
        "m: add_tflm_model got the unknown keyword 'quantise'; did you mean QUANTIZE?"
    ),
    "add_tflm_model(m SRC m.keras XYZ 1)": (
        "m: add_tflm_model got the unknown keyword 'XYZ'; "
        "allowed: SRC, CALIBRATION, TEST_DATA, QUANTIZE, WEIGHT_TYPE, IO_TYPE, "
    ),
    "add_tflm_model(1-m SRC m.keras)": (
        "1-m: add_tflm_model makes C symbols of its name; got '1-m'; use letters, digits and _"
    ),
    "add_tflm_model(m SRC m.keras)\nadd_tflm_model(m SRC m.keras)": (
        "m: add_tflm_model got a name that another target has: 'm'; choose another"
    ),
    "set(WIN32 1)\nset(TFLM_PROVIDER host)\nadd_tflm_model(m SRC m.keras)": (
        "TFLM: TFLM_PROVIDER host runs on Linux and macOS; got Windows; link a TFLM, pass TFLM_PROVIDER none, or"
    ),
    "set(WIN32 1)\nadd_tflm_model(m SRC m.keras)\ntflm_add_model_test(m BACKEND host)": (
        "m: BACKEND host runs on Linux and macOS; got Windows; link a TFLM"
    ),
    "add_tflm_model(m SRC m.keras EMBED xxd)": "m: EMBED got 'xxd'; allowed: auto, array, incbin",
    "add_tflm_model(SRC m.keras)": "SRC: add_tflm_model got a keyword as its first argument; pass a name before SRC",
    "add_tflm_model(m SRC m.keras QUANTIZE INT8)": "m: QUANTIZE got 'INT8'; allowed: none, int8, int16x8",
    "add_tflm_model(m SRC m.keras MIN_TOP1 95%)": "m: MIN_TOP1 got '95%'; allowed: a number",
    "add_tflm_model(m SRC m.keras MAX_FLASH 8KB)": "m: MAX_FLASH got '8KB'; allowed: a whole number, with K or M",
    "add_tflm_model(int SRC m.keras)": "int: NAME becomes a C symbol; got 'int'; use letters, digits and _",
    "add_tflm_model(m)": "m: add_tflm_model needs SRC; got none; pass SRC <trained model>",
    "tflm_add_model(m)": "m: tflm_add_model needs SRC; got none; pass SRC <trained model>",
    "tflm_add_model(m SRC no.keras)": "m: tflm_add_model got SRC 'no.keras', which neither exists in",
    "tflm_add_model(1-m SRC m.keras)": "1-m: tflm_add_model makes C symbols of its name; got '1-m'",
    "add_tflm_model(m SRC)": "m: add_tflm_model needs a value for SRC; got none; pass SRC <value>",
    'add_tflm_model(m SRC "" QUANTIZE int8)': "m: add_tflm_model needs a value for SRC; got ''; pass SRC <value>",
    "add_tflm_model(m SRC QUANTIZE int8)": "m: add_tflm_model needs a value for SRC; got 'QUANTIZE'",
    "add_tflm_model(m SRC m.keras SRC m.keras)": "m: add_tflm_model got SRC twice; pass it once",
    "add_tflm_model(m SRC no.keras)": "m: add_tflm_model got SRC 'no.keras', which neither exists in",
    "add_tflm_model(m SRC m.keras CALIBRATION no.npz)": "m: add_tflm_model got CALIBRATION 'no.npz', which neither",
    "add_tflm_model(m SRC m.keras QUANTIZE int8)": (
        "m: QUANTIZE int8 needs CALIBRATION data; got none; pass an .npz with one array per input"
    ),
    "add_tflm_model(m SRC m.keras)\ntflm_add_model_test(m BACKEND device)": (
        "m: BACKEND got 'device'; allowed: native, host"
    ),
    "add_tflm_model(m SRC m.keras)\ntflm_add_model_test(m BACKEND native)": (
        "m: BACKEND native needs a TFLM to link; got none; pass -DTFLM_ROOT=<folder>, or another TFLM_PROVIDER"
    ),
    "add_tflm_model(m SRC m.keras)\ntflm_add_model_test(m EMULATOR)": (
        "m: tflm_add_model_test needs a value for EMULATOR; got none; pass EMULATOR <value>"
    ),
    "tflm_verify_image(MODELS m)": "image: tflm_verify_image needs TARGET; got none; pass TARGET <executable>",
    "tflm_verify_image(TARGET fw)": "fw: tflm_verify_image needs MODELS; got none; pass MODELS <model>...",
    "tflm_verify_image(TARGET fw MODELS m)": (
        "image: tflm_verify_image got TARGET 'fw', which is no target; call add_executable(fw ...) first"
    ),
    "add_executable(fw m.c)\ntflm_verify_image(TARGET fw MODELS m)": (
        "fw: tflm_verify_image needs a model; got 'm', which is none; call add_tflm_model(m ...) first"
    ),
    "tflm_add_model_test(m)": (
        "m: tflm_add_model_test needs a model; got 'm', which is none; call add_tflm_model(m ...) first"
    ),
}


@pytest.fixture
def scenario(tmp_path: Path) -> Project:
    """Make a project that has a source but no call yet."""
    (tmp_path / "source").mkdir()
    shutil.copy(ROOT / "examples" / "hello_world" / "hello_world.keras", tmp_path / "source" / "m.keras")
    return Project(tmp_path / "source", tmp_path / "build", "Ninja")


@pytest.mark.parametrize("call", CASES)
def test_wrong_call(call: str, scenario: Project) -> None:
    (scenario.source / "CMakeLists.txt").write_text(HEAD + call + "\n")
    output = scenario.configure(check=False)
    assert f"tflm-build: error: {CASES[call]}" in output


def test_no_python_with_the_package(scenario: Project, tmp_path: Path) -> None:
    (scenario.source / "CMakeLists.txt").write_text(HEAD)
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I -S \"$@\"\n")  # it has no packages at all
    python.chmod(0o755)
    output = scenario.configure(f"-DTFLM_BUILD_PYTHON={python}", check=False)
    assert "tflm-build: error: find_package: no Python has tflm_build 0.1.0; tried: " in output
    assert "No module named" in output
    assert "pip install tflm-build==0.1.0, or set TFLM_BUILD_PYTHON to the Python that has it" in output


def test_a_project_without_c(scenario: Project) -> None:
    (scenario.source / "CMakeLists.txt").write_text(HEAD.replace("LANGUAGES C", "LANGUAGES NONE"))
    output = scenario.configure(check=False)
    assert (
        "tflm-build: error: find_package: the emitted code is C; got the languages NONE; add C to project()" in output
    )


def test_two_models_in_two_folders(scenario: Project) -> None:
    """A package found in one folder serves them all; the runtime is built once."""
    lines = "add_tflm_model({0} SRC ../m.keras)\ntflm_add_model_test({0})\n"
    (scenario.source / "CMakeLists.txt").write_text(HEAD + "add_subdirectory(a)\nadd_subdirectory(b)\n")
    for folder in ("a", "b"):
        (scenario.source / folder).mkdir()
        text = "find_package(tflm_build CONFIG REQUIRED)\n" + lines.format(f"model_{folder}")
        (scenario.source / folder / "CMakeLists.txt").write_text(text)
    scenario.configure()
    scenario.make()
    assert "100% tests passed, 0 tests failed out of 2" in scenario.ctest()


def test_the_callers_variables_do_not_get_in(scenario: Project) -> None:
    wrapper = (
        "function(wrapper)\n"
        '  cmake_parse_arguments(arg "KEEP_NAMES" "SRC;QUANTIZE;CALIBRATION" "" ${ARGN})\n'
        "  set(value_SRC 1)\n"
        "  add_tflm_model(m SRC ${arg_SRC})\n"
        "endfunction()\n"
        "wrapper(SRC m.keras QUANTIZE int8 CALIBRATION m.npz)\n"
    )
    (scenario.source / "CMakeLists.txt").write_text(HEAD + wrapper)
    scenario.configure()
    rules = (scenario.build / "build.ninja").read_text()
    assert "--src" in rules
    assert not any(option in rules for option in ("--keep-names", "--quantize", "--calibration"))


def test_packages_that_the_python_lacks(scenario: Project, tmp_path: Path) -> None:
    """A Python with all that the package depends on, but for its extras: a .tflite needs none, a Keras model does."""
    venv.create(tmp_path / "bare", symlinks=True)
    packages = tmp_path / "bare" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if not each.name.startswith(("tensorflow", "tflite_micro")) and not (packages / each.name).exists():
            (packages / each.name).symlink_to(each)
    (scenario.source / "m.tflite").write_bytes(b"")
    python = tmp_path / "bare" / "bin" / "python3"
    lists = scenario.source / "CMakeLists.txt"
    lists.write_text(f"{HEAD}add_tflm_model(m SRC m.tflite)\n")
    scenario.configure(f"-DTFLM_BUILD_PYTHON={python}")
    lists.write_text(f"{HEAD}add_tflm_model(m SRC m.keras)\n")
    output = scenario.configure(f"-DTFLM_BUILD_PYTHON={python}", check=False)
    assert f"m: the Python {python} lacks tensorflow; pip install 'tflm-build[tensorflow-cpu]' there, or set" in output
