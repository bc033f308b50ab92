# SPDX-License-Identifier: Apache-2.0
"""Of a large model fewer vectors are run, counted by its MACs, and vectors are shared out among the processors."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Run, read_manifest
from tflm_build.model.values import Tensor as End
from tflm_build.source.samples import Bound, choose
from tflm_build.stages.golden import golden_inputs
from tflm_build.tasks.attempt import attempt_vectors, words

FIVE = [np.arange(5, dtype=np.int8).reshape(5, 1), np.arange(5, 10, dtype=np.int8).reshape(5, 1)]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let attempts write their files there, on a machine of two processors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})


def add(inputs: Sequence[np.ndarray[Any, Any]]) -> dict[str, Any]:
    return {"sums": [sum(inputs)], "process": [np.full(len(inputs[0]), os.getpid())]}


def test_vectors_are_shared_out_and_their_answers_are_in_order() -> None:
    found = attempt_vectors(add, FIVE, 5, in_order=False)
    assert found is not None
    assert found["sums"][0].tolist() == [[5], [7], [9], [11], [13]]
    first, *rest = found["process"][0].tolist()
    assert [process == first for process in rest] == [True, False, False, False]


def test_a_model_with_state_has_all_vectors_in_one_process() -> None:
    found = attempt_vectors(add, FIVE, 5, in_order=True)
    assert found is not None
    assert len(set(found["process"][0])) == 1


def test_a_model_without_inputs_runs_once() -> None:
    found = attempt_vectors(lambda inputs: {"runs": [np.ones(1), *inputs]}, [], 5, in_order=False)
    assert found is not None
    assert [array.tolist() for array in found["runs"]] == [[1]]


def test_one_share_that_dies_is_told() -> None:
    def die(inputs: Sequence[np.ndarray[Any, Any]]) -> dict[str, Any]:
        os.write(1, b"one of %d\n" % len(inputs[0]))
        if 4 in inputs[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"x": list(inputs)}

    assert attempt_vectors(die, FIVE, 5, in_order=False) is None
    assert words() == "one of 3; the interpreter was ended by SIGKILL"


@pytest.mark.parametrize(
    ("macs", "golden", "compared"), [(1_000_000, 19, 1000), (25_000_000, 13, 400), (10**9, 7, 100)]
)
def test_what_is_run_depends_on_the_macs(macs: int, golden: int, compared: int) -> None:
    data = Bound((np.zeros((2000, 3), np.float32),), None, ())
    chosen = choose(data, None, macs=macs)
    assert chosen is not None
    assert len(chosen.arrays[0]) == compared
    tensor = End("x", "float32", (1, 3), 0.0, 0)
    for samples in (None, [data.arrays[0][:40]]):
        assert golden_inputs([tensor], samples, macs=macs).count == golden
    made = golden_inputs([tensor], [data.arrays[0][:40]], macs=macs)
    assert made.from_data + len(made.further[0]) == 40


def test_a_large_model_says_on_how_many_vectors_it_was_compared(tflm_build: Run, tmp_path: Path) -> None:
    """A convolution of 37,748,736 MACs: 250 million of them are 6 vectors."""
    generator = np.random.RandomState(0)
    weights = generator.randint(-127, 128, (96, 1, 1, 96)).astype(np.int8)
    tensors = [
        Tensor("x", (1, 64, 64, 96), "int8", 0.5, 0),
        Tensor("w", (96, 1, 1, 96), "int8", 0.01, 0, weights),
        Tensor("b", (96,), "int32", 0.005, 0, np.zeros(96, np.int32)),
        Tensor("y", (1, 64, 64, 96), "int8", 0.5, 0),
    ]
    settings = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
    ops = [Op("CONV_2D", "Conv2DOptions", (0, 1, 2), (3,), settings)]
    (tmp_path / "m.tflite").write_bytes(flatbuffer(Model("m", tensors, ops, (0,), (3,), 0)))
    result = tflm_build("convert", "--name", "m", "--src", tmp_path / "m.tflite", "--out-dir", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "1 of 1 layers equal to their references; the whole is at most 0 from LiteRT in 6 vectors" in result.stdout
    manifest = read_manifest(tmp_path / "out")
    assert manifest["macs"] == 37_748_736
    assert (manifest["golden"]["vectors"], manifest["proof"]["vectors"]) == (9, 6)
