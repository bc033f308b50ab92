# SPDX-License-Identifier: Apache-2.0
"""What is computed here where LiteRT cannot be compared with equals TFLM, element by element, on random layers."""

from typing import Any

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer, schema
from support.interpreters import Array, litert_outputs, tflm_outputs
from tflm_build.model.flatbuffer import load, store
from tflm_build.model.fully_connected import read_fully_connected
from tflm_build.model.graph import Operator
from tflm_build.model.reciprocal_root import read_reciprocal_root
from tflm_build.model.svdf import read_svdf
from tflm_build.passes.canonical import canonicalize

ROWS = 500
SETTINGS: dict[str, Any] = {"weightsFormat": 0, "keepNumDims": False}


def draw(generator: np.random.RandomState, dtype: str, *shape: int) -> Array:
    limits = np.iinfo(dtype)
    return generator.randint(limits.min, limits.max + 1, shape).astype(dtype)


def dense(generator: np.random.RandomState, dtype: str, bias: str | None, activation: int, share: float) -> bytes:
    """Make a layer whose outputs fill a share of their range, and more where that is over 1."""
    inputs, outputs = int(generator.randint(3, 60)), 32
    scale = float(np.float32(generator.uniform(0.01, 0.03) / (256 if dtype == "int16" else 1)))
    zeros = [int(zero) if dtype == "int8" else 0 for zero in generator.randint(-100, 100, 2)]
    limit = np.iinfo(dtype).max
    output = float(np.float32(scale * 0.005 * 60 * limit * inputs**0.5 / limit / share))
    tensors = [
        Tensor("x", (ROWS, inputs), dtype, scale, zeros[0]),
        Tensor("w", (outputs, inputs), "int8", 0.005, 0, draw(generator, "int8", outputs, inputs)),
        Tensor("y", (ROWS, outputs), dtype, output, zeros[1]),
    ]
    places: tuple[int, ...] = (0, 1, -1)
    if bias is not None:
        tensors.append(
            Tensor("b", (outputs,), bias, scale * 0.005, 0, generator.randint(-999, 999, outputs).astype(bias))
        )
        places = (0, 1, 3)
    op = Op(
        "FULLY_CONNECTED", "FullyConnectedOptions", places, (2,), SETTINGS | {"fusedActivationFunction": activation}
    )
    return flatbuffer(Model("dense", tensors, [op], (0,), (2,), 0))


def first_operator(model: bytes) -> Operator:
    return canonicalize(model).graph.operators[0]


@pytest.mark.parametrize("activation", [0, 1, 3], ids=["plain", "relu", "relu6"])
@pytest.mark.parametrize(
    ("dtype", "bias"), [("int8", "int32"), ("int8", None), ("int16", "int64"), ("int16", "int32"), ("int16", None)]
)
def test_dense_layers_equal_tflm(dtype: str, bias: str | None, activation: int) -> None:
    generator = np.random.RandomState(0)
    for share in (0.3, 1.5):
        model = dense(generator, dtype, bias, activation, share)
        layer = read_fully_connected(first_operator(model))
        assert layer is not None
        elements = draw(generator, dtype, ROWS, layer.weights.shape[1])
        (answer,) = tflm_outputs(model, [elements])
        assert len(np.unique(answer)) > 20
        np.testing.assert_array_equal(layer.answer(elements)[:, 0], answer)


@pytest.mark.parametrize(("dtype", "bias"), [("int8", "int32"), ("int16", "int64")])
def test_litert_rounds_dense_layers_otherwise(dtype: str, bias: str) -> None:
    """Say why LiteRT is not the reference: when it begins to round alike, our own arithmetic can go."""
    generator = np.random.RandomState(0)
    away = []
    for _ in range(20):
        model = dense(generator, dtype, bias, 0, 0.5)
        elements = draw(generator, dtype, ROWS, first_operator(model).reads[1].shape[1])
        (mine,), (theirs,) = tflm_outputs(model, [elements]), litert_outputs(model, [elements])
        away.append(np.abs(mine.astype(int) - theirs.astype(int)).max())
    assert max(away) == 1


def test_int4_weights_equal_tflm() -> None:
    generator = np.random.RandomState(0)
    packed = draw(generator, "int8", 8, 16)
    tensors = [
        Tensor("x", (ROWS, 32), "int8", 0.02, 3),
        Tensor("w", (8, 32), "int4", 0.05, 0, packed),
        Tensor("y", (ROWS, 8), "int8", 0.08, -7),
        Tensor("b", (8,), "int32", 0.001, 0, np.arange(8, dtype=np.int32) * 100),
    ]
    settings = SETTINGS | {"fusedActivationFunction": 0}
    op = Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 3), (2,), settings)
    model = flatbuffer(Model("dense", tensors, [op], (0,), (2,), 0))
    layer = read_fully_connected(first_operator(model))
    assert layer is not None
    elements = draw(generator, "int8", ROWS, 32)
    np.testing.assert_array_equal(layer.answer(elements)[:, 0], tflm_outputs(model, [elements])[0])


@pytest.mark.parametrize("options", ["SoftmaxOptions", "AddOptions", ""])
def test_a_dense_layer_with_options_of_another_op_equals_tflm(options: str) -> None:
    """TFLM takes its defaults there: no activation function."""
    generator = np.random.RandomState(0)
    tree = load(dense(generator, "int8", "int32", 0, 1.5))
    (operator,) = tree.subgraphs[0].operators
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, options or "NONE")
    operator.builtinOptions = getattr(schema, f"{options}T")() if options else None
    model = store(tree)
    layer = read_fully_connected(first_operator(model))
    assert layer is not None
    elements = draw(generator, "int8", ROWS, layer.weights.shape[1])
    np.testing.assert_array_equal(layer.answer(elements)[:, 0], tflm_outputs(model, [elements])[0])


def test_a_dense_layer_whose_input_is_no_whole_number_of_rows_is_left_to_litert() -> None:
    tree = load(dense(np.random.RandomState(0), "int8", "int32", 0, 1.5))
    tree.subgraphs[0].tensors[0].shape = [1, int(tree.subgraphs[0].tensors[1].shape[1]) * 2 + 1]
    assert read_fully_connected(first_operator(store(tree))) is None


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_dense_layer_without_a_scale_is_left_to_litert(place: int) -> None:
    tree = load(dense(np.random.RandomState(0), "int8", "int32", 0, 1.5))
    tree.subgraphs[0].tensors[place].quantization = None
    assert read_fully_connected(first_operator(store(tree))) is None


def svdf(state: str, generator: np.random.RandomState, step: float = 0.5) -> bytes:
    """Make a layer of 8 outputs of 2 filters each, which remember 5 steps of 6 features."""
    time = "int8" if state == "int8" else "int16"
    tensors = [
        Tensor("x", (1, 6), "int8", 0.02, 4),
        Tensor("features", (16, 6), "int8", 0.01, 0, draw(generator, "int8", 16, 6)),
        Tensor("time", (16, 5), time, 0.01, 0, draw(generator, "int8", 16, 5).astype(time)),
        Tensor("bias", (8,), "int32", step * 0.01, 0, generator.randint(-999, 999, 8).astype(np.int32)),
        Tensor("state", (1, 80), state, step, -9 if state == "int8" else 0, variable=True),
        Tensor("y", (1, 8), "int8", 0.1, -20),
    ]
    op = Op("SVDF", "SVDFOptions", (0, 1, 2, 3, 4), (5,), {"rank": 2, "fusedActivationFunction": 0})
    return flatbuffer(Model("svdf", tensors, [op], (0,), (5,), 0))


@pytest.mark.parametrize(("state", "step", "right"), [
    ("int8", 0.5, True), ("int8", 0.05, False), ("int16", 0.01, True), ("int16", 0.00004, True),
], ids=["in range", "past it", "int16 in range", "int16 past it"])  # fmt: skip
def test_svdf_equals_tflm(state: str, step: float, *, right: bool) -> None:
    """Where a state of int8 saturates, TFLM wraps around instead, so that it is TFLM that has to differ there."""
    from tflite_micro import runtime

    generator = np.random.RandomState(0)
    model = svdf(state, generator, step)
    layer = read_svdf(first_operator(model))
    assert layer is not None
    vectors = draw(generator, "int8", 40, 1, 6)
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    answers = []
    for vector in vectors:  # the state goes on from one to the next
        interpreter.set_input(vector, 0)
        interpreter.invoke()
        answers.append(np.array(interpreter.get_output(0))[0])
    assert len(np.unique(answers)) > 20
    assert np.array_equal(layer.answer(vectors), np.stack(answers)) == right


@pytest.mark.parametrize("place", [0, 1, 2, 4, 5])
def test_svdf_without_a_scale_or_options_is_left_to_litert(place: int) -> None:
    tree = load(svdf("int8", np.random.RandomState(0)))
    tree.subgraphs[0].tensors[place].quantization = None
    assert read_svdf(first_operator(store(tree))) is None
    tree = load(svdf("int8", np.random.RandomState(0)))
    tree.subgraphs[0].operators[0].builtinOptions = None
    assert read_svdf(first_operator(store(tree))) is None


def test_reciprocal_roots_are_at_most_three_steps_from_tflm() -> None:
    generator, differences = np.random.RandomState(0), []
    for first in generator.randint(1, 30000, 10):
        elements = np.append(0, np.unique(generator.randint(first, 1 << 15, 2000)))[None].astype(np.int16)
        scale = float(np.float32(10 ** generator.uniform(-6, -1)))
        target = float(np.float32((scale * elements[0, 1]) ** -0.5 / 32767))
        tensors = [Tensor("x", elements.shape, "int16", scale), Tensor("y", elements.shape, "int16", target)]
        model = flatbuffer(Model("rsqrt", tensors, [Op("RSQRT", "", (0,), (1,))], (0,), (1,), 0))
        layer = read_reciprocal_root(first_operator(model))
        assert layer is not None
        differences.append(np.abs(layer.answer(elements) - tflm_outputs(model, [elements])[0]).max())
    assert 1 < max(differences) <= 3
