# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers answer on TFLM as in Keras, run after run, as TFLM's own operator or as one loop."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import ROOT
from support.hand_made import Model as HandMade
from support.hand_made import Op, Tensor, flatbuffer
from support.interpreters import Array, litert_outputs, tflm_outputs
from tflm_build.model.layers import describe_layers
from tflm_build.model.model import Model
from tflm_build.model.state import find_state
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.rescale import rescale
from tflm_build.stages.rewrite import rewrite_model
from tflm_build.stages.unrolled import cost_of_unrolled
from tflm_build.tasks.compare_layers import run as compare_layers

FUSED = "UNIDIRECTIONAL_SEQUENCE_LSTM"
OPERATORS = {
    "sequences": {FUSED: 1}, "one step": {FUSED: 1}, "both": {FUSED: 3}, "both, Keras 2": {FUSED: 3},
    "stateful": {FUSED: 1}, "stateful, Keras 2": {FUSED: 1}, "distributed": {FUSED: 2}, "convolution": {FUSED: 1},
    "batch": {FUSED: 1}, "twice": {FUSED: 2}, "gru": {"WHILE": 2}, "gru, reset before": {"WHILE": 1},
    "gru, stateful": {"WHILE": 1}, "simple and gru, Keras 2": {"WHILE": 2}, "lstm of relu": {"WHILE": 1},
    "lstm and gru": {FUSED: 1, "WHILE": 1},
}  # fmt: skip
# dB: what is left of the float model; 130 is float32 itself. Weights of int8 and gates of 3.12 bits bound the others.
LEAST = {"none": 100, "int8": 27, "int16x8": 36}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert all models, in one process of TensorFlow."""
    place = tmp_path_factory.mktemp("recurrent")
    script = ROOT / "tests" / "support" / "convert_recurrent.py"
    subprocess.run([sys.executable, script, place], check=True, capture_output=True, cwd=ROOT / "tests")
    return place


def converted(folder: Path, name: str) -> list[str]:
    """Return the types that a model was converted to."""
    return [quantize for quantize in LEAST if (folder / f"{name}-{quantize}.tflite").exists()]


def read(folder: Path, name: str, quantize: str) -> tuple[Model, list[Array], list[Array], list[str]]:
    """Return a model, what goes in, what Keras answered, and the notes."""
    model = canonicalize((folder / f"{name}-{quantize}.tflite").read_bytes())
    with np.load(folder / f"{name}-{quantize}.npz") as data:
        inputs = [data[f"input_{place}"] for place in range(len(model.graph.inputs))]
        outputs = [data[f"output_{place}"] for place in range(len(model.graph.outputs))]
        return model, inputs, outputs, [str(note) for note in data["notes"]]


def run_on_tflm(model: Model, inputs: list[Array], rounds: int = 1) -> list[list[Array]]:
    """Run samples one after another in one interpreter, again and again: per round and output, real numbers."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model.flatbuffer, arena_size=1 << 20)
    answers = []
    for _ in range(rounds):
        rows = []
        for vector in zip(*inputs, strict=True):
            for place, (value, tensor) in enumerate(zip(vector, model.graph.inputs, strict=True)):
                element = value.reshape(tensor.shape)
                if tensor.scale:
                    limits = np.iinfo(tensor.dtype)
                    element = np.round(element / tensor.scale) + tensor.zero_point
                    element = element.clip(limits.min, limits.max)
                interpreter.set_input(element.astype(tensor.dtype), place)
            interpreter.invoke()
            rows.append([np.array(interpreter.get_output(place)) for place in range(len(model.graph.outputs))])
        answers.append([np.stack(column) for column in zip(*rows, strict=True)])
    return answers


def decibels(model: Model, got: list[Array], wanted: list[Array]) -> float:
    """Return the least ratio of signal to noise of the outputs."""
    found = []
    for tensor, mine, theirs in zip(model.graph.outputs, got, wanted, strict=True):
        real = (mine.astype(float) - tensor.zero_point) * (tensor.scale or 1)
        noise = np.sum((real.reshape(theirs.shape) - theirs) ** 2)
        found.append(10 * np.log10(np.sum(theirs.astype(float) ** 2) / noise))
    return float(min(found))


@pytest.mark.parametrize("name", OPERATORS)
def test_answers_of_keras(folder: Path, name: str) -> None:
    for quantize in converted(folder, name):
        model, inputs, wanted, notes = read(folder, name, quantize)
        first, second = run_on_tflm(model, inputs, rounds=2)
        assert decibels(model, first, wanted) > LEAST[quantize]
        # TFLM's kernel goes on from the last run's state: only a stateful layer may do so.
        same = all(one.tobytes() == other.tobytes() for one, other in zip(first, second, strict=True))
        assert same is ("stateful" not in name)
        found = Counter(operator.op for operator in model.graph.subgraphs[0].operators)
        assert {op: found[op] for op in (FUSED, "WHILE") if found[op]} == OPERATORS[name]
        assert notes == []


def test_a_layer_that_no_operator_stands_for_is_unrolled_with_a_note(folder: Path) -> None:
    model, inputs, wanted, notes = read(folder, "state", "none")
    assert decibels(model, run_on_tflm(model, inputs)[0], wanted) > LEAST["none"]
    (note,) = notes
    assert "was unrolled, so that its size grows with the steps: it returns its state" in note
    assert sum(operator.op == "TANH" for operator in model.graph.operators) == 7 * 2 - 1  # the last output is not used


def test_steps_that_are_masked_leave_the_state_alone(folder: Path) -> None:
    for quantize in converted(folder, "masked"):
        model, inputs, wanted, notes = read(folder, "masked", quantize)
        rewritten = rewrite_model(model, inputs, keep_names=False).model
        assert decibels(rewritten, run_on_tflm(rewritten, inputs)[0], wanted) > LEAST[quantize]
        assert ["with a mask" in note for note in notes] == [True]
        (cost,) = cost_of_unrolled(rewritten)
        found = re.fullmatch(r"unrolled layers are (\d+) of \d+ operators and ([\d,]+) B of [\d,]+ B of flash", cost)
        assert found
        count, size = found.groups()
        assert int(count) >= 4 * 9  # per step: 2 products, 5 activations, 3 element by element at least
        assert 4 * 9 * 40 < int(size.replace(",", "")) < len(rewritten.flatbuffer)
    assert list(cost_of_unrolled(read(folder, "sequences", "int8")[0])) == []


def test_a_state_begins_at_zero(folder: Path) -> None:
    """A tensor that nobody has written holds zero bytes, which are the number 0 only with the zero point 0."""
    for quantize in ("int8", "int16x8"):
        model = read(folder, "stateful", quantize)[0]
        (lstm,) = (operator for operator in model.graph.operators if operator.op == FUSED)
        states = [operand for operand in lstm.reads if operand.variable]
        assert len(states) == 2
        assert all(state.zero_points == 0 for state in states)


def test_only_a_stateful_layer_has_state(folder: Path) -> None:
    """A tensor that each run sets to zero first keeps nothing."""
    kept = {name: find_state(read(folder, name, "int8")[0].graph).bytes for name in ("sequences", "stateful", "gru")}
    assert kept == {"sequences": 0, "stateful": 5 + 2 * 5, "gru": 0}
    assert find_state(read(folder, "gru, stateful", "int8")[0].graph).bytes == 2 * 5


@pytest.mark.parametrize(
    ("name", "quantize"), [("sequences", "none"), ("sequences", "int8"), ("both", "int8"), ("stateful", "int8")]
)
def test_each_operator_is_compared(
    folder: Path, name: str, quantize: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sets a state back is compared with the operator that reads the state."""
    monkeypatch.chdir(tmp_path)
    model, inputs, _, _ = read(folder, name, quantize)
    tensor = model.graph.inputs[0]
    steps = inputs[0] if not tensor.scale else np.round(inputs[0] / tensor.scale + tensor.zero_point).clip(-128, 127)
    elements = steps.reshape(-1, *tensor.shape).astype(tensor.dtype)
    compared = compare_layers({"flatbuffer": model.flatbuffer, "inputs": [elements]})
    references, differences, _, _ = compared["layers"]
    assert (references >= 0).all()
    assert differences.max() <= (1 if quantize == "int8" else 1e-6)


def test_the_float_model_has_the_same_names(folder: Path) -> None:
    """By which the report finds what quantization costs each layer."""
    names = [
        {
            operator.layer
            for operator in canonicalize((folder / f"lstm and gru-{kind}.tflite").read_bytes()).graph.operators
        }
        for kind in ("int8", "float")
    ]
    for name in ("lstm", "gru"):
        assert all(sum(layer.startswith(name) and "/" not in layer for layer in each) == 1 for each in names)


def test_work_of_a_loop_counts_once_a_step(folder: Path) -> None:
    macs = [layer.macs for layer in describe_layers(read(folder, "gru, reset before", "int8")[0].graph)]
    assert sum(macs) == 7 * (3 * 15 + 5 * 15)
    macs = [layer.macs for layer in describe_layers(read(folder, "sequences", "int8")[0].graph)]
    assert sum(macs) == 7 * (3 * 20 + 5 * 20)


def test_flash_does_not_grow_with_the_steps(folder: Path) -> None:
    one, seven = (len(read(folder, name, "int8")[0].flatbuffer) for name in ("one step", "sequences"))
    assert abs(one - seven) <= 16


def reversing(scale: float) -> bytes:
    """Make a REVERSE_V2 from a scale of 0.5 to another."""
    tensors: list[Any] = [
        Tensor("x", (1, 4), "int8", 0.5, 1),
        Tensor("axis", (1,), "int32", data=np.array([1], np.int32)),
        Tensor("y", (1, 4), "int8", scale, 1),
    ]
    return flatbuffer(HandMade("m", tensors, [Op("REVERSE_V2", "ReverseV2Options", (0, 1), (2,))], (0,), (2,), 0))


def test_moved_elements_are_rescaled() -> None:
    values = np.array([[-9, 1, 5, 101]], np.int8)
    assert rescale(reversing(0.5)) == reversing(0.5)
    repaired = rescale(reversing(1.0))
    for answers in (tflm_outputs(repaired, [values]), litert_outputs(repaired, [values])):
        assert answers[0].tolist() == [[51, 3, 1, -4]]
