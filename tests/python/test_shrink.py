# SPDX-License-Identifier: Apache-2.0
"""Shrinking leaves every answer as it is, removes what cannot be seen, and nothing that can."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.every_kind import MODELS
from support.every_op import one_operator_models
from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Run, litert_outputs, tflm_outputs
from support.random_graphs import random_graph, random_inputs
from support.shrunk_graphs import Counts, check_graph, trace
from tflm_build.errors import TflmBuildError
from tflm_build.model.fixed_point import UNBOUNDED, multiply_rounding_twice, rescaled_bounds
from tflm_build.model.flatbuffer import load, store
from tflm_build.model.structure import account
from tflm_build.options import Options
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.channels import remove_channels
from tflm_build.passes.intervals import Interval, analyse
from tflm_build.passes.shrink import Shrinking, shrink_model
from tflm_build.passes.unread import drop_unread
from tflm_build.stages import shrink as stage
from tflm_build.stages.doubts import doubts
from tflm_build.stages.drive import driving_inputs
from tflm_build.stages.golden import golden_inputs

DENSE = {"weightsFormat": 0, "keepNumDims": False, "fusedActivationFunction": 0}
GRAPHS = 500


def dense(
    weights: Any, bias: Any, *, scales: tuple[float, float, float] = (1.0, 1 / 512, 1.0), reads: Any = None
) -> bytes:
    """Make a dense layer of these weights and biases, and one behind it that reads all its outputs."""
    rows, added = np.array(weights, np.int8), np.array(bias, np.int32)
    outputs, inputs = rows.shape
    step, weight, output = scales
    last = np.full((3, outputs), 5, np.int8) if reads is None else np.array(reads, np.int8)
    tensors = [
        Tensor("x", (1, inputs), "int8", step),
        Tensor("w", rows.shape, "int8", weight, data=rows),
        Tensor("b", added.shape, "int32", step * weight, data=added),
        Tensor("h", (1, outputs), "int8", output),
        Tensor("v", last.shape, "int8", 1 / 256, data=last),
        Tensor("c", (len(last),), "int32", output / 256, data=np.arange(len(last), dtype=np.int32)),
        Tensor("y", (1, len(last)), "int8", output),
    ]
    ops = [
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 2), (3,), DENSE),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (3, 4, 5), (6,), DENSE),
    ]
    return flatbuffer(Model("dense", tensors, ops, (0,), (6,), 0))


def two_dead() -> bytes:
    """Make two of five channels constant."""
    return dense([[0, 0], [50, 9], [9, 50], [0, 0], [20, 30]], [900, 0, 0, -300, 5])


def hidden(model: bytes) -> Interval:
    graph = canonicalize(model).graph.subgraphs[0]
    return analyse(graph).intervals[graph.operators[0].outputs[0].place]


def channels_left(model: bytes) -> int:
    return int(without_channels(model).graph.operators[0].outputs[0].shape[-1])


def without_channels(source: bytes) -> Any:
    model = canonicalize(source)
    return remove_channels(model, analyse(model.graph.subgraphs[0]))[0]


@pytest.mark.parametrize("half", [0, 1])
def test_random_graphs_answer_as_before(half: int) -> None:
    """Compare 500 models channel by channel; `./dev bench shrink 20000` compares more."""
    seeds = range(half * GRAPHS // 2, (half + 1) * GRAPHS // 2)
    counts = sum((check_graph(seed) for seed in seeds), Counts())
    assert counts.models == GRAPHS // 2
    assert counts.constant > 500
    assert counts.unread > 100
    assert counts.padded > 3


def test_a_channel_that_is_one_step_from_constant_stays() -> None:
    """Move a bias step by step: only where no element changes the rounded sum, the channel is constant."""
    row = [[1, 0], [100, 100], [-100, 50]]
    seen = set()
    for bias in range(0, 800, 50):
        model = dense(row, [bias, 0, 0])
        inputs = np.array([[[low, 0]] for low in range(-128, 128)], np.int8)
        low, high = (int(end[0]) for end in hidden(model))
        answers = multiply_rounding_twice(np.arange(-128, 128) + bias, np.array(1 / 512))
        assert (low, high) == (answers.min(), answers.max())
        seen.add(low == high)
        assert (channels_left(model) == 2) == (low == high)
        if low == high:
            shrunk = without_channels(model).flatbuffer
            for vector in inputs[::51]:
                np.testing.assert_array_equal(tflm_outputs(model, [vector]), tflm_outputs(shrunk, [vector]))
    assert seen == {True, False}


def test_a_channel_on_which_kernels_disagree_is_not_constant() -> None:
    """Take a sum that rounds to 1 in two steps, and to 0 in one."""
    sums = np.arange(-(1 << 15), 1 << 15)
    factor = np.array(0.7 / 256)
    low, high = rescaled_bounds(sums, sums, factor, wide=False)
    once = np.floor(sums * factor + 0.5).astype(int)
    twice = multiply_rounding_twice(sums, factor)
    assert ((low <= once) & (once <= high) & (low <= twice) & (twice <= high)).all()
    assert 0 < np.count_nonzero(once != twice) <= np.count_nonzero(low != high) < len(sums) / 100
    place = int(np.flatnonzero(once != twice)[0])
    model = dense([[0], [100], [50]], [int(sums[place]), 0, 0], scales=(1.0, 0.7 / 256, 1.0))
    interval = hidden(model)
    assert not interval.constant[0]
    assert channels_left(model) == 3


@pytest.mark.parametrize(("bias", "full"), [((1 << 31) - 1, True), (-(1 << 31), True), ((1 << 31) - 40_000, False)])
def test_a_sum_that_could_wrap_around_has_no_bound(bias: int, *, full: bool) -> None:
    low, high = (int(end[0]) for end in hidden(dense([[127, 127], [3, 4]], [bias, 0], scales=(1.0, 2e-9, 1.0))))
    assert (low == -128 and high == 127) == full
    assert low == high or full


def test_a_sum_beyond_what_kernels_compute_has_no_bound() -> None:
    low, high = rescaled_bounds(np.array([1 << 30]), np.array([1 << 30]), np.array(3.0), wide=False)
    assert (int(low[0]), int(high[0])) == (-UNBOUNDED, UNBOUNDED)


def test_a_constant_that_the_bias_has_no_room_for_stays() -> None:
    model = dense([[0], [100], [50]], [60_000, 0, 0], reads=np.full((3, 3), 127))
    assert channels_left(model) == 2
    tree = load(model)
    tree.buffers[tree.subgraphs[0].tensors[5].buffer].data = np.full(3, (1 << 31) - 1, np.int32).view(np.uint8)
    assert channels_left(bytes(store(tree))) == 3


@pytest.mark.parametrize("kind", MODELS)
def test_every_byte_is_accounted_for(kind: str) -> None:
    model = canonicalize(MODELS[kind]())
    parts = account(model.flatbuffer)
    assert sum(part.bytes for part in parts) == len(model.flatbuffer)
    named = {part.what: part.bytes for part in parts}
    data = {operand.buffer: len(operand.data) for operand in operands(model) if operand.constant}
    assert named.get("constants", 0) >= sum(data.values())


def operands(model: Any) -> Any:
    return (operand for subgraph in model.graph.subgraphs for operand in subgraph.operands)


def test_both_interpreters_answer_without_what_they_do_not_read() -> None:
    """Compare the source with models without scales of biases, shapes of RESHAPE and doubled tables.

    LiteRT takes the int32 bias of an int16 layer for int64: its answers then depend on what lies behind.
    """
    compared = 0
    for seed in range(3000, 3040):
        source = random_graph(seed)
        model = canonicalize(source)
        shrunk = shrink_model(model).model
        (tensor,) = model.graph.inputs
        for vector in random_inputs(tensor.shape, tensor.dtype, seed, 3):
            wanted = tflm_outputs(source, [vector])
            for flat in (model.flatbuffer, shrunk.flatbuffer):
                np.testing.assert_array_equal(tflm_outputs(flat, [vector]), wanted, err_msg=str(seed))
            if all(bias.type == "int64" for bias in biases(model) if tensor.type == "int16"):
                np.testing.assert_array_equal(
                    litert_outputs(shrunk.flatbuffer, [vector]), litert_outputs(source, [vector]), err_msg=str(seed)
                )
                compared += 1
    assert compared > 100


def test_both_interpreters_answer_without_options_that_say_nothing() -> None:
    """Look at every op, for each type of its elements."""
    random = np.random.RandomState(0)
    without: set[str] = set()
    for name, source in one_operator_models().items():
        model = canonicalize(source)
        after = drop_unread(model)
        (before,), (changed,) = model.tree.subgraphs[0].operators, after.tree.subgraphs[0].operators
        if before.builtinOptions is None or changed.builtinOptions is not None:
            continue
        vectors = [
            (random.standard_normal(each.shape) * 20).astype(each.dtype) if each.dtype.kind in "if" else
            np.zeros(each.shape, each.dtype)
            for each in model.graph.inputs
        ]  # fmt: skip
        count = len(model.graph.outputs)
        for run in (tflm_outputs, litert_outputs):
            try:
                wanted = run(source, vectors, count) if run is tflm_outputs else run(source, vectors)
            except (RuntimeError, ValueError):  # an op that one of them lacks
                continue
            got = run(after.flatbuffer, vectors, count) if run is tflm_outputs else run(after.flatbuffer, vectors)
            for one, other in zip(got, wanted, strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"{name}, {run.__name__}")
            without.add(f"{model.graph.operators[0].op} {run.__name__}")
    both = {f"{op} {run}" for op in ("FULLY_CONNECTED", "MUL", "PAD") for run in ("tflm_outputs", "litert_outputs")}
    assert both <= without


def biases(model: Any) -> Any:
    linear = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    return (operator.inputs[2] for operator in model.graph.operators if operator.op in linear)


def test_state_and_calls_are_left_alone() -> None:
    for kind in ("variable", "if", "while", "planned", "float32"):
        model = canonicalize(MODELS[kind]())
        shrinking = shrink_model(model)
        assert not shrinking.removed, kind
        assert [operator.op for operator in shrinking.model.graph.operators] == [
            operator.op for operator in model.graph.operators
        ]


@pytest.mark.parametrize(("seed", "op"), [(232, "CONV_2D"), (202, "DEPTHWISE_CONV_2D")])
def test_inputs_drive_channels_to_the_ends_of_their_intervals(seed: int, op: str) -> None:
    """Look at the first layer: half of the inputs are made for it."""
    model = canonicalize(random_graph(seed))
    operator = model.graph.subgraphs[0].operators[0]
    place = operator.outputs[0].place
    interval = analyse(model.graph.subgraphs[0]).intervals[place]
    (inputs,) = driving_inputs(model.graph, 64)
    written = trace(model, inputs)[place].reshape(-1, len(interval.low))
    assert (operator.op, operator.outputs[0].shape[1:3]) == (op, (3, 3))
    assert (interval.low < interval.high).any()
    assert (written.min(axis=0) - interval.low).max() <= 1
    assert (interval.high - written.max(axis=0)).max() <= 1


def shrunk(model: bytes) -> stage.Shrunk:
    canonical = canonicalize(model)
    return stage.shrink(Options(name="m", src="m.tflite"), canonical, golden_inputs(canonical.graph.inputs, None))


@pytest.mark.parametrize(("difference", "outside", "message"), [
    (3.0, 0, r"SHRINK: layer '\w+' \(FULLY_CONNECTED\) differs by 3 in vector 2 from what it was; allowed: no"),
    (0.0, 5, r"has 5 elements outside of their computed bounds; allowed: no difference; set SHRINK to off"),
    (float("inf"), 0, r"SHRINK: an output differs by inf in vector 2"),
])  # fmt: skip
def test_a_difference_is_an_error(
    difference: float, outside: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ([difference, 0, 0], [2, -1, -1], [outside, 0, 0]) if difference < 9 else ([difference], [2], [0])
    answer = {"arena": [100, 90], "differences": [np.array(column) for column in columns]}
    monkeypatch.setattr(stage, "run_in_child", lambda *_: answer)
    with pytest.raises(TflmBuildError, match=message):
        shrunk(two_dead())


@pytest.mark.parametrize("arena", [[], [100, 101]], ids=["TFLM does not run it", "more memory"])
def test_a_model_that_does_not_gain_stays(arena: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "run_in_child", lambda *_: {"arena": arena, "differences": []})
    model = two_dead()
    result = shrunk(model)
    assert result.model.flatbuffer == canonicalize(model).flatbuffer
    assert not result.shrinkage.steps
    assert not result.removed


def test_a_changed_channel_is_found_on_tflm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove a channel that is not constant: the proof sees it."""
    monkeypatch.setattr(Interval, "constant", property(lambda self: np.arange(len(self.low)) == 1))
    with pytest.raises(TflmBuildError, match=r"SHRINK: .* differs by "):
        shrunk(dense([[30, 0], [0, 30], [9, 50], [3, 4]], [0, 0, 0, 0], scales=(1.0, 1 / 64, 1.0)))


def test_the_command_shrinks_and_says_so(tflm_build: Run, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(two_dead())
    said = ""
    for shrink in ("auto", "off"):
        done = tflm_build(
            "convert",
            "--name",
            "m",
            "--src",
            "m.tflite",
            "--shrink",
            shrink,
            "--out-dir",
            shrink,
            "--report",
            cwd=tmp_path,
        )
        assert ("  shrink 2 channels that no input changes: -" in done.stdout) == (shrink == "auto"), done.stdout
        said = said or done.stdout
    manifests = {name: json.loads((tmp_path / name / "m.json").read_text()) for name in ("auto", "off")}
    found = manifests["auto"]["shrink"]
    (records, channels) = (step["bytes"] for step in found["steps"])
    assert f": -{channels:,} B, -40% MACs; scales, shapes and options that no kernel reads: -{records:,} B; 51" in said
    assert found["bytes"] == [manifests[name]["model"]["bytes"] for name in ("off", "auto")]
    assert found["macs"] == [manifests[name]["macs"] for name in ("off", "auto")] == [25, 15]
    assert (found["channels"], found["inputs"]) == (2, 51)
    first, second = found["layers"]
    assert first == {
        "layer": "h", "op": "FULLY_CONNECTED", "channels": 5, "constant": 2, "unread": 0, "bytes": 12, "macs": 4
    }  # fmt: skip
    assert (second["layer"], second["constant"], second["bytes"], second["macs"]) == ("y", 0, 6, 6)
    assert manifests["off"]["shrink"]["steps"] == []
    assert sum(part["bytes"] for part in manifests["auto"]["structure"]) == found["bytes"][1]
    pages = {name: (tmp_path / name / "m.html").read_text() for name in ("auto", "off")}
    assert ["Shrunk without loss by" in pages[name] for name in ("auto", "off")] == [True, False]
    assert all(f">{part['bytes']:,}</td>" in pages["auto"] for part in manifests["auto"]["structure"])
    vectors = np.random.RandomState(0).randint(-128, 128, (50, 1, 2)).astype(np.int8)
    before, after = ((tmp_path / name / "m.tflite").read_bytes() for name in ("off", "auto"))
    for vector in vectors:
        np.testing.assert_array_equal(tflm_outputs(before, [vector]), tflm_outputs(after, [vector]))

    shown = tflm_build("inspect", "m.tflite", "--structure", cwd=tmp_path).stdout
    assert "  shrink  2 channels that no input changes: -" in shown
    assert "h      FULLY_CONNECTED         5         2       0       12           4" in shown
    assert re.search(rf"^total +{manifests['off']['model']['bytes']:,}$", shown, re.MULTILINE)


def test_dead_channels_are_a_warning() -> None:
    rows = [[0, 0], [50, 9], [9, 50], *([0, 0] for _ in range(4))]
    result = shrunk(dense(rows, [900, 0, 0, -300, 5, 0, 99]))
    proof: Any = type("Proof", (), {"not_compared": (), "layers": (), "accuracy": None, "answers": ()})
    (warning,) = doubts(result.model.graph, None, proof, None, result.shrinkage)  # type: ignore[arg-type]
    assert warning.startswith("warning: 5 of 10 channels that layers write hold one value whatever the input is")


def test_shrinking_knows_nothing_of_what_it_did_not_do() -> None:
    assert Shrinking(canonicalize(MODELS["cnn"]()), (0,)).interval(0) is None
