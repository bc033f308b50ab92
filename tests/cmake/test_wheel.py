# SPDX-License-Identifier: Apache-2.0
"""The wheel alone, in an environment of its own: no checkout, and nothing on the path."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from support import ROOT
from support.hand_made import flatbuffer
from support.projects import CMAKES, Project, checkout_files, scenario
from support.tiny_models import MODELS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    # A build folder of its own: two tests at once must not install from each other's.
    options = ["--no-build-isolation", "--no-deps", "--quiet", f"--config-settings=build-dir={folder / 'build'}"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "-w", folder, ROOT], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_carries_all_and_no_more(wheel: Path) -> None:
    assert wheel.name == "tflm_build-0.1.0-py3-none-any.whl"
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    project = list(checkout_files())
    expected = {path.relative_to("python") for path in project if path.parts[0] == "python"}
    vendored = [path for path in project if path.parts[0] in {"LICENSE", "cmake", "runtime"}]
    expected |= {Path("tflm_build") / path for path in vendored if "installed" not in path.parts}
    of_bazel = {"BUILD.bazel", "MODULE.bazel", "WORKSPACE"}
    copied = [path for path in project if path.parts[0] in {"bazel", "examples"} | of_bazel]
    hidden = {path for path in copied if path.name in of_bazel or path.suffix == ".py"}
    expected |= {Path("tflm_build") / path for path in copied if path not in hidden}
    expected |= {Path("tflm_build") / path.with_name(path.name + ".in") for path in hidden}
    config = Path("tflm_build-0.1.0.data", "data", "share", "cmake", "tflm_build")
    expected |= {config / f"tflm_build-config{end}.cmake" for end in ("", "-version")}
    assert files == {path.as_posix() for path in expected}


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a virtual environment."""
    folder = tmp_path_factory.mktemp("installed") / "an environment"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    # The dependencies, which are large, come from here; the package does not, for .pth files found so are not read.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([folder / "bin" / "python", *install], check=True)
    return folder


def without_this_environment() -> str:
    """Return the PATH of somebody who has not activated the environment that runs the tests."""
    here = Path(sys.executable).parent
    return os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != here)


def site_packages(environment: Path) -> Path:
    """Return where the packages of an environment lie."""
    (folder,) = environment.glob("lib/python*/site-packages")
    return folder


def test_the_example_builds_with_the_wheel(environment: Path, tmp_path: Path) -> None:
    cmake_dir = subprocess.run(
        [environment / "bin" / "tflm-build", "--cmake-dir"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert cmake_dir == str(site_packages(environment) / "tflm_build" / "cmake")

    project = Project(ROOT / "examples" / "hello_world", tmp_path / "build")
    configure = ("cmake", "-S", project.source, "-B", project.build, "-G", "Ninja")
    project.run(*configure, f"-Dtflm_build_DIR={cmake_dir}", PATH=without_this_environment())
    # The environment that holds the package is found from where the package lies.
    python = f"TFLM_BUILD_PYTHON:FILEPATH={environment / 'bin' / 'python3'}"
    assert python in (project.build / "CMakeCache.txt").read_text()
    project.make()
    project.ctest()
    depfile = (project.build / "hello_world.tflm" / "hello_world.d").read_text()
    assert str(site_packages(environment) / "tflm_build" / "build.py").replace(" ", "\\ ") in depfile


@pytest.mark.parametrize("way", ["active", "CMAKE_PREFIX_PATH", "site-packages"])
def test_the_package_is_found(way: str, environment: Path, tmp_path: Path) -> None:
    options, path = [], without_this_environment()
    if way == "active":
        path = os.pathsep.join([str(environment / "bin"), path])
    elif way == "CMAKE_PREFIX_PATH":
        options = [f"-DCMAKE_PREFIX_PATH={environment}"]
    else:
        options = [f"-DCMAKE_PREFIX_PATH={site_packages(environment) / 'tflm_build'}"]
    for version, cmake in CMAKES.items():
        source, build = ROOT / "examples" / "hello_world", tmp_path / version
        Project(source, build).run(cmake, "-S", source, "-B", build, "-G", "Ninja", *options, PATH=path)
        cache = (build / "CMakeCache.txt").read_text()
        assert f"TFLM_BUILD_PYTHON:FILEPATH={environment / 'bin' / 'python3'}" in cache


def test_scikit_build_core_finds_it(environment: Path, tmp_path: Path) -> None:
    source = scenario("python_extension", tmp_path / "source")
    (source / "dense.tflite").write_bytes(flatbuffer(MODELS["dense"]))
    command = ("-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--quiet", "-w", tmp_path, source)
    Project(source, tmp_path).run(environment / "bin" / "python", *command, PATH=without_this_environment())
    (path,) = tmp_path.glob("extension-*.whl")
    assert "extension/dense.tflite" in zipfile.ZipFile(path).namelist()


def test_the_wheel_vendors(environment: Path, tmp_path: Path) -> None:
    subprocess.run([environment / "bin" / "tflm-build", "vendor", tmp_path / "copy"], check=True)
    files = {path.relative_to(tmp_path / "copy") for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert all((tmp_path / "copy" / path).read_bytes() == (ROOT / path).read_bytes() for path in files)
    assert {Path("LICENSE"), Path("cmake/TflmBuild.cmake"), Path("runtime/src/check.c")} <= files
