# SPDX-License-Identifier: Apache-2.0
"""Where TFLM comes from: a target, a prefix, a tree of sources; and what is said where it does not.

The real library is a vendor's fork, which renames the namespace; see CONTRIBUTING.md. No registry has the sources that
upstream's create_tflm_tree.py writes: a stand-in of that layout is compiled, not run.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT
from support.hand_made import flatbuffer
from support.projects import Project, scenario
from support.tiny_models import MODELS
from support.vendor_tflm import GEMMLOWP, HEADERS, LIBRARY, SONAME

RENAMED = "-DDEFINITIONS=tflite=tflite_micro"
TREE = ROOT / "tests" / "docs" / "standins" / "tflite_micro" / "create_tflm_tree.py"
PASSED = "100% tests passed, 0 tests failed out of 2"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Copy the scenario."""
    source = scenario("native", tmp_path / "a project")
    (source / "dense.tflite").write_bytes(flatbuffer(MODELS["dense"]))
    return Project(source, tmp_path / "build")


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Make a folder of headers and a library, as a vendor installs them."""
    folder = tmp_path / "the prefix"
    (folder / "lib").mkdir(parents=True)
    (folder / "include").symlink_to(HEADERS)
    for name in ("libtflm.so", SONAME):
        (folder / "lib" / name).symlink_to(LIBRARY)
    return folder


def test_a_prefix(project: Project, prefix: Path) -> None:
    words = project.configure(f"-DTFLM_ROOT={prefix}")
    assert (
        f"tflm-build: TFLM_PROVIDER auto: root, {prefix}/lib/libtflm.so, headers in {prefix}/include, namespace "
        "tflite_micro, without TF_LITE_STATIC_MEMORY"
    ) in words
    project.make()
    assert PASSED in project.ctest()
    emitted = project.emitted("dense")
    arena = json.loads(emitted["dense.json"])["arena"]
    assert (arena["basis"], arena["target"]) == ("computed", "host")
    assert b"Computed for host with reference kernels and the sizes of your TFLM's structures. */" in emitted["dense.h"]
    for program, expected in (("dense_golden_test", True), ("host_golden_test", False)):
        listed = subprocess.run(["ldd", project.build / program], capture_output=True, text=True, check=True).stdout
        assert ("tflm" in listed) == expected


@pytest.mark.parametrize("named", [True, False])
def test_a_target(named: bool, project: Project) -> None:  # noqa: FBT001
    name = "my_tflm" if named else "pico-tflmicro"
    options = [f"-DOWN_TARGET={name}", f"-DOWN_INCLUDE={HEADERS};{GEMMLOWP}", f"-DOWN_LIBRARY={LIBRARY}"]
    if named:
        options += ["-DTFLM_PROVIDER=target", f"-DTFLM_TARGET={name}"]
    words = project.configure(*options)
    assert f"tflm-build: TFLM_PROVIDER {'target' if named else 'auto'}: target, {name}" in words
    project.make()
    assert PASSED in project.ctest()


def test_a_target_that_hands_on_its_sources(project: Project) -> None:
    (project.source / "handed_on.c").write_text("int handed_on(void) { return 1; }\n")
    options = [f"-DOWN_INCLUDE={HEADERS};{GEMMLOWP}", f"-DOWN_LIBRARY={LIBRARY}", RENAMED]
    project.configure("-DOWN_TARGET=pico-tflmicro", f"-DOWN_SOURCE={project.source}/handed_on.c", *options)
    project.make()
    for library, expected in (("pico-tflmicro", True), ("dense", False), ("tflm_build_runtime", False)):
        assert ("handed_on" in project.run("nm", project.build / f"lib{library}.a")) == expected
    assert PASSED in project.ctest()


def test_a_target_whose_headers_are_made_by_the_build(project: Project) -> None:
    options = [f"-DOWN_INCLUDE={HEADERS};{GEMMLOWP}", f"-DOWN_LIBRARY={LIBRARY}", RENAMED]
    words = project.configure(
        "-DOWN_TARGET=zephyr_interface", "-DCONFIG_TENSORFLOW_LITE_MICRO=y", "-DOWN_HEADER=made_by_zephyr.h", *options
    )
    assert "tflm-build: TFLM_PROVIDER auto: target, zephyr_interface" in words
    project.make()
    assert PASSED in project.ctest()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a stand-in for a tree of upstream's create_tflm_tree.py: its layout and headers, but sources of our own."""
    folder = tmp_path / "a tree"
    subprocess.run([sys.executable, TREE, "--makefile_options=", folder], check=True)
    switches = (
        "#if !defined(TF_LITE_STATIC_MEMORY) || !defined(TF_LITE_USE_CTIME) || !defined(TF_LITE_DISABLE_X86_NEON)\n"
        '#error "TFLM is not compiled as its makefiles do"\n#endif\n'
        "#if defined(__GXX_RTTI) || defined(__EXCEPTIONS)\n#error\n#endif\n"
    )
    source = folder / "tensorflow" / "lite" / "micro" / "micro_interpreter.cc"
    source.write_text(switches + '#include "tensorflow/lite/micro/micro_interpreter.h"\nint stand_in() { return 1; }\n')
    kissfft = folder / "third_party" / "kissfft" / "kiss_fft.c"
    kissfft.parent.mkdir()
    kissfft.write_text("int kiss_fft_stand_in(void) { return 2; }\n")
    (kissfft.with_suffix(".h")).write_text("")
    return folder


def test_a_tree_of_sources(project: Project, tree: Path) -> None:
    words = project.configure(f"-DTFLM_SOURCE_DIR={tree}")
    assert f"tflm-build: TFLM_PROVIDER auto: source, 2 files in {tree}, namespace tflite " in words
    project.make("--target", "tflm_build_tflm", "tflm_build_runtime", "dense")
    symbols = subprocess.run(["nm", project.build / "libtflm_build_tflm.a"], capture_output=True, text=True, check=True)
    assert "stand_in" in symbols.stdout
    assert "kiss_fft_stand_in" in symbols.stdout
    ops = subprocess.run(["nm", "-C", project.build / "libdense.a"], capture_output=True, text=True, check=True).stdout
    assert "dense_op_resolver" in ops
    assert "tflite::Register_FULLY_CONNECTED" in ops


def test_host_and_none_are_for_the_asking(project: Project, prefix: Path) -> None:
    words = project.configure(f"-DTFLM_ROOT={prefix}", "-DTFLM_PROVIDER=host")
    assert "tflm-build: TFLM_PROVIDER host: host, the interpreter of" in words
    words = project.configure("-DTFLM_PROVIDER=none", check=False)
    assert (
        "tflm-build: error: dense: tflm_add_model_test needs something that runs the model; got TFLM_PROVIDER none; "
        "pass BACKEND host where the program runs on this machine, or -DTFLM_ROOT=<folder>"
    ) in words


ARM = ("--toolchain", str(ROOT / "examples" / "cortex_m_qemu" / "arm-none-eabi.cmake"))
UNKNOWN = (
    "-DCMAKE_SYSTEM_NAME=Generic", "-DCMAKE_SYSTEM_PROCESSOR=own", "-DCMAKE_C_COMPILER=arm-none-eabi-gcc",
    "-DCMAKE_CXX_COMPILER=arm-none-eabi-g++", "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
)  # fmt: skip
TARGETS = {
    "this machine": ((), "host, reference"),
    "this machine, and kernels of a chip": (("-DOPTIONS=KERNELS;cmsis-nn",), "host, reference"),
    "-mcpu": (
        (*ARM, "-DCMAKE_C_FLAGS=-mcpu=cortex-m55+nofp"),
        "cortex-m55, the kernels that need most; pass",
    ),
    "Zephyr": (
        (*ARM, "-DCONFIG_CPU_CORTEX_M33=y"),
        "cortex-m33, the kernels that need most; pass",
    ),
    "ESP-IDF": (("-DIDF_TARGET=esp32s3", "-DOWN_INCLUDE=/x/espressif__esp-nn/include"), "esp32s3, esp-nn"),
    "a library": ((*ARM, "-DOWN_LIBRARY={plain}"), "cortex-m3, reference"),
    "a library's symbols": ((*ARM, "-DOWN_LIBRARY={optimized}"), "cortex-m3, cmsis-nn"),
    "options of a configuration": (
        (*UNKNOWN, "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-mcpu=cortex-m4 -mcpu=cortex-m33+nodsp"),
        "cortex-m33, the kernels that need most; pass",
    ),
    "IAR": (
        (*UNKNOWN, "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS_RELEASE=--cpu Cortex-M7"),
        "cortex-m7, the kernels that need most; pass",
    ),
    "Clang": (
        (*UNKNOWN, "-DCMAKE_CXX_COMPILER_TARGET=thumbv8.1m.main-none-eabihf"),
        "cortex-m55, the kernels that need most; pass",
    ),
    "Zephyr on RISC-V": ((*UNKNOWN, "-DCONFIG_RISCV=y"), "riscv32, reference"),
    "Zephyr on 64 bits": ((*UNKNOWN, "-DCONFIG_RISCV=y", "-DCONFIG_64BIT=y"), "host, reference"),
    "ESP-IDF on RISC-V": (("-DIDF_TARGET=esp32c6", "-DOWN_INCLUDE=/x/espressif__esp-nn/include"), "esp32, esp-nn"),
    "Pico SDK on RISC-V": ((*UNKNOWN, "-DCMAKE_SYSTEM_PROCESSOR=hazard3"), "riscv32, reference"),
    "a chip that is not known": (UNKNOWN, "any chip of 32 bits; pass TARGET and KERNELS to say which it is"),
}


def test_the_target_is_found(project: Project) -> None:
    """Say once, for all models, for which processor and kernels the arenas are; nothing is built."""
    with (project.source / "CMakeLists.txt").open("a") as lists:
        lists.write("add_tflm_model(second SRC dense.tflite)\n")
    libraries = {}
    for kind, function in (("plain", "MicroInterpreter"), ("optimized", "arm_convolve_s8")):
        libraries[kind] = project.source / f"{kind}.o"
        (project.source / f"{kind}.c").write_text(f"void {function}(void) {{}}\n")
        project.run("arm-none-eabi-gcc", "-c", "-o", libraries[kind], project.source / f"{kind}.c")
    for number, (name, (options, words)) in enumerate(TARGETS.items()):
        each = Project(project.source, project.build / str(number))
        given = (option.format(**libraries) for option in options)
        cmake = each.configure("-DOWN_TARGET=pico-tflmicro", "-DOWN_INCLUDE=/x", *given)
        assert cmake.count("tflm-build: arena for ") == 1, name
        assert f"tflm-build: arena for {words}" in cmake, name
        commands = each.run("ninja", "-C", each.build, "-t", "commands", "dense.tflm/dense.json")
        assert ("--target" in commands) == (not words.startswith("host")), name


CASES = {
    "-DTFLM_PROVIDER=upstream": "TFLM_PROVIDER got 'upstream'; allowed: auto, target, root, source, host, none",
    "-DTFLM_PROVIDER=root": "TFLM_PROVIDER root needs TFLM_ROOT; got none; pass -DTFLM_ROOT=<root>",
    "-DTFLM_TARGET=nobody": (
        "TFLM_TARGET got 'nobody', which is no target; add it before the first model, or check the name"
    ),
    "-DTFLM_ROOT=/nowhere": "TFLM_ROOT got '/nowhere', which is no folder; check the path",
    "-DTFLM_ROOT={tmp_path}": (
        "TFLM_ROOT got '{tmp_path}', which has no tensorflow/lite/micro/micro_interpreter.h in any of: ., include, "
        "inc, src; check the path, or complete the folder"
    ),
    "-DTFLM_SOURCE_DIR={tmp_path}": (
        "TFLM_SOURCE_DIR got '{tmp_path}', which has no tensorflow/lite/micro/micro_interpreter.h in any of"
    ),
    "-DTFLM_ROOT={tmp_path}/the prefix;-DLANGUAGES=C": (
        "TFLM is C++17; got the languages C; add CXX to project()"
    ),
    "-DTFLM_ROOT={tmp_path}/the prefix;-DTFLM_LIBRARY=no.a": (
        "TFLM_LIBRARY got '{tmp_path}/the prefix/no.a', which does not exist; check the path"
    ),
    "-DTFLM_ROOT={tmp_path}/the prefix;-DDEFINITIONS=TF_LITE_STATIC_MEMORY": (
        "TF_LITE_STATIC_MEMORY is defined here, but {tmp_path}/the prefix/lib/libtflm.so was compiled without it; it "
        "changes TFLM's structures; do not define it, or compile the library with it"
    ),
}  # fmt: skip


@pytest.mark.parametrize("options", CASES)
@pytest.mark.usefixtures("prefix")
def test_what_goes_wrong(options: str, project: Project, tmp_path: Path) -> None:
    words = project.configure(*options.format(tmp_path=tmp_path).split(";"), check=False)
    assert f"tflm-build: error: TFLM: {CASES[options].format(tmp_path=tmp_path)}" in words


def test_a_prefix_without_a_library_or_with_two(project: Project, prefix: Path) -> None:
    (prefix / "lib" / "libtflm.so").rename(prefix / "lib" / "libother.so")
    words = project.configure(f"-DTFLM_ROOT={prefix}", check=False)
    assert "which has neither libtensorflow-microlite.a nor libtflm.a in any of: ., lib, lib/*, lib64" in words
    for target in ("cortex_m_generic", "linux_x86_64"):
        place = prefix / "gen" / target / "lib"
        place.mkdir(parents=True)
        (place / "libtensorflow-microlite.a").write_bytes(b"no archive")
    words = project.configure(f"-DTFLM_ROOT={prefix}", check=False)
    assert "libtensorflow-microlite.a; pass -DTFLM_LIBRARY=<one of them>" in words
    library = "gen/linux_x86_64/lib/libtensorflow-microlite.a"
    words = project.configure(f"-DTFLM_ROOT={prefix}", f"-DTFLM_LIBRARY={library}", check=False)
    assert "TFLM_ROOT has a library that" in words
    assert f"check that {prefix}/{library} is for this toolchain" in words


def test_a_checkout_is_no_tree(project: Project, tree: Path) -> None:
    makefile = tree / "tensorflow" / "lite" / "micro" / "tools" / "make" / "Makefile"
    makefile.parent.mkdir(parents=True, exist_ok=True)
    makefile.write_text("")
    words = project.configure(f"-DTFLM_SOURCE_DIR={tree}", check=False)
    assert "which is a checkout with tests of its own; write a tree with its tensorflow/lite/micro/tools/" in words


def test_one_tflm_serves_the_build(project: Project) -> None:
    lists = project.source / "CMakeLists.txt"
    lists.write_text(lists.read_text() + "set(TFLM_PROVIDER none)\nadd_tflm_model(other SRC dense.tflite)\n")
    words = project.configure(check=False)
    assert (
        "TFLM_PROVIDER got 'none', but 'auto' for an earlier model; one serves the whole build; set it before" in words
    )
