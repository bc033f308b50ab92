# SPDX-License-Identifier: Apache-2.0
"""Models, firmware and tests in a workspace; what is built again and what is not; what is said where it fails."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from support.hand_made import flatbuffer
from support.projects import Project
from support.tiny_models import MODELS
from support.workspaces import CORTEX_M, Workspace

ONE_SHOT = "--strategy=TflmModel=sandboxed"

BOARD = (*CORTEX_M, "--@tflm_build//bazel:tflm=@tflm_build//bazel:none")

PROJECT = """\
cmake_minimum_required(VERSION 3.22)
project(models C)
find_package(tflm_build CONFIG REQUIRED)
add_tflm_model(sine SRC sine.keras QUANTIZE int8 CALIBRATION calibration.npz MAX_ARENA 4K KERNELS cmsis-nn
  SECTION .rodata.models)
add_tflm_model(dense SRC dense.tflite ALIGN 64 EMBED array)
"""


@pytest.fixture(scope="module")
def built(workspace: Workspace) -> dict[str, bytes]:
    """Build the models once, with a worker: their emitted files."""
    workspace.bazel("clean")
    run = workspace.bazel("build", "//models/...")
    assert run.runners() == ["worker"] * 4
    return workspace.emitted("models", "sine") | workspace.emitted("models", "dense")


def test_models_firmware_and_tests(workspace: Workspace, built: dict[str, bytes]) -> None:
    assert b"hello" not in built["sine.c"]
    words = workspace.bazel("test", "//models/...").words
    assert "Executed 9 out of 9 tests: 9 tests pass" in words


def test_rules_before_anything_runs(workspace: Workspace) -> None:
    assert "Executed 12 out of 12 tests: 12 tests pass" in workspace.bazel("test", "//analysis/...").words


def test_a_second_build_runs_nothing(workspace: Workspace) -> None:
    workspace.bazel("build", "//models/...")
    assert workspace.bazel("build", "//models/...").spawns == ()


def test_a_changed_model_runs_one_conversion(workspace: Workspace, built: dict[str, bytes]) -> None:
    workspace.bazel("build", "//models:dense", "//models:sine")
    model = workspace.folder / "models" / "dense.tflite"
    kept = model.read_bytes()
    changed = flatbuffer(MODELS["dense"]._replace(name="changed"))
    model.write_bytes(changed.replace(b"\x09\x0a\xf5\x0c", b"\x09\x0a\xf5\x0d"))
    try:
        run = workspace.bazel("build", "//models:dense", "//models:sine")
        assert len(run.runners()) == 1
        assert workspace.emitted("models", "dense")["dense.tflite"] != built["dense.tflite"]
    finally:
        model.write_bytes(kept)
    workspace.bazel("build", "//models/...")
    assert workspace.emitted("models", "dense")["dense.tflite"] == built["dense.tflite"]


def test_cmake_gives_the_same_bytes(workspace: Workspace, built: dict[str, bytes], tmp_path: Path) -> None:
    project = Project(tmp_path / "project", tmp_path / "build")
    shutil.copytree(workspace.folder / "models", project.source)
    (project.source / "CMakeLists.txt").write_text(PROJECT)
    project.configure()
    project.make("--target", "sine_generate", "dense_generate")
    emitted = project.emitted("sine") | project.emitted("dense")
    assert len(emitted) == 20
    assert sorted(emitted) == sorted(built)
    assert {name for name in emitted if emitted[name] != built[name]} == set()


@pytest.mark.parametrize("protocol", ["one-shot", "json"])
def test_a_worker_gives_the_bytes_of_a_single_run(protocol: str, workspace: Workspace, built: dict[str, bytes]) -> None:
    options = {
        "one-shot": [ONE_SHOT],
        "json": ["--extra_toolchains=//:json", "--experimental_worker_allow_json_protocol"],
    }[protocol]
    workspace.bazel("clean")
    run = workspace.bazel("build", "//models:sine", "//models:dense", *options)
    # Of the sandboxes, Bazel takes the one that the machine allows.
    kinds = [runner.removeprefix("linux-").removeprefix("processwrapper-") for runner in run.runners()]
    assert kinds == [{"one-shot": "sandbox", "json": "worker"}[protocol]] * 2
    assert workspace.emitted("models", "sine") | workspace.emitted("models", "dense") == built


def test_errors_are_the_converters_one_line(workspace: Workspace) -> None:
    words = workspace.bazel("build", "--keep_going", "//broken/...", check=False).words
    assert words.count("tflm-build: error: ") == 4
    for message in (
        "tflm-build: error: wrong_section: section got 'a b'; allowed: letters, digits and _ . $ ,; such as",
        "tflm-build: error: no_calibration: quantize int8 needs calibration data; got none; pass an .npz with one",
        "tflm-build: error: unknown_op: ",
        "tflm-build: error: over_budget: max_flash is exceeded: got ",
    ):
        assert message in words
    assert "MyOp" in words
    assert "Traceback" not in words


def test_values_are_checked_before_anything_runs(workspace: Workspace) -> None:
    package = workspace.folder / "misspelt"
    package.mkdir()
    load = 'load("@tflm_build//bazel:defs.bzl", "tflm_model")\n'
    (package / "BUILD").write_text(f'{load}tflm_model(name = "model", src = "a.tflite", quantize = "int4")\n')
    words = workspace.bazel("build", "//misspelt:all", check=False).words
    assert "has to be one of 'none', 'int8' or 'int16x8' instead of 'int4'" in words
    shutil.rmtree(package)


def test_functions_and_folders(workspace: Workspace) -> None:
    targets = ("//sources:function", "//sources:saved")
    workspace.bazel("build", *targets)
    worked = workspace.emitted("sources", "function") | workspace.emitted("sources", "saved")
    workspace.bazel("clean")
    workspace.bazel("build", *targets, ONE_SHOT)
    assert workspace.emitted("sources", "function") | workspace.emitted("sources", "saved") == worked


def test_a_function_finds_only_what_is_declared(workspace: Workspace) -> None:
    for strategy in ("worker", "sandboxed"):
        option = f"--strategy=TflmModel={strategy}"
        words = workspace.bazel("build", "//sources:forgotten", option, check=False).words
        assert (
            "tflm-build: error: forgotten: src 'train.py:model' failed: ModuleNotFoundError: No module named 'lay"
            in words
        )


def test_a_source_of_the_models_own_name(workspace: Workspace) -> None:
    """An assembler that no sandbox hides the source from takes the model in flash."""
    everywhere = "--copt=-includestdint.h"  # which an assembler does not understand
    workspace.bazel("build", "//:root", "--spawn_strategy=local", "--strategy=TflmModel=worker", everywhere)
    model = workspace.outputs() / "root.tflm" / "root.tflite"
    assert model.stat().st_size != (workspace.folder / "root.tflite").stat().st_size
    library = workspace.outputs() / "libroot.a"
    subprocess.run(["ar", "x", library, "root_data.pic.o"], check=True, cwd=workspace.base.parent)
    copy = ["objcopy", "-O", "binary", "-j", ".rodata.root_data", "root_data.pic.o", "root.data"]
    subprocess.run(copy, check=True, cwd=workspace.base.parent)
    assert (workspace.base.parent / "root.data").read_bytes() == model.read_bytes()


@pytest.mark.parametrize("options", [("-c", "opt"), ("-c", "dbg")])
def test_one_conversion_for_all_configurations(options: tuple[str, ...], workspace: Workspace) -> None:
    workspace.bazel("build", "//models:sine", "//models:dense")
    expected = workspace.emitted("models", "sine")
    run = workspace.bazel("build", *options, "//models:sine", "//models:dense")
    assert run.runners("CppCompile") != []
    assert run.runners() == []
    assert replace(workspace, options=options).emitted("models", "sine") == expected


def test_layering(workspace: Workspace) -> None:
    """With Clang, a file includes headers of what its target depends on itself, and each header compiles alone."""
    options = (
        "--repo_env=CC=clang",
        "--features=layering_check",
        "--features=parse_headers",
        "--process_headers_in_dependencies",
    )
    run = workspace.bazel("build", *options, "//models/...", "//models:sine_test", "@tflm_build//bazel/...")
    commands = [" ".join(spawn["commandArgs"]) for spawn in run.spawns if spawn["mnemonic"] == "CppCompile"]
    checked = [command for command in commands if "-fmodules-strict-decluse" in command]
    for source in ("models/firmware.c", "sine.tflm/sine.c", "sine_golden.c", "src/model_test.c", "src/host.c"):
        assert any(source in command for command in checked), source


def test_data_alone(workspace: Workspace) -> None:
    """Without anything that runs a model, firmware links data and descriptor, and nothing of the host backend."""
    none = "--@tflm_build//bazel:tflm=@tflm_build//bazel:none"
    assert "tflm_build//bazel/runtime:host " in workspace.bazel("cquery", "deps(//models:firmware)").words
    linked = workspace.bazel("cquery", none, "deps(//models:firmware)").words
    assert "tflm_build//bazel/runtime:check " in linked
    assert "runtime:host " not in linked
    assert "runtime:session " not in linked
    workspace.bazel("test", none, "//models:firmware_test")


def test_a_platform(workspace: Workspace) -> None:
    """For a microcontroller the converter runs here, and what it emits is compiled by that platform's compiler."""
    run = workspace.bazel("build", *BOARD, "//board:firmware", "//models:dense", "//models:sine")
    compilers = {spawn["commandArgs"][0] for spawn in run.spawns if spawn["mnemonic"] == "CppCompile"}
    assert compilers == {"/usr/bin/arm-none-eabi-gcc"}
    library = workspace.outputs(*BOARD) / "models" / "libsine.a"
    told = subprocess.run(["arm-none-eabi-readelf", "-h", library], capture_output=True, text=True, check=True)
    assert told.stdout.count("ARM") >= 2
    arena = json.loads(replace(workspace, options=BOARD).emitted("models", "sine")["sine.json"])["arena"]
    assert (arena["target"], arena["basis"]) == ("cortex-m4", "bound")


def test_a_platform_that_the_host_backend_does_not_run_on(workspace: Workspace) -> None:
    words = workspace.bazel("build", *CORTEX_M, "//models:dense", check=False).words
    assert "//models:dense is incompatible and cannot be built, but was explicitly requested" in words
    assert "constraint @tflm_build//bazel:host_backend_needs_linux_or_macos__pass_--@tflm_build_bazel_tflm" in words
    words = workspace.bazel("test", *CORTEX_M, "//models/...").words
    assert "//models:dense_test SKIPPED" in words
    assert "//models:firmware_test SKIPPED" in words
    words = workspace.bazel("build", *BOARD, "//models:dense_test", check=False).words
    assert "constraint @tflm_build//bazel:a_test_without_an_emulator_needs_linux_or_macos" in words


def test_a_python_without_the_package(workspace: Workspace) -> None:
    words = workspace.bazel("build", "//models:dense", check=False, python="/usr/bin/python3").words
    assert "tflm-build: error: dense: no Python has tflm-build 0.1.0; tried: /usr/bin/python3 (" in words
    assert (
        "pip install 'tflm-build[all]==0.1.0', or pass --repo_env=TFLM_BUILD_PYTHON=<the Python that has it>" in words
    )


def test_a_python_in_a_folder_with_a_space(workspace: Workspace, tmp_path: Path) -> None:
    """It converts, and is what the host backend starts."""
    python = tmp_path / "a folder" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    run = workspace.bazel("test", "//models:dense_test", python=str(python))
    assert "Executed 1 out of 1 test: 1 test passes" in run.words
    assert run.runners() == ["worker"]


@pytest.mark.parametrize("converter", ["command", "program"])
def test_a_converter_of_a_users_own(converter: str, workspace: Workspace, built: dict[str, bytes]) -> None:
    """The plain command, or a program that the build makes: a worker, and what verifies an image."""
    own = replace(workspace, options=(f"--extra_toolchains=@rules_python//:toolchain,//custom:{converter}",))
    run = own.bazel("test", "//models:firmware_test")
    assert "//models:firmware_test PASSED" in run.words
    own.bazel("build", "//models/...")  # for the chip of the test, arenas are others
    assert own.emitted("models", "sine") | own.emitted("models", "dense") == built


def test_what_verifies_an_image_depends_on_the_versions(workspace: Workspace) -> None:
    workspace.bazel("build", "//models:firmware_test")
    runfiles = workspace.outputs() / "models" / "firmware_test.sh.runfiles"
    assert "tflite-micro==" in (runfiles / "tflm_build_toolchain" / "versions.txt").read_text()
    arguments = (workspace.outputs() / "models" / "firmware_test.arguments").read_text().splitlines()
    assert arguments[:3] == ["--versions", "../tflm_build_toolchain/versions.txt", "verify"]


def test_a_pass_in_the_cache_ends_with_an_upgrade(workspace: Workspace, tmp_path: Path) -> None:
    """A Python that has one package more is another one: models are converted again, and images verified again."""
    venv.create(tmp_path / "upgraded", symlinks=True)
    packages = tmp_path / "upgraded" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    (packages / "others.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    (packages / "added-1.0.dist-info").mkdir()
    (packages / "added-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1.0\n")
    upgraded = str(tmp_path / "upgraded" / "bin" / "python3")
    workspace.bazel("test", "//models:firmware_test")
    assert "//models:firmware_test (cached) PASSED" in workspace.bazel("test", "//models:firmware_test").words
    assert "//models:firmware_test PASSED" in workspace.bazel("test", "//models:firmware_test", python=upgraded).words


def test_versions_that_have_changed(workspace: Workspace, tmp_path: Path) -> None:
    """Nothing is made, and cached, with other versions than those in the action's key."""
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\necho "numpy==0.0.1"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    words = workspace.bazel("build", "//models:dense", check=False, python=str(python)).words
    assert (
        "tflm-build: error: dense: the Python of the toolchain has changed since Bazel looked at it; it had numpy=="
        in words
    )
