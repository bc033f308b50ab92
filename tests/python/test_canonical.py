# SPDX-License-Identifier: Apache-2.0
"""The canonical model: smaller, aligned, the same bytes each time, and the same answers."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from support.interpreters import litert_outputs, tflm_outputs
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import ALIGNMENT, load, schema, store
from tflm_build.passes.canonical import canonicalize

if TYPE_CHECKING:
    from pathlib import Path


def conv_model() -> Any:
    """Build by hand, as converters write it, a model with all that canonicalizing removes."""
    weights = np.arange(-27, 27, dtype=np.int8).reshape(2, 3, 3, 3)
    bias = np.array([5, -7], np.int32)
    tensors = [
        tensor(b"serving_default_x:0", schema.TensorType.INT8, [1, 6, 6, 3], 1, [0.5], [3]),
        tensor(b"model/conv/kernel", schema.TensorType.INT8, [2, 3, 3, 3], 2, [0.1, 0.2], [0, 0]),
        tensor(b"model/conv/bias", schema.TensorType.INT32, [2], 3, [0.05, 0.1], [0, 0]),
        tensor(b"model/conv/Relu;model/conv/BiasAdd", schema.TensorType.INT8, [1, 4, 4, 2], 4, [2.0], [-1]),
    ]
    tensors[0].shapeSignature = np.array([-1, 6, 6, 3], np.int32)
    tensors[0].quantization.min, tensors[0].quantization.max = np.array([-1], "f"), np.array([1], "f")
    operator = schema.OperatorT(
        opcodeIndex=0,
        inputs=np.array([0, 1, 2], np.int32),
        outputs=np.array([3], np.int32),
        builtinOptionsType=schema.BuiltinOptions.Conv2DOptions,
        builtinOptions=schema.Conv2DOptionsT(padding=schema.Padding.VALID, strideW=1, strideH=1),
    )
    code = schema.OperatorCodeT(
        deprecatedBuiltinCode=schema.BuiltinOperator.CONV_2D, builtinCode=schema.BuiltinOperator.CONV_2D, version=3
    )
    subgraph = schema.SubGraphT(
        tensors=tensors,
        inputs=np.array([0], np.int32),
        outputs=np.array([3], np.int32),
        operators=[operator],
        name=b"main",
    )
    contents = [b"", b"", weights.tobytes(), bias.tobytes(), b"", b"2.21.0\0\0"]
    return schema.ModelT(
        version=3,
        operatorCodes=[code],
        subgraphs=[subgraph],
        description=b"a description",
        buffers=[schema.BufferT(data=np.frombuffer(content, np.uint8) if content else None) for content in contents],
        metadata=[schema.MetadataT(name=b"min_runtime_version", buffer=5)],
    )


def tensor(name: bytes, kind: int, shape: list[int], buffer: int, scale: list[float], zero_point: list[int]) -> Any:
    parameters = schema.QuantizationParametersT(
        scale=np.array(scale, np.float32), zeroPoint=np.array(zero_point, np.int64)
    )
    return schema.TensorT(
        shape=np.array(shape, np.int32), type=kind, buffer=buffer, name=name, quantization=parameters, hasRank=True
    )


@pytest.fixture(params=["by hand", "hello_world", "cnn"])
def source(request: pytest.FixtureRequest) -> bytes:
    """Return a model that is not canonical yet."""
    if request.param == "by hand":
        return store(conv_model())
    folder: Path = request.getfixturevalue(request.param)
    model = load((folder / f"{request.param}.tflite").read_bytes())
    model.description = b"not canonical"
    for index, entry in enumerate(model.subgraphs[0].tensors):
        entry.name = f"tensor {index}".encode()
    return store(model)


def test_twice_changes_nothing(source: bytes) -> None:
    once = canonicalize(source).flatbuffer
    assert canonicalize(once).flatbuffer == once
    assert len(once) < len(source)


def test_every_buffer_is_aligned(source: bytes) -> None:
    flatbuffer = canonicalize(source).flatbuffer
    model = schema.Model.GetRootAs(flatbuffer, 0)
    places = set()
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            places.add(buffer._tab.Vector(buffer._tab.Offset(4)))  # field 0 of the table is the data
    assert places
    assert all(place % ALIGNMENT == 0 for place in places)


def test_answers_stay_the_same(source: bytes) -> None:
    canonical = canonicalize(source).flatbuffer
    shape = load(source).subgraphs[0].tensors[0].shape
    generator = np.random.default_rng(5)
    for _ in range(20):
        vector = [generator.integers(-128, 128, shape, np.int8)]
        assert np.array_equal(tflm_outputs(source, vector)[0], tflm_outputs(canonical, vector)[0])
        assert np.array_equal(litert_outputs(source, vector)[0], litert_outputs(canonical, vector)[0])


def test_what_only_people_read_is_gone_but_told() -> None:
    canonical = canonicalize(store(conv_model()))
    for word in (b"serving_default", b"model/conv", b"main", b"description", b"min_runtime_version", b"2.21.0"):
        assert word not in canonical.flatbuffer
    assert canonical.layers == (("model/conv/Relu",),)
    assert canonical.inputs == ("serving_default_x:0",)


def test_equal_vectors_are_written_once() -> None:
    model = schema.Model.GetRootAs(canonicalize(store(conv_model())).flatbuffer, 0)
    tables = [model.Subgraphs(0).Tensors(index).Quantization()._tab for index in (1, 2)]
    kernel, bias = (table.Vector(table.Offset(10)) for table in tables)  # field 3 of the table is zero_point
    assert kernel == bias


def test_a_memory_plan_is_kept() -> None:
    model, plan = conv_model(), np.array([1, 0, 4, 0, -1, -1, 112], np.int32)
    model.buffers.append(schema.BufferT(data=plan.view(np.uint8)))
    model.metadata.append(schema.MetadataT(name=b"OfflineMemoryAllocation", buffer=6))
    canonical = load(canonicalize(store(model)).flatbuffer)
    (entry,) = canonical.metadata
    assert entry.name == b"OfflineMemoryAllocation"
    assert canonical.buffers[entry.buffer].data.tobytes() == plan.tobytes()


def test_other_readers_of_the_schema_load_it(source: bytes) -> None:
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as tflm_schema

    canonical = canonicalize(source).flatbuffer
    model = tflm_schema.ModelT.InitFromObj(tflm_schema.Model.GetRootAs(canonical, 0))
    assert len(model.subgraphs[0].operators) == len(load(source).subgraphs[0].operators)


def test_a_free_size_beyond_the_batch_is_refused() -> None:
    model = conv_model()
    model.subgraphs[0].tensors[0].shapeSignature = np.array([-1, -1, 6, 3], np.int32)
    with pytest.raises(TflmBuildError, match=r"input 'serving_default_x:0' has the shape \(-1, -1, 6, 3\); TFLM needs"):
        canonicalize(store(model))


@pytest.mark.parametrize("damage", ["buffer", "opcode", "input", "output", "no subgraph"])
def test_references_to_nowhere_are_refused(damage: str) -> None:
    model = conv_model()
    subgraph = model.subgraphs[0]
    if damage == "buffer":
        subgraph.tensors[1].buffer = 99
    elif damage == "opcode":
        subgraph.operators[0].opcodeIndex = 7
    elif damage == "input":
        subgraph.operators[0].inputs = np.array([0, 1, -5], np.int32)
    elif damage == "output":
        subgraph.outputs = np.array([4], np.int32)
    else:
        model.subgraphs = []
    with pytest.raises(TflmBuildError, match="the source is not a valid TensorFlow Lite model"):
        canonicalize(store(model))
