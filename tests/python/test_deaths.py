# SPDX-License-Identifier: Apache-2.0
"""What an interpreter dies of is told by layer and reason."""

import re
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Array, Run
from tflm_build.child.table import CHECK_SHAPES, RUN_TFLM, Task
from tflm_build.errors import TflmBuildError
from tflm_build.model.model import Model as CanonicalModel
from tflm_build.passes.canonical import canonicalize
from tflm_build.stages.deaths import naming_layers

SHAPE = (1, 8)


def chain(deadly: Op, scale: float, place: int) -> bytes:
    """Put an operator that kills between others that do no harm: its result has a scale, and what it reads another."""
    tensors, ops = [Tensor("x", SHAPE, "int8", 0.5)], []
    for index in range(6):
        if index == place - 1 and deadly.code == "SOFTMAX":
            read = Tensor("read", SHAPE, "int8", scale)
            tensors.append(read)
            ops.append(Op("QUANTIZE", "QuantizeOptions", (index,), (index + 1,)))
        elif index == place:
            result = scale if deadly.code != "SOFTMAX" else 1 / 256
            zero = 0 if deadly.code != "SOFTMAX" else -128
            tensors.append(Tensor("deadly", SHAPE, "int8", result, zero))
            inputs = (index, index) if deadly.code != "SOFTMAX" else (index,)
            ops.append(deadly._replace(inputs=inputs, outputs=(index + 1,)))
        else:
            tensors.append(Tensor(f"harmless {index}", SHAPE, "int8", 0.5))
            ops.append(Op("QUANTIZE", "QuantizeOptions", (index,), (index + 1,)))
    return flatbuffer(Model("m", tensors, ops, (0,), (6,), 0))


def named(
    error: TflmBuildError, task: Task, model: CanonicalModel, vector: list[Array] | None = None
) -> TflmBuildError:
    """Return what an error becomes."""
    with pytest.raises(TflmBuildError) as raised, naming_layers(task, model, vector):
        raise error
    return raised.value


DEADLY = {
    "ADD": (Op("ADD", "AddOptions", (), ()), 1e-9, r"scale 1e-09, too small for its inputs' 0\.5: they cancel out"),
    "SUB": (Op("SUB", "SubOptions", (), ()), 1e-9, r"scale 1e-09, too small for its inputs' 0\.5: they cancel out"),
    "SOFTMAX": (
        Op("SOFTMAX", "SoftmaxOptions", (), (), {"beta": 1.0}),
        8e-9,
        r"scale 8e-09, and needs more than 1\.49e-08: all that it reads is close to 0",
    ),
}


@pytest.mark.parametrize(
    ("op", "task"),
    # LiteRT subtracts with such scales.
    [(op, task) for op in DEADLY for task in (RUN_TFLM, CHECK_SHAPES) if (op, task) != ("SUB", CHECK_SHAPES)],
)
def test_the_layer_and_the_reason_are_found(op: str, task: Task) -> None:
    deadly, scale, reason = DEADLY[op]
    for place in (1, 4, 5):
        model = canonicalize(chain(deadly, scale, place))
        found = named(TflmBuildError("it was ended by SIGABRT"), task, model, [np.ones((3, *SHAPE), np.int8)])
        assert str(found).startswith(f"layer 'deadly' ({op}): it was ended by SIGABRT; its ")
        assert re.search(reason, str(found))


@pytest.mark.parametrize("op", DEADLY)
def test_the_command_tells_them(op: str, tflm_build: Run, tmp_path: Path) -> None:
    deadly, scale, reason = DEADLY[op]
    source = tmp_path / "m.tflite"
    source.write_bytes(chain(deadly, scale, 3))
    result = tflm_build("convert", "--name", "m", "--src", source, "--out-dir", tmp_path / "out")
    assert result.returncode == 1
    assert f"layer 'deadly' ({op}): " in result.stderr
    assert "was ended by SIG" in result.stderr
    assert re.search(reason, result.stderr)


def test_other_errors_stay_as_they_are() -> None:
    model = canonicalize(chain(Op("ADD", "AddOptions", (), ()), 1.0, 3))
    error = TflmBuildError("out of paper")
    assert named(error, RUN_TFLM, model) is error
    gone = TflmBuildError("it was ended by SIGABRT")  # but not again
    assert named(gone, RUN_TFLM, model) is gone
    far = TflmBuildError("Node ADD (number 99) failed to prepare")
    assert named(far, RUN_TFLM, model) is far


def test_an_interpreter_that_names_the_node_is_believed() -> None:
    model = canonicalize(chain(Op("ADD", "AddOptions", (), ()), 1.0, 3))
    for words in ("Node ADD (number 3) failed to prepare", "Node number 3 (ADD) failed to prepare."):
        assert str(named(TflmBuildError(words), RUN_TFLM, model)) == f"layer 'deadly' (ADD): {words}"


def test_what_has_no_known_reason_is_told_by_layer_alone() -> None:
    model = canonicalize(chain(Op("SOFTMAX", "SoftmaxOptions", (), (), {"beta": 0.0}), 0.5, 3))
    found = named(TflmBuildError("Node SOFTMAX (number 3) failed to prepare"), RUN_TFLM, model)
    assert str(found) == "layer 'deadly' (SOFTMAX): Node SOFTMAX (number 3) failed to prepare"


def test_a_model_that_gives_no_answer_is_tried_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A loop that its input bounds takes the time of one vector, and no larger arena is tried."""
    from tflm_build.tasks import run_tflm

    seconds = []

    def attempt(_: object, inputs: list[np.ndarray[Any, Any]], most: int, *, in_order: bool) -> None:
        assert (len(inputs[0]), in_order) == (1, True)
        seconds.append(most)
        Path("attempt.log").write_text("the interpreter gave no answer in time and was ended")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_tflm, "attempt_vectors", attempt)
    with pytest.raises(TflmBuildError, match="the interpreter gave no answer in time"):
        run_tflm.run({"flatbuffer": b"", "inputs": [np.zeros((50, 1))], "output_count": 1})
    assert seconds == [20]


def test_only_the_time_of_the_processor_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with other work to do must not make a layer one that cannot be compared."""
    from tflm_build.tasks.attempt import attempt, words

    def spin() -> NoReturn:
        while True:
            pass

    def sleep() -> dict[str, bool]:
        time.sleep(1.2)
        return {"slept": True}

    monkeypatch.chdir(tmp_path)
    assert attempt(sleep, 1) == {"slept": True}
    assert attempt(spin, 1) is None
    assert "the interpreter gave no answer in time and was ended" in words()
