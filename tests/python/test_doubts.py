# SPDX-License-Identifier: Apache-2.0
"""A model that builds but can hardly be what its user wants brings a warning with the reason."""

from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from support.interpreters import HELLO_WORLD, Array, Run

KERAS = HELLO_WORLD / "hello_world.keras"


def convert(tflm_build: Run, folder: Path, model: Path, **arrays: Array) -> CompletedProcess[str]:
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type] # a keyword of its own is never passed
    arguments = ["--name", "model", "--src", model, "--quantize", "int8", "--calibration", folder / "data.npz"]
    test_data = ["--test-data", HELLO_WORLD / "calibration.npz"] if model == KERAS else []
    return tflm_build("convert", *arguments, *test_data, "--out-dir", folder / "out", "--quiet")


def test_a_low_sqnr_names_the_layer_that_loses_most(tflm_build: Run, tmp_path: Path) -> None:
    result = convert(tflm_build, tmp_path, KERAS, x=np.linspace(0, 1, 99, dtype=np.float32)[:, None])
    assert result.returncode == 0
    (line,) = [line for line in result.stderr.splitlines() if "SQNR" in line]
    assert "warning: output 'output_0' has an SQNR of " in line
    assert " dB against the float model, under 20: " in line
    assert "; most is lost in layer '" in line


def test_good_data_brings_no_warning(tflm_build: Run, tmp_path: Path) -> None:
    result = convert(tflm_build, tmp_path, KERAS, x=np.linspace(0, 6.28, 99, dtype=np.float32)[:, None])
    assert (result.returncode, result.stderr) == (0, "")


def test_an_array_that_is_not_used(tflm_build: Run, tmp_path: Path) -> None:
    x = np.linspace(0, 6.28, 99, dtype=np.float32)[:, None]
    result = convert(tflm_build, tmp_path, KERAS, x=x, label=np.zeros(99, np.int64))
    assert "warning: --calibration 'data.npz' has arrays that are not used: label; the class of each" in result.stderr


@pytest.mark.parametrize(("scale", "warned"), [(1e-3, True), (1.0, False)], ids=["small feature", "alike"])
def test_one_scale_for_features_of_different_ranges(
    scale: float, *, warned: bool, tflm_build: Run, keras_models: Path, tmp_path: Path
) -> None:
    data = np.random.RandomState(0).uniform(-1, 1, (50, 8)).astype(np.float32) * 100
    data[:, 3] *= scale
    result = convert(tflm_build, tmp_path, keras_models / "classifier.keras", features=data)
    assert result.returncode == 0, result.stderr
    warning = "for features of very different ranges: 1 of 8 vary by fewer than 4 steps, the first is 3"
    assert (warning in result.stderr) == warned


def test_answers_that_are_all_alike(tflm_build: Run, tmp_path: Path) -> None:
    """Evaluate where all samples lie within one step of the input."""
    np.save(tmp_path / "close.npy", np.linspace(1, 1.001, 30, dtype=np.float32)[:, None])
    arguments = ["--src", KERAS, "--quantize", "int8", "--calibration", HELLO_WORLD / "calibration.npz"]
    test_data = ["--test-data", tmp_path / "close.npy", "--out-dir", tmp_path / "out", "--quiet"]
    result = tflm_build("convert", "--name", "model", *arguments, *test_data)
    assert result.returncode == 0, result.stderr
    assert "warning: all answers to 30 different samples are alike; check the scale of the data" in result.stderr
