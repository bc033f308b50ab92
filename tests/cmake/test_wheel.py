# SPDX-License-Identifier: Apache-2.0
"""The wheel alone, in an environment of its own: no checkout, and nothing on the path."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from projects import ROOT, Project


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--quiet", "-w", folder, ROOT]
    subprocess.run([str(word) for word in command], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_carries_all_and_no_more(wheel: Path) -> None:
    assert wheel.name == "tflm_build-0.1.0-py3-none-any.whl"
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {path.relative_to(ROOT / "python") for path in (ROOT / "python" / "tflm_build").rglob("*")}
    expected |= {
        Path("tflm_build") / path.relative_to(ROOT)
        for part in ("cmake", "runtime")
        for path in (ROOT / part).rglob("*")
    }
    assert files == {
        path.as_posix() for path in expected if path.suffix and path.suffix != ".pyc" and path.name != "__pycache__"
    }


def test_the_example_builds_with_the_wheel(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "an environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    # The dependencies, which are large, come from here; the package does not, for .pth files found so are not read.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel],
        check=True,
    )
    cmake_dir = subprocess.run(
        [environment / "bin" / "tflm-build", "--cmake-dir"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert cmake_dir == str(site_packages / "tflm_build" / "cmake")

    project = Project(ROOT / "examples" / "hello_world", tmp_path / "build", "Ninja")
    path = os.pathsep.join(
        part for part in os.environ["PATH"].split(os.pathsep) if part != str(Path(sys.executable).parent)
    )
    project.run(
        "cmake", "-S", project.source, "-B", project.build, "-G", "Ninja", f"-Dtflm_build_DIR={cmake_dir}", PATH=path
    )
    # The environment that holds the package is found from where the package lies.
    assert (
        f"TFLM_BUILD_PYTHON:FILEPATH={environment / 'bin' / 'python3'}"
        in (project.build / "CMakeCache.txt").read_text()
    )
    project.make()
    project.ctest()
    depfile = (project.build / "hello_world.tflm" / "hello_world.d").read_text()
    assert str(site_packages / "tflm_build" / "build.py").replace(" ", "\\ ") in depfile
