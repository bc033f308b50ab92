# SPDX-License-Identifier: Apache-2.0
"""Models that are damaged in one known place, or made to harm, are refused for that reason, and at once."""

import struct
import time
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer, schema
from support.mutations import small_models
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import load, store
from tflm_build.passes.canonical import canonicalize
from tflm_build.source.check_flatbuffer import _fields, check_flatbuffer
from tflm_build.source.check_shapes import check_shapes


@pytest.mark.parametrize("model", small_models())
def test_good_models_are_accepted(model: bytes) -> None:
    check_flatbuffer(model)
    check_flatbuffer(store(load(model)))
    check_flatbuffer(model + b"a trailing byte or two do no harm")


def test_every_field_of_every_table_is_read() -> None:
    tables = [table for table in vars(schema).values() if hasattr(table, "GetRootAs")]
    assert len(tables) > 100
    for table in tables:
        assert len(_fields(table)) == len(vars(getattr(schema, f"{table.__name__}T")())), table


def test_variables_and_left_out_inputs_are_accepted() -> None:
    tensors = [Tensor("x", (1, 4), "float32"), Tensor("state", (1, 4), "float32"), Tensor("y", (1, 4), "float32")]
    tree = schema.ModelT.InitFromPackedBuf(
        flatbuffer(Model("m", tensors, [Op("ADD", "AddOptions", (0, 1, -1), (2,))], (0,), (2,), 0))
    )
    tree.subgraphs[0].tensors[1].isVariable = True
    tree.subgraphs[0].tensors.append(schema.TensorT(shape=np.array([0], np.int32), type=schema.TensorType.INT32))
    tree.subgraphs[0].operators[0].inputs = [0, 1, -1, 3]  # an empty constant, as the shape of a scalar
    check_flatbuffer(store(tree))


Change = Callable[[Any], None]


def change(place: str, value: Any) -> Change:
    """Set a field of the small CNN, named by the way to it: `subgraphs.0.tensors.1.shape`."""

    def apply(tree: Any) -> None:
        *way, last = place.split(".")
        for step in way:
            tree = tree[int(step)] if step.isdigit() else getattr(tree, step)
        if last.isdigit():
            tree[int(last)] = value
        else:
            setattr(tree, last, value)

    return apply


def call_itself(tree: Any) -> None:
    """Let two subgraphs call each other."""
    (main,) = tree.subgraphs
    for callee in (1, 0):
        operator = main.operators[0]
        other = schema.OperatorT(opcodeIndex=0, inputs=operator.inputs, outputs=operator.outputs)
        other.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
        other.builtinOptions = schema.CallOnceOptionsT(initSubgraphIndex=callee)
        subgraph = schema.SubGraphT(
            tensors=main.tensors, inputs=main.inputs, outputs=operator.outputs, operators=[other]
        )
        tree.subgraphs.append(subgraph)
    tree.subgraphs[1].operators[0].builtinOptions.initSubgraphIndex = 2
    tree.subgraphs[2].operators[0].builtinOptions.initSubgraphIndex = 1


def call_nothing(tree: Any) -> None:
    tree.subgraphs[0].operators[0].builtinOptionsType = schema.BuiltinOptions.WhileOptions
    tree.subgraphs[0].operators[0].builtinOptions = schema.WhileOptionsT(condSubgraphIndex=0, bodySubgraphIndex=7)


def lay(offset: int, size: int, **fields: Any) -> Change:
    """Say that the data of a buffer lie behind the tables."""

    def apply(tree: Any) -> None:
        vars(tree.buffers[1]).update(offset=offset, size=size, **fields)

    return apply


def swap_operators(tree: Any) -> None:
    operators = tree.subgraphs[0].operators
    operators[0], operators[1] = operators[1], operators[0]


TENSOR = "subgraphs.0.tensors"
OPERATOR = "subgraphs.0.operators"
MEANINGS: dict[str, tuple[Change, str]] = {
    "version": (change("version", 4), "its schema has version 4, and not 3"),
    "no subgraph": (change("subgraphs", []), "has no subgraphs"),
    "builtin operator": (change("operatorCodes.0.builtinCode", 9999), "the builtin operator 9999 is not in the schema"),
    "operator code": (change(f"{OPERATOR}.0.opcodeIndex", 9), "operator 0 names an operator code that does not exist"),
    "tensor type": (change(f"{TENSOR}.3.type", 77), "the tensor 'conv' has the unknown type 77"),
    "negative size": (change(f"{TENSOR}.3.shape", [1, -4, 4, 2]), r"has the shape \[1, -4, 4, 2\]"),
    "rank": (change(f"{TENSOR}.3.shape", [1] * 9), "allowed: up to 8 sizes"),
    "huge activation": (change(f"{TENSOR}.3.shape", [1 << 20, 1 << 20]), "the tensor 'conv' needs 1099511627776 B of"),
    "huge input": (change(f"{TENSOR}.0.shape", [1, 1 << 25]), "an input or output exceeds 16777216 B"),
    "buffer": (change(f"{TENSOR}.1.buffer", 99), "the tensor 'w' names a buffer that does not exist"),
    "constant too short": (change("buffers.1.data", [1, 2, 3]), "the tensor 'w' needs 18 B and has 3"),
    "external buffer": (change(f"{TENSOR}.1.externalBuffer", 5), "the tensor 'w' has its data in another file"),
    "variable constant": (change(f"{TENSOR}.1.isVariable", value=True), "the tensor 'w' is variable and constant"),
    "scales": (change(f"{TENSOR}.1.quantization.scale", [1.0]), "'w' has 1 scales and 2 zero points"),
    "slices": (change(f"{TENSOR}.1.quantization.quantizedDimension", 1), "'w' has 2 scales for 3 slices"),
    "axis": (change(f"{TENSOR}.1.quantization.quantizedDimension", 4), "'w' is quantized along its axis 4"),
    "scale 0": (change(f"{TENSOR}.1.quantization.scale", [1.0, 0.0]), "'w' has a scale that is not positive"),
    "scale NaN": (change(f"{TENSOR}.0.quantization.scale", [float("nan")]), "'x' has a scale that is not positive"),
    "scale infinite": (
        change(f"{TENSOR}.0.quantization.scale", [float("inf")]),
        "'x' has a scale that is not positive",
    ),
    "zero point": (change(f"{TENSOR}.0.quantization.zeroPoint", [128]), "'x' has a zero point outside of -128 to 127"),
    "input": (change(f"{OPERATOR}.0.inputs", [0, 1, -2]), "operator 0 names a tensor that does not exist"),
    "output": (change(f"{OPERATOR}.0.outputs", [-1]), "operator 0 names a tensor that does not exist"),
    "intermediate": (change(f"{OPERATOR}.0.intermediates", [99]), "operator 0 names a tensor that does not exist"),
    "model input": (change("subgraphs.0.inputs", [99]), "a subgraph names a tensor that does not exist"),
    "order": (swap_operators, "operator 0 reads a tensor before it is written"),
    "cycle": (change(f"{OPERATOR}.0.inputs", [3, 1, 2]), "operator 0 reads a tensor before it is written"),
    "written twice": (change(f"{OPERATOR}.1.outputs", [3]), "operator 1 writes a tensor that has a value already"),
    "constant written": (change(f"{OPERATOR}.0.outputs", [1]), "operator 0 writes a tensor that has a value already"),
    "never written": (change("subgraphs.0.operators", []), "an output is never written"),
    "padding": (change(f"{OPERATOR}.0.builtinOptions.padding", 5), "operator 0 has the unknown padding 5"),
    "activation": (
        change(f"{OPERATOR}.0.builtinOptions.fusedActivationFunction", 66),
        "operator 0 has the unknown fusedActivationFunction 66",
    ),
    "stride": (change(f"{OPERATOR}.1.builtinOptions.strideW", 0), "operator 1 has the strideW 0"),
    "data twice": (lay(64, 18), "a buffer has data both in the tables and behind them"),
    "data out of the file": (lay(1 << 40, 18, data=None), "a buffer lies outside of the file"),
    "subgraph that calls itself": (call_itself, "a subgraph calls itself"),
    "subgraph that is not there": (call_nothing, "an operator calls a subgraph that does not exist"),
}


def test_sparse_weights_are_valid_but_not_for_tflm() -> None:
    tree = load(small_models()[1])
    tree.subgraphs[0].tensors[1].sparsity = schema.SparsityParametersT()
    with pytest.raises(
        TflmBuildError, match=r"^the tensor 'w' is sparse, which TFLM cannot read; convert the model with"
    ):
        check_flatbuffer(store(tree))


@pytest.mark.parametrize("case", MEANINGS)
def test_a_model_without_meaning_is_refused(case: str) -> None:
    apply, message = MEANINGS[case]
    tree = schema.ModelT.InitFromPackedBuf(small_models()[1])
    apply(tree)
    builder = flatbuffers.Builder(1024)  # not store(), which knows no buffers outside of the file
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    with pytest.raises(TflmBuildError, match=f"is not a valid TensorFlow Lite model: .*{message}.*; convert it again"):
        check_flatbuffer(bytes(builder.Output()))


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0\0\0\0TFL3", b"\xff" * 100, bytes(100), b"\x08\0\0\0TFL3" * 99])
def test_what_is_no_flatbuffer_is_refused(data: bytes) -> None:
    with pytest.raises(TflmBuildError, match="is not a valid TensorFlow Lite model"):
        check_flatbuffer(data)


def test_every_word_set_to_an_end_of_its_range_is_survived() -> None:
    for model in small_models():
        for place in range(0, len(model), 4):
            for value in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
                damaged = bytearray(model)
                struct.pack_into("<I", damaged, place, value)
                try:
                    check_flatbuffer(bytes(damaged))
                except TflmBuildError:
                    continue
                store(load(bytes(damaged)))


def bomb(tensors: int, *, name: int = 1, subgraphs: int = 1) -> bytes:
    """Let all entries of a vector be the same table."""
    builder = flatbuffers.Builder(1024)
    text = builder.CreateString("x" * name)

    def same(count: int, start: Callable[[Any, int], Any], table: int) -> int:
        start(builder, count)
        for _ in range(count):
            builder.PrependUOffsetTRelative(table)
        return int(builder.EndVector())

    schema.TensorStart(builder)
    schema.TensorAddName(builder, text)
    vector = same(tensors, schema.SubGraphStartTensorsVector, schema.TensorEnd(builder))
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, vector)
    vector = same(subgraphs, schema.ModelStartSubgraphsVector, schema.SubGraphEnd(builder))
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, vector)
    builder.Finish(schema.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(("data", "message"), [
    (bomb(200_000), "it has more than 65,536 tables"),
    (bomb(2000, subgraphs=2000), "it has more than 65,536 tables"),
    (bomb(50_000, name=100_000), "its vectors share more bytes than a model can need"),
], ids=["tables", "nested tables", "strings"])  # fmt: skip
def test_a_small_file_cannot_become_a_large_model(data: bytes, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(TflmBuildError, match=message):
        check_flatbuffer(data)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(("tensor", "shape"), [(3, []), (3, [1, 4, 4, 1]), (7, [1, 8, 0]), (6, [8])])
def test_a_shape_that_an_operator_does_not_give_is_refused(tensor: int, shape: list[int]) -> None:
    for right in map(canonicalize, small_models()):
        assert check_shapes(right) is right
    tree = load(small_models()[1])
    tree.subgraphs[0].tensors[tensor].shape = np.array(shape, np.int32)
    tree.subgraphs[0].tensors[tensor].hasRank = True
    model = store(tree)
    check_flatbuffer(model)
    with pytest.raises(
        TflmBuildError, match=r"has the shape \[.*\], where its operator gives \[1, .*; convert it again"
    ):
        check_shapes(canonicalize(model))


def test_what_litert_does_not_accept_is_left_to_later_stages() -> None:
    tensors = [Tensor("x", (1, 4), "int8", 0.5), Tensor("y", (1,), "int8", 0.5)]
    model = canonicalize(flatbuffer(Model("m", tensors, [Op("MEAN", "ReducerOptions", (0,), (1,))], (0,), (1,), 0)))
    assert check_shapes(model) is model
