# SPDX-License-Identifier: Apache-2.0
"""What is rewritten in ops that TFLM has: which ops it becomes, and that the answers stay equal."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Run, litert_outputs, read_manifest, tflm_outputs
from support.rewrite_cases import CASES, Case, divided, made
from tflm_build.describe.from_model import describe_source
from tflm_build.model.flatbuffer import load, schema, store
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.rewrite import rewrite as rewrite_tree
from tflm_build.passes.rewrite import spell_for_quantizer
from tflm_build.passes.steady import put_in_order
from tflm_build.stages import convert, rewrite
from tflm_build.stages.rewrite import rewrite_model

GENERATOR = np.random.default_rng(3)


def drawn(case: Case) -> list[Any]:
    found = []
    for tensor in case.tensors[: case.inputs]:
        values = GENERATOR.integers(0 if tensor.dtype == "bool" else case.elements[0], case.elements[1], tensor.shape)
        found.append((values > 50 if tensor.dtype == "bool" else values).astype(tensor.dtype))
    return found


@pytest.mark.parametrize("name", CASES)
def test_it_becomes_ops_of_tflm_and_answers_as_before(name: str) -> None:
    case = CASES[name]
    before = canonicalize(made(case))
    rewritten = rewrite_model(before, None, keep_names=False)
    after = rewritten.model
    assert [operator.op for operator in after.graph.operators] == case.becomes.split()
    assert (after is before) == (not rewritten.changes)
    assert not rewritten.notes
    inputs = drawn(case)
    (wanted,), (got,), (tflm,) = (
        litert_outputs(before.flatbuffer, inputs),
        litert_outputs(after.flatbuffer, inputs),
        tflm_outputs(after.flatbuffer, inputs),
    )
    assert wanted.tobytes() == got.tobytes() == tflm.tobytes()
    assert np.unique(wanted).size > 1, "the vectors show nothing"


def test_rewriting_twice_changes_nothing_more() -> None:
    once = rewrite_model(canonicalize(made(CASES["upsampling int8"])), None, keep_names=False)
    assert not rewrite_model(once.model, None, keep_names=False).changes
    assert once.model.flatbuffer == canonicalize(once.model.flatbuffer).flatbuffer


@pytest.mark.parametrize("name", ["fold: shapes", "upsampling int8", "transpose", "slice five axes", "gather"])
@pytest.mark.parametrize("damage", ["no inputs", "one input", "a matrix", "large numbers"])
def test_damaged_operators_are_left_to_later_stages(name: str, damage: str) -> None:
    tree = load(made(CASES[name]))
    (main,) = tree.subgraphs
    for operator in main.operators:
        if damage in {"no inputs", "one input"}:
            operator.inputs = operator.inputs[: damage == "one input"]
    for tensor in main.tensors:
        data = tree.buffers[tensor.buffer].data
        if data is None or tensor.type != schema.TensorType.INT32:
            continue
        if damage == "a matrix":
            tensor.shape = np.array([1, *tensor.shape], np.int32)
        elif damage == "large numbers":
            tree.buffers[tensor.buffer].data = np.full(len(data), 0x7F, np.uint8)
    done = rewrite_tree(tree, lambda _: None)
    assert {change.kind for change in done} <= {"folded", "identity", "spelled"}
    assert canonicalize(store(tree)).graph.operators


def test_what_writes_a_state_stays() -> None:
    """It makes a layer begin anew in each run, and would be a constant, or nothing, but for that."""
    zeros = np.zeros((1, 4), np.int8)
    names: dict[str, dict[str, Any]] = {"x": {}, "zeros": {"data": zeros}, "state": {"variable": True}, "y": {}}
    tensors = [Tensor(name, (1, 4), "int8", 0.1, **more) for name, more in names.items()]
    ops = [Op("QUANTIZE", "QuantizeOptions", (1,), (2,)), Op("ADD", "AddOptions", (0, 2), (3,))]
    tree = load(flatbuffer(Model("cleared", tensors, ops, (0,), (3,), 0)))
    assert rewrite_tree(tree, lambda _: [zeros]) == ()
    assert len(tree.subgraphs[0].operators) == 2
    tree.subgraphs[0].tensors[2].isVariable = False
    assert rewrite_tree(tree, lambda _: [zeros]) != ()


def test_a_model_that_would_be_rewritten_is_inspected_as_it_is_and_not_refused(tmp_path: Path) -> None:
    source = tmp_path / "m.tflite"
    source.write_bytes(made(CASES["select float32"]))
    description = describe_source(str(source))
    assert [(used.op, used.method) for used in description.ops] == [("SELECT", None)]
    assert description.refusal is None


@pytest.mark.parametrize(
    ("model", "quantize", "changes", "ops"),
    [
        (
            "embedding",
            "int8",
            [["ADD", "SELECT"], ["TILE"]],
            {"LESS", "CAST", "MUL", "ADD", "GATHER", "RESIZE_NEAREST_NEIGHBOR", "RESHAPE", "FULLY_CONNECTED"},
        ),
        (
            "normalized",
            "int16x8",
            [["NEG"], ["SQUARED_DIFFERENCE"]],
            {"MEAN", "SUB", "MUL", "ADD", "RSQRT", "FULLY_CONNECTED"},
        ),
    ],
)
def test_layers_of_keras_build(
    model: str, quantize: str, changes: list[Any], ops: set[str], keras_models: Path, tflm_build: Run, tmp_path: Path
) -> None:
    data = tmp_path / "data.npz"
    drawn: dict[str, Any] = {"embedding": {"words": GENERATOR.integers(0, 20, (20, 6), np.int32)}}
    arrays = drawn.get(model, {"x": GENERATOR.uniform(-1, 1, (20, 6, 4)).astype("f")})
    np.savez(data, **arrays)
    arguments = ["--quantize", quantize, "--calibration", data, "--out-dir", tmp_path, "--quiet"]
    result = tflm_build("convert", "--name", "m", "--src", keras_models / f"{model}.keras", *arguments)
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path)
    assert manifest["model"]["quantization"] == quantize
    assert {used["op"] for used in manifest["ops"]} == ops
    done = [change["before"] for change in manifest["rewrites"]["changes"]]
    assert all(change in done for change in changes)
    assert manifest["rewrites"]["vectors"] == 4
    assert manifest["accuracy"]["sqnr_db"][0] > 30
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("  passes "))
    assert line.endswith("; the same answers in 4 vectors")


def test_a_change_that_answers_otherwise_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    truly = rewrite._compare

    def refute_selects(models: Any) -> Any:
        return [
            proof._replace(mixed=1.0) if b"SELECT" in ops(*pair) else proof
            for (pair, _), proof in zip(models, truly(models), strict=True)
        ]

    def ops(before: bytes, _after: bytes) -> bytes:
        operators = canonicalize(before).graph.operators
        return operators[0].op.encode() if len(operators) == 1 else b""

    monkeypatch.setattr(rewrite, "_compare", refute_selects)
    before = canonicalize(made(CASES["select int8"]))
    assert rewrite_model(before, None, keep_names=False).model is before
    tiled = rewrite_model(canonicalize(made(CASES["tile both ways"])), None, keep_names=False)
    assert tiled.changes


def test_a_model_that_answers_otherwise_as_a_whole_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    truly = rewrite._compare
    monkeypatch.setattr(rewrite, "_compare", lambda models: [*truly(models)[:-1], rewrite._Proof(1.0, 0.0, 0.0)])
    before = canonicalize(made(CASES["select int8"]))
    rewritten = rewrite_model(before, None, keep_names=False)
    assert (rewritten.model, rewritten.changes) == (before, ())
    assert rewritten.notes == (
        "the model was not rewritten in ops that TFLM has, because the whole would answer otherwise",
    )


@pytest.mark.parametrize("op", ["SPLIT", "SPLIT_V", "UNPACK"])
def test_a_part_that_nobody_reads_is_not_left_to_the_quantizer(op: str) -> None:
    """TensorFlow's quantizer would do one thing in one run and another in the next."""
    whole, in_part = divided(op, 3), divided(op, 2)
    assert spell_for_quantizer(whole, "int8") == (whole, ())
    spelled, (change,) = spell_for_quantizer(in_part, "int8")
    part = ["SLICE", "RESHAPE"] if op == "UNPACK" else ["SLICE"]
    assert (list(change.before), list(change.after)) == ([op], part * 2)
    inputs = [GENERATOR.normal(size=canonicalize(in_part).graph.inputs[0].shape).astype("f")]
    assert litert_outputs(spelled, inputs)[0].tobytes() == litert_outputs(in_part, inputs)[0].tobytes()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_neighbours_that_only_change_the_type_have_one_order(order: tuple[int, ...]) -> None:
    """TensorFlow's quantizer puts them, and what they write, in an order that differs from run to run."""
    tensors = [Tensor("x", (6, 2), "int8", 0.5), Tensor("axis", (), "int32", data=np.array(0, np.int32))]
    tensors += [Tensor(f"part {place}", (2, 2), "int8", 0.5) for place in range(3)]
    tensors += [Tensor(f"real {place}", (2, 2), "float32") for place in order]
    split = Op("SPLIT", "SplitOptions", (1, 0), (2, 3, 4), {"numSplits": 3})
    operators = [Op("DEQUANTIZE", "DequantizeOptions", (2 + order[place],), (5 + place,)) for place in range(3)]
    model = flatbuffer(
        Model("m", tensors, [split, *operators], (0,), tuple(5 + order.index(place) for place in range(3)), 0)
    )
    steady = put_in_order(model)
    (main,) = load(steady).subgraphs
    assert [[*operator.inputs, *operator.outputs] for operator in main.operators[1:]] == [[2, 5], [3, 6], [4, 7]]
    assert [main.tensors[place].name for place in main.outputs] == [b"real 0", b"real 1", b"real 2"]
    assert list(main.outputs) == [5, 6, 7]
    assert (steady == model) == (order == (0, 1, 2))


def test_another_spelling_for_the_quantizer_is_proven() -> None:
    one, two = (made(CASES[name]) for name in ("times one", "times two"))
    assert convert._proven({"float_flatbuffer": one}) == 0
    assert convert._proven({"unspelled": one, "float_flatbuffer": one}) == 4
    assert convert._proven({"unspelled": one, "float_flatbuffer": two}) is None
