# SPDX-License-Identifier: Apache-2.0
"""Hosts without the tflite-micro wheel, as macOS and Linux on Arm: LiteRT alone gives the same files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.every_kind import MODELS
from support.hand_made import Model, Op, Tensor, flatbuffer
from support.images import link_host
from support.interpreters import HELLO_WORLD, Run, read_manifest
from tflm_build.tasks.attempt import attempt, words

NOTE = "note: TFLM itself was not run, for tflite-micro is not installed"
ALIKE = (".arena", ".c", ".h", ".tflite", "_data.S", "_data.c", "_golden.c", "_golden.h", "_ops.cc")


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which the wheel cannot be imported."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "tflite_micro.py").write_text("raise ImportError('no wheel for this system')\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


def assert_alike(one: Path, other: Path, name: str) -> None:
    """Compare what is emitted, with the wheel and without it: who answered is all that differs."""
    pairs = {end: [(folder / f"{name}{end}").read_bytes() for folder in (one, other)] for end in ALIKE}
    differ = [end for end, (measured, stood_in) in pairs.items() if measured != stood_in]
    assert differ == ["_golden.c"]
    measured, stood_in = pairs["_golden.c"]
    assert measured == stood_in.replace(b'"the references of its layers"', b'"TensorFlow Lite for Microcontrollers"')


def test_a_keras_model(alone: dict[str, str], hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    """Every command that begins at a model or a manifest works, and one note says what is missing."""
    arguments = ["--src", HELLO_WORLD / "hello_world.keras", "--calibration", HELLO_WORLD / "calibration.npz"]
    run = tflm_build(
        "convert", "--name", "hello_world", *arguments, "--quantize", "int8", "--out-dir", tmp_path, env=alone
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.count(NOTE) == 1
    assert "  proof  TFLM was not run, what stands for it: 3 of 3 layers equal" in run.stdout
    assert_alike(hello_world, tmp_path, "hello_world")
    manifest, measured = read_manifest(tmp_path), read_manifest(hello_world)
    assert (manifest["arena"]["basis"], measured["arena"]["basis"]) == ("computed", "measured")
    assert manifest["arena"]["smallest"] == measured["arena"]["smallest"]
    assert measured["versions"].keys() - manifest["versions"].keys() == {"tflite-micro"}

    path, image = tmp_path / "hello_world.json", link_host(tmp_path / "program", tmp_path)
    for command in (
        ("inspect", tmp_path / "hello_world.tflite"), ("inspect", path),
        ("report", path, "--output", tmp_path / "page.html"),
        ("diff", hello_world / "hello_world.json", path), ("verify", image, "--model", path),
    ):  # fmt: skip
        done = tflm_build(*command, env=alone)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    page = (tmp_path / "page.html").read_text()
    assert "3 of 3 layers on the references that stand for TFLM equal their references" in page
    assert ">TFLM</th>" not in page
    assert done.stdout.endswith("right in 19 vectors on the references of its layers; TFLM itself was not run\n")


def chain() -> Model:
    """Give all that the references differ in: a dense layer between others, and an op that only one kernel set has."""
    generator = np.random.default_rng(1)
    weights = generator.integers(-127, 128, (12, 16)).astype(np.int8)
    tensors = [
        Tensor("x", (1, 4, 4, 1), "int8", 0.1, 3),
        Tensor("shape", (2,), "int32", data=np.array([1, 16], np.int32)),
        Tensor("flat", (1, 16), "int8", 0.1, 3),
        Tensor("w", (12, 16), "int8", 0.013, 0, weights),
        Tensor("b", (12,), "int32", 0.0013, 0, generator.integers(-900, 900, 12).astype(np.int32)),
        Tensor("dense", (1, 12), "int8", 0.17, -9),
        Tensor("real", (1, 12), "float32"),
        Tensor("y", (1, 12), "float32"),
    ]
    operators = [
        Op("RESHAPE", "ReshapeOptions", (0, 1), (2,)),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (2, 3, 4), (5,)),
        Op("DEQUANTIZE", "DequantizeOptions", (5,), (6,)),
        Op("CEIL", "", (6,), (7,)),
    ]
    return Model("chain", tensors, operators, (0,), (7,), 4096)


@pytest.mark.parametrize("kind", ["chain", "svdf", "variable", "planned"])
def test_a_flatbuffer(kind: str, alone: dict[str, str], tflm_build: Run, tmp_path: Path) -> None:
    """Arena, plan and golden outputs are alike: of layers that LiteRT rounds otherwise, of state, of a plan."""
    data = flatbuffer(chain()) if kind == "chain" else MODELS[kind]()
    source = tmp_path / "source.tflite"
    source.write_bytes(data)
    for folder, environment in (("with", dict(os.environ)), ("without", alone)):
        run = tflm_build("convert", "--name", "m", "--src", source, "--out-dir", tmp_path / folder, env=environment)
        assert run.returncode == 0, run.stderr
        assert (NOTE in run.stderr) is (folder == "without")
    assert_alike(tmp_path / "with", tmp_path / "without", "m")


IMPORT_ALL = """
import importlib, pkgutil, signal, sys
import tflm_build
for name in ("resource", "fcntl", "pwd", "grp", "termios", "pty", "syslog"):
    sys.modules[name] = None
for name in ("SIGKILL", "SIGPROF", "SIGALRM", "ITIMER_PROF", "setitimer", "SIGHUP"):
    vars(signal).pop(name, None)
for module in pkgutil.walk_packages(tflm_build.__path__, "tflm_build."):
    if not module.name.endswith(("__main__", "child.serve")):
        importlib.import_module(module.name)
"""


def test_no_module_needs_posix_to_be_imported() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_attempt_where_there_is_no_fork(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on macOS and Windows: what fails has left its words, and later output goes where it went before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tflm_build.tasks.attempt.CAN_FORK", False)
    monkeypatch.delattr(os, "fork")
    monkeypatch.delattr(signal, "setitimer")
    monkeypatch.setattr(sys, "stderr", os.fdopen(2, "w", closefd=False))  # pytest's own writes elsewhere
    answer = attempt(lambda: {"outputs": [np.arange(3)]}, 1)
    assert answer is not None
    assert answer["outputs"][0].tolist() == [0, 1, 2]
    assert attempt(lambda: {"outputs": [np.arange(3) @ np.arange(2)]}, 1) is None
    assert "mismatch" in words()


def test_macos_on_intel_is_refused() -> None:
    script = (
        "import platform, sys\n"
        "from tflm_build import cli\n"
        "sys.platform, platform.machine = 'darwin', lambda: 'x86_64'\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "tflm-build: error: this machine: there is no ai-edge-litert for macOS on Intel; allowed:"
    )
