# SPDX-License-Identifier: Apache-2.0
"""Models and data for the tests; none of them needs a file from outside of the project."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import ROOT
from support.interpreters import HELLO_WORLD, Run


@pytest.fixture(scope="session")
def tflm_build() -> Run:
    """Run the command as a process of its own, as a user or a build system does."""

    def run(*arguments: str | Path, cwd: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tflm_build", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **options)

    return run


@pytest.fixture(scope="session")
def hello_world(tflm_build: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the example's model once: the folder of its files."""
    folder = tmp_path_factory.mktemp("hello world")
    arguments = ["--src", HELLO_WORLD / "hello_world.keras", "--calibration", HELLO_WORLD / "calibration.npz"]
    result = tflm_build(
        "convert", "--name", "hello_world", *arguments, "--quantize", "int8", "--out-dir", folder, "--quiet"
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="session")
def keras_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the Keras models of `keras_models.py`, in a process of its own: tests do not import TensorFlow."""
    folder = tmp_path_factory.mktemp("keras models")
    subprocess.run([sys.executable, ROOT / "tests" / "support" / "save_keras_models.py", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def cnn(keras_models: Path, tflm_build: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quantize a small CNN: the folder of its files."""
    folder = tmp_path_factory.mktemp("cnn")
    result = tflm_build(
        "convert", "--name", "cnn", "--src", keras_models / "cnn.keras", "--quantize", "int8",
        "--calibration", "random:20", "--out-dir", folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder
