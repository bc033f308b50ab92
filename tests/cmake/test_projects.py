# SPDX-License-Identifier: Apache-2.0
"""Projects that use the package in ways of their own."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from support.hand_made import flatbuffer
from support.projects import GENERATORS, Project, scenario
from support.tiny_models import MODELS


def project(name: str, folder: Path, generator: str = "Ninja") -> Project:
    """Copy a scenario that has one small model."""
    source = scenario(name, folder / "source")
    (source / "dense.tflite").write_bytes(flatbuffer(MODELS["dense"]))
    return Project(source, folder / "build", generator)


@pytest.mark.parametrize("generator", GENERATORS)
def test_own_rules(generator: str, tmp_path: Path) -> None:
    own_rules = project("own_rules", tmp_path, generator)
    own_rules.configure()
    words = own_rules.make("--parallel", "4")
    order = [words.index(what) for what in ("Training", "Compiling model dense", "Writing arena.h", "dense: 0x")]
    assert order == sorted(order)
    assert words.count("Compiling model dense") == 1
    assert "100% tests passed, 0 tests failed out of 3" in own_rules.ctest()
    commands = json.loads(own_rules.ctest("--show-only=json-v1"))["tests"]
    (emulated,) = (test["command"] for test in commands if test["name"] == "emulated.golden")
    assert emulated[1:4] == ["-E", "env", "EMULATED=yes"]

    assert "Training" not in own_rules.make()
    (own_rules.source / "dense.tflite").touch()
    words = own_rules.make()
    assert all(words.count(what) == 1 for what in ("Training", "Compiling model dense", "Writing arena.h"))

    (library,) = own_rules.build.rglob("libdense.a")
    listed = subprocess.run(["objdump", "-h", library], capture_output=True, text=True, check=True).stdout
    assert ".flash_models" in listed


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_strict(compiler: str, tmp_path: Path) -> None:
    strict = project("strict", tmp_path)
    strict.configure(f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Release")
    assert "warning" not in strict.make()
    assert "100% tests passed, 0 tests failed out of 1" in strict.ctest()
    assert "dense_data.S" in (strict.build / "compile_commands.json").read_text()


def test_a_build_among_the_sources(tmp_path: Path) -> None:
    """The assembler starts where the trained model lies under the name of the model in flash, and takes the latter."""
    strict = project("strict", tmp_path)
    strict.build = strict.source
    strict.configure()
    strict.make()
    assert "100% tests passed, 0 tests failed out of 1" in strict.ctest()


def test_installed(tmp_path: Path) -> None:
    installed = project("installed", tmp_path)
    installed.configure(f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'prefix'}")
    installed.make("--target", "install")
    exported = (tmp_path / "prefix" / "lib" / "cmake" / "models" / "models-config.cmake").read_text()
    assert str(tmp_path) not in exported

    consumer = Project(installed.source / "consumer", tmp_path / "consumer")
    consumer.configure_bare(f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    consumer.make()
    assert "100% tests passed, 0 tests failed out of 1" in consumer.ctest()


def test_conversions_at_once_are_bounded(tmp_path: Path) -> None:
    strict = project("strict", tmp_path)
    strict.configure("-DTFLM_BUILD_JOBS=3")
    assert re.search(
        r"pool tflm_build\n  depth = 3\n",
        (strict.build / "build.ninja").read_text() + (strict.build / "CMakeFiles" / "rules.ninja").read_text(),
    )
    assert "  pool = tflm_build\n" in (strict.build / "build.ninja").read_text()
    words = strict.configure("-DTFLM_BUILD_JOBS=many", check=False)
    assert "TFLM_BUILD_JOBS got 'many'; allowed: a whole number from 1" in words
    megabytes = int(re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())[1]) // 1024  # type: ignore[index]
    strict.configure("-UTFLM_BUILD_JOBS")
    (jobs,) = re.findall(r"TFLM_BUILD_JOBS:STRING=(\d+)", (strict.build / "CMakeCache.txt").read_text())
    assert int(jobs) == max(1, megabytes // 1500)


@pytest.mark.parametrize("linker", ["bfd", "gold", "lld"])
def test_two_libraries_of_one_symbol(linker: str, tmp_path: Path) -> None:
    """Installed by two projects of one name; a program would get one model, with the other's header."""
    prefixes = []
    other = flatbuffer(MODELS["dense"]).replace(b"\x09\x0a\xf5\x0c", b"\x09\x0a\xf5\x0d")
    for folder, package, symbol in (
        ("first", "models", ""),
        ("second", "others", ""),
        ("third", "others", "SYMBOL other"),
    ):
        each = project("installed", tmp_path / folder)
        lists = each.source / "CMakeLists.txt"
        text = (
            lists.read_text()
            .replace("SRC dense.tflite", f"SRC dense.tflite {symbol}")
            .replace("project(models", "project(same")
        )
        lists.write_text(text.replace("models", package))
        if package == "others":
            (each.source / "dense.tflite").write_bytes(other)
        each.configure(f"-DCMAKE_INSTALL_PREFIX={tmp_path / folder}")
        each.make("--target", "install")
        prefixes.append(tmp_path / folder)
    source = scenario("installed", tmp_path / "source") / "consumer"
    lists = source / "CMakeLists.txt"
    lists.write_text(
        lists.read_text()
        .replace("models::dense)", "models::dense others::dense)")
        .replace(
            "find_package(models CONFIG REQUIRED)",
            "find_package(models CONFIG REQUIRED)\nfind_package(others CONFIG REQUIRED)",
        )
    )
    for second, works in ((1, False), (2, True)):
        consumer = Project(source, tmp_path / f"consumer {second}")
        consumer.configure(
            f"-DCMAKE_PREFIX_PATH={prefixes[0]};{prefixes[second]}", f"-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld={linker}"
        )
        words = consumer.make(check=works)
        if not works:
            assert "tflm_two_models_have_the_symbol_dense" in words
            assert all(f"{prefix / 'lib' / 'libdense.a'}" in words for prefix in prefixes[:2])
