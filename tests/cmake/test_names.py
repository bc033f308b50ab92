# SPDX-License-Identifier: Apache-2.0
"""Names of files and folders: each works and converts once, or is refused in one line."""

import os
import string
import time
from pathlib import Path

import numpy as np
import pytest

from support.hand_made import flatbuffer
from support.projects import CMAKES, Project
from support.tiny_models import MODELS

LISTS = """cmake_minimum_required(VERSION 3.22)
project(names LANGUAGES C)
find_package(tflm_build CONFIG REQUIRED)
"""
REFUSED = "/\\;|"  # the first cannot be in a name
NAME = " " + "".join(char for char in string.punctuation if char not in REFUSED) + " é日\N{GRINNING FACE}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make a project without a model."""
    (tmp_path / "source").mkdir()
    return Project(tmp_path / "source", tmp_path / "build")


@pytest.mark.parametrize(("generator", "version"), [("Ninja", "4.4.5"), ("Unix Makefiles", "3.22.6")])
def test_a_model_is_converted_once_whatever_its_files_are_called(
    generator: str, version: str, project: Project
) -> None:
    project.generator, project.cmake = generator, CMAKES[version]
    name = NAME if generator == "Ninja" else NAME.replace(":", "")
    source, folder = project.source / f"a{name}.tflite", project.source / f"data{name}"
    call = f"tflm_add_model(m SRC [==[{source.name}]==] TEST_DATA [==[{folder.name}]==])\n"
    (project.source / "CMakeLists.txt").write_text(LISTS + call)
    source.write_bytes(flatbuffer(MODELS["dense"]))
    folder.mkdir()
    samples = [folder / f"a{char}b.npy" for char in f"{NAME}\\;|\n\t\a"]
    for sample in samples:
        np.save(sample, np.zeros(4, np.float32))
    project.configure()
    project.make("--target", "m_generate")
    assert "Compiling" not in project.make("--target", "m_generate")
    for file in (source, samples[-1]):
        later = time.time() + 1
        os.utime(file, (later, later))
        assert "Compiling" in project.make("--target", "m_generate")
    assert "Compiling" not in project.make("--target", "m_generate")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a;b", "which has ';' in it; rename it"),
        ("a|b", "which has '|' in it; rename it"),
        ("a\\b", "which has '\\' in it; rename it"),
        ("a]b", "which has '[' or ']' without the other in it; rename it"),
        ("a\nb", "which has a line break or tab in it; rename it"),
        ("a:b", "which Make cannot carry for its ':'; rename the file or folder, or pass -G Ninja"),
    ],
)
def test_what_cannot_be_carried_is_refused_when_the_project_is_configured(
    name: str, fault: str, project: Project
) -> None:
    project.generator = "Unix Makefiles"
    for file in ("m.tflite", f"{name}.npy"):
        (project.source / file).write_bytes(b"")
    call = f"add_tflm_model(m SRC m.tflite TEST_DATA [==[{name}.npy]==] QUANTIZE none)\n"
    (project.source / "CMakeLists.txt").write_text(LISTS + call)
    words = project.configure(check=False)
    assert "tflm-build: error: m: add_tflm_model got TEST_DATA '" in words
    assert fault in words


@pytest.mark.parametrize("char", "#$<")
def test_a_build_folder_that_cannot_be_carried(char: str, project: Project) -> None:
    (project.source / "m.tflite").write_bytes(b"")
    (project.source / "CMakeLists.txt").write_text(LISTS + "tflm_add_model(m SRC m.tflite)\n")
    project.build = project.build.with_name(f"build{char}")
    words = project.configure(check=False)
    assert f"got the build folder '{project.build}', which has '{char}' in it; rename it" in words
