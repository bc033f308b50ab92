# SPDX-License-Identifier: Apache-2.0
"""Accuracy, against numbers worked out here."""

import math
from pathlib import Path

import numpy as np
import pytest

from support.interpreters import Run, litert_outputs, read_manifest
from tflm_build.errors import TflmBuildError
from tflm_build.model.values import Tensor
from tflm_build.stages.accuracy import work_out_accuracy

OUTPUT = Tensor("y", "int8", (1, 3), 0.5, -2)


def test_errors_are_in_real_numbers() -> None:
    answers = [np.array([[[0, 2, 4]], [[-2, -2, 6]]], np.int8)]  # real: 1, 2, 3 and 0, 0, 4
    wanted = [np.array([[[1.0, 2.5, 3.0]], [[0.0, 0.0, 3.0]]], np.float32)]
    accuracy = work_out_accuracy([OUTPUT], answers, wanted, None)
    assert accuracy is not None
    assert accuracy.float_error == (1.0,)
    assert accuracy.worst_sample == (1,)
    signal, noise = 1 + 6.25 + 9 + 9, 0.25 + 1
    assert list(accuracy.sqnr) == pytest.approx([10 * math.log10(signal / noise)])
    assert (accuracy.top1, accuracy.float_top1, accuracy.labelled) == (1.0, None, False)


def test_labels_judge_both_models() -> None:
    answers = [np.array([[[9, 0, 0]], [[9, 0, 0]], [[0, 9, 0]], [[0, 0, 9]]], np.int8)]
    wanted = [np.array([[[9, 0, 0]], [[0, 9, 0]], [[0, 9, 0]], [[9, 0, 0]]], np.float32)]
    accuracy = work_out_accuracy([OUTPUT], answers, wanted, np.array([0, 1, 1, 1]))
    assert accuracy is not None
    assert (accuracy.top1, accuracy.float_top1) == (0.5, 0.75)


def test_nothing_to_compare_with() -> None:
    assert work_out_accuracy([OUTPUT], [np.zeros((4, 1, 3), np.int8)], None, None) is None


def test_a_model_that_answers_with_nan() -> None:
    answers = [np.zeros((3, 1, 3), np.int8)]
    wanted = [np.zeros((3, 1, 3), np.float32)]
    wanted[0][1, 0, 2] = np.nan
    message = "the float model answers 1 of 3 samples with NaN or infinity, first sample 1; only finite"
    with pytest.raises(TflmBuildError, match=message):
        work_out_accuracy([OUTPUT], answers, wanted, None)
    output = Tensor("y", "float32", (1, 3), 0.0, 0)
    with pytest.raises(TflmBuildError, match="the model answers 3 of 3 samples with NaN or infinity, first sample 0"):
        work_out_accuracy([output], [np.full((3, 1, 3), np.inf)], None, np.zeros(3, np.int64))


def test_top1_of_all_test_data(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    """Compare with LiteRT on every sample: more than the golden vectors are looked at, and by the labels given."""
    generator = np.random.default_rng(4)
    features, labels = generator.random((60, 8), np.float32), generator.integers(0, 5, 60)
    np.savez(tmp_path / "test.npz", features=features, labels=labels)

    def convert(*more: str) -> str:
        result = tflm_build(
            "convert", "--name", "m", "--src", keras_models / "classifier.keras", "--quantize", "int8", "--calibration",
            tmp_path / "test.npz", "--test-data", tmp_path / "test.npz", "--out-dir", tmp_path / "out", "--quiet",
            *more,
        )  # fmt: skip
        return result.stderr

    assert convert() == ""
    accuracy = read_manifest(tmp_path / "out")["accuracy"]
    model = (tmp_path / "out" / "m.tflite").read_bytes()
    tensor = read_manifest(tmp_path / "out")["inputs"][0]
    elements = np.clip(np.rint(features / tensor["scale"]) + tensor["zero_point"], -128, 127).astype(np.int8)
    right = sum(
        int(litert_outputs(model, [element[np.newaxis]])[0].argmax() == label)
        for element, label in zip(elements, labels, strict=True)
    )
    assert accuracy["samples"] == 60
    assert accuracy["labelled"]
    assert accuracy["top1"] == pytest.approx(right / 60, abs=2 / 60)  # single steps between the two interpreters
    assert "--min-top1: the largest output is that of the labels in" in convert("--min-top1", "0.99")
    assert convert("--min-top1", "0.01") == ""
