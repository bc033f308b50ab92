# SPDX-License-Identifier: Apache-2.0
"""The package gets into a project in four ways, with three generators and two CMakes: one project passes in all.

Each way meets each generator, and each CMake meets both: what fails in three of them together fails in two.
"""

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support import ROOT
from support.hand_made import flatbuffer
from support.projects import CMAKES, GENERATORS, Project, checkout_files, scenario
from support.tiny_models import MODELS

CONVERSION = "Compiling model"


def archive(folder: Path) -> Path:
    """Pack the checkout as a server of releases does."""
    path = folder / "tflm-build.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file in checkout_files():
            tar.add(ROOT / file, Path("tflm-build") / file)
    return path


def vendored(folder: Path) -> Path:
    """Copy the package by the command."""
    subprocess.run([sys.executable, "-m", "tflm_build", "vendor", folder / "third party"], check=True)
    return folder / "third party"


WAYS: dict[str, Callable[[Path], Path]] = {
    "find_package": lambda _: ROOT / "cmake",
    "add_subdirectory": lambda _: ROOT,
    "FetchContent": archive,
    "vendored": vendored,
}


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small model."""
    path = tmp_path_factory.mktemp("models") / "dense.tflite"
    path.write_bytes(flatbuffer(MODELS["dense"]))
    return path


PAIRS = [
    (way, list(CMAKES)[(row + column) % 2], generator)
    for row, way in enumerate(WAYS)
    for column, generator in enumerate(GENERATORS)
]


@pytest.mark.parametrize(("way", "version", "generator"), PAIRS)
def test_a_way_in(way: str, version: str, generator: str, dense: Path, tmp_path: Path) -> None:
    source = scenario("ways_in", tmp_path / "a próject")
    shutil.copy(dense, source)
    project = Project(source, tmp_path / "the build", generator, CMAKES[version])
    where = WAYS[way](tmp_path)
    options = [f"-DWAY={way}", f"-DWHERE={where}", *([f"-Dtflm_build_DIR={where}"] if way == "find_package" else [])]
    words = project.configure_bare(*options, PYTHONPATH=str(ROOT / "python"))
    assert f"tflm-build: TFLM_PROVIDER auto: host, the interpreter of {sys.executable}" in words

    assert project.make("--parallel", "4").count(CONVERSION) == 4
    assert re.search(r"100% tests passed.* out of 4\n", project.ctest())
    assert CONVERSION not in project.make()
    (source / "dense.tflite").touch()
    assert project.make("--parallel", "4").count(CONVERSION) == 4
    assert CONVERSION not in project.make()


def test_vendored_files_are_the_originals(tmp_path: Path) -> None:
    copy = vendored(tmp_path)
    files = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    parts = ("LICENSE", "cmake", "runtime")
    expected = [path for path in checkout_files() if path.parts[0] in parts and "installed" not in path.parts]
    assert files == {path: (ROOT / path).read_bytes() for path in expected}

    (copy / "cmake" / "stale.cmake").write_text("of an earlier version")
    vendored(tmp_path)
    assert {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()} == set(files)


def test_vendoring_does_not_overwrite_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine.c").write_text("precious")
    command = [sys.executable, "-m", "tflm_build", "vendor", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.fullmatch(r"tflm-build: error: vendor: FOLDER '.*' holds 'mine.c'; allowed: .*\n", result.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.c"]
