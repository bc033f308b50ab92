# SPDX-License-Identifier: Apache-2.0
"""TFLM on the chip, as far as its headers allow: no registry has a library of it for Arm.

The example is changed as its README says. The headers are a vendor's fork, which renames the namespace and knows one
scale for all outputs of a dense layer; see CONTRIBUTING.md.
"""

import re
import shutil
import textwrap

import pytest

from support import ROOT
from support.projects import Project
from support.vendor_tflm import GEMMLOWP, HEADERS

OWN_TFLM = f"""
add_compile_definitions(tflite=tflite_micro TFLM_BUILD_PER_CHANNEL)
add_library(own_tflm INTERFACE)
target_include_directories(own_tflm SYSTEM INTERFACE "{HEADERS}" "{GEMMLOWP}")
target_link_options(own_tflm INTERFACE -Wl,--warn-unresolved-symbols)
find_package"""
RESULT = "  return failures =="
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
# Of exceptions, RTTI, destructors at exit, guards of local statics, and the heap.
NOT_ON_A_CHIP = ("__gxx_", "__aeabi_unwind", "typeinfo", "__aeabi_atexit", "__cxa_", "operator new", "malloc", "free")


def replace(text: str, old: str, new: str) -> str:
    """Replace what has to be there."""
    assert text.count(old) == 1, text
    return text.replace(old, new)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """Change a copy of the example as its README says, with a target that has headers alone; return what is said."""
    source = tmp_path_factory.mktemp("native") / "the firmware"
    shutil.copytree(ROOT / "examples" / "cortex_m_qemu", source)
    lists, firmware = source / "CMakeLists.txt", source / "firmware.c"
    text = replace(lists.read_text(), "LANGUAGES C)", "LANGUAGES C CXX)")
    readme = (source / "README.md").read_text()
    (code,), (test,) = (re.findall(rf"```{each}\n(.*?)```", readme, re.DOTALL) for each in ("c", "cmake"))
    lists.write_text(replace(text, "find_package", OWN_TFLM) + test)
    text = replace(firmware.read_text(), "int main(void) {", textwrap.dedent(code) + "\nint main(void) {")
    firmware.write_text(replace(text, RESULT, f"  failures += sine(1.0f) < 0.5f;\n{RESULT}"))
    project = Project(source, source.parent / "build")
    options = ("--toolchain", "arm-none-eabi.cmake", "-DCMAKE_BUILD_TYPE=MinSizeRel", "-DTFLM_TARGET=own_tflm")
    words = project.configure(*options, CFLAGS=WARNINGS, CXXFLAGS=WARNINGS)
    assert "tflm-build: TFLM_PROVIDER auto: target, own_tflm" in words
    return project, project.make()


def test_the_image_lacks_nothing_but_tflm(built: tuple[Project, str]) -> None:
    project, words = built
    missing = set(re.findall(r"undefined reference to `(.*)'", words))
    assert "tflite_micro::MicroInterpreter::Invoke()" in missing
    assert "tflite_micro::Register_CONV_2D()" in missing
    theirs = ("tflite_micro::", "non-virtual thunk to tflite_micro::", "MicroPrintf(")
    assert {name for name in missing if not name.startswith(theirs)} == set()
    symbols = project.run("arm-none-eabi-nm", "--demangle", project.build / "firmware.elf")
    assert " T tflm_backend_open" in symbols
    assert " T hello_world_op_resolver" in symbols


def test_a_model_test_starts_on_the_board(built: tuple[Project, str]) -> None:
    project, _ = built
    symbols = project.run("arm-none-eabi-nm", project.build / "hello_world_golden_test")
    assert " T reset_handler" in symbols
    assert " hello_world_golden\n" in symbols
    shown = project.run("ctest", "--test-dir", project.build, "--show-only=json-v1")
    assert "hello_world.golden" in shown


def test_nothing_is_asked_of_the_chip_that_it_may_not_have(built: tuple[Project, str]) -> None:
    project, _ = built
    for library in ("libtflm_build_runtime.a", "libhello_world.a", "libpatterns.a"):
        undefined = project.run("arm-none-eabi-nm", "--demangle", "--undefined-only", project.build / library)
        assert "tflite_micro::" in undefined
        assert [name for name in NOT_ON_A_CHIP if name in undefined] == []
