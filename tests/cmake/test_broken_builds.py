# SPDX-License-Identifier: Apache-2.0
"""What breaks a build, and that the next build repairs it."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.hand_made import flatbuffer
from support.projects import Project
from support.tiny_models import MODELS

LISTS = """cmake_minimum_required(VERSION 3.22)
project(broken LANGUAGES C)
enable_testing()
find_package(tflm_build CONFIG REQUIRED)
add_tflm_model(dense SRC dense.tflite)
tflm_add_model_test(dense)
"""
EMITTED = 10  # files that the build asks for, and the depfile, which is the build system's once it has read it


@pytest.fixture(params=["Ninja", "Unix Makefiles"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """Make a project of one model."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "CMakeLists.txt").write_text(LISTS)
    (tmp_path / "source" / "dense.tflite").write_bytes(flatbuffer(MODELS["dense"]))
    return Project(tmp_path / "source", tmp_path / "build", request.param)


def test_no_compiler(project: Project) -> None:
    words = project.configure("-DCMAKE_C_COMPILER=/nowhere/cc", check=False)
    assert "The CMAKE_C_COMPILER: /nowhere/cc is not a full path to an existing compiler tool" in words
    project.configure("-DCMAKE_C_COMPILER=gcc")


@pytest.mark.parametrize("project", ["Ninja"], indirect=True)
def test_a_toolchain_without_assembler(project: Project, tmp_path: Path) -> None:
    """With EMBED auto the array serves; who asks for incbin is told."""
    compiler = tmp_path / "cc"
    compiler.write_text(
        '#!/bin/sh\nfor last; do :; done\nif grep -qs incbin "$last"; then echo no incbin >&2; exit 1; fi\ngcc "$@"\n'
    )
    compiler.chmod(0o755)
    project.configure(f"-DCMAKE_C_COMPILER={compiler}")
    project.make()
    assert "100% tests passed" in project.ctest()
    assert "dense_data.c" in project.emitted("dense")
    assert "dense_data.S" not in project.emitted("dense")

    lists = project.source / "CMakeLists.txt"
    lists.write_text(LISTS.replace("SRC", "EMBED incbin SRC"))
    words = project.configure(check=False)
    assert (
        f"tflm-build: error: dense: EMBED incbin needs an assembler that has .incbin; got {compiler}, which has none; "
        "leave EMBED out, or pass EMBED array"
    ) in words


def test_a_deleted_source(project: Project) -> None:
    source = project.source / "dense.tflite"
    project.configure()
    project.make()
    source.rename(source.with_suffix(".aside"))
    words = project.make(check=False)
    assert (
        f"\n\ntflm-build: error: dense: SRC '{source}' cannot be read: No such file or directory; check the path"
        in words
    )
    source.with_suffix(".aside").rename(source)
    source.touch()
    assert "Compiling model dense" in project.make()


def test_a_source_that_is_replaced_by_an_older_one(project: Project) -> None:
    """What times do not show is seen when the project is configured, and once."""
    source, target = project.source / "dense.tflite", ("--target", "dense_generate")
    project.configure()
    project.make(*target)
    source.write_bytes(source.read_bytes().replace(b"\x09\x0a\xf5\x0c", b"\x09\x0a\xf5\x0d"))
    os.utime(source, (1, 1))
    assert "Compiling" not in project.make(*target)
    project.configure()
    assert "Compiling" in project.make(*target)
    project.configure()
    assert "Compiling" not in project.make(*target)


def test_a_read_only_build_folder(project: Project) -> None:
    """Root may write anywhere, so it is left without that capability."""
    project.configure()
    folder = project.build / "dense.tflm"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o555)
    drop = (
        "setpriv",
        "--bounding-set",
        "-dac_override,-dac_read_search",
        "--inh-caps",
        "-dac_override,-dac_read_search",
    )
    build = (*(drop if os.geteuid() == 0 else ()), project.cmake, "--build", project.build)
    words = project.run(*build, check=False)
    assert f"tflm-build: error: dense: the folder '{folder}' cannot be written to: Permission denied" in words
    assert list(folder.iterdir()) == []
    folder.chmod(0o755)
    project.run(*build)


def test_killed_at_random_moments(project: Project) -> None:
    """Ten times with each generator: what is there is whole, and the next build succeeds by itself."""
    project.configure()
    project.make("--target", "tflm_build_runtime")
    generator = random.Random(7)  # noqa: S311 - moments, not secrets
    source, folder = project.source / "dense.tflite", project.build / "dense.tflm"
    start = time.monotonic()
    project.make("--target", "dense_generate")
    whole, seconds = project.emitted("dense"), time.monotonic() - start
    assert len(whole) == EMITTED

    interrupted = 0
    for _ in range(10):
        if generator.random() < 0.5:
            shutil.rmtree(folder)
        source.touch()
        command = [str(project.cmake), "--build", str(project.build), "--target", "dense_generate"]
        with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as build:
            time.sleep(generator.uniform(0.1, 1) * seconds)
            interrupted += build.poll() is None
            with contextlib.suppress(ProcessLookupError):  # it was quicker
                os.killpg(build.pid, signal.SIGKILL)
        for path in folder.glob("dense*"):
            assert path.name == "dense.d" or path.read_bytes() == whole[path.name]
        project.make("--target", "dense_generate")
        assert project.emitted("dense") == whole
    assert interrupted >= 5
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert "Compiling" not in project.make("--target", "dense_generate")
