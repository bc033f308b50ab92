# SPDX-License-Identifier: Apache-2.0
"""The arena as computed: equal to what TFLM needs, for a model of every op and of every kind."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import ROOT
from support.every_kind import MODELS, svdf, together
from support.every_op import one_operator_models
from support.hand_made import Model, Op, Tensor, flatbuffer, schema
from support.interpreters import Run, read_manifest
from support.vendor_tflm import GEMMLOWP, HEADERS, RENAMED
from tflm_build.arena.layout import HOST, Layout
from tflm_build.arena.replay import compute_arena
from tflm_build.arena.rules import Scratch, kernels, requests
from tflm_build.model import ops
from tflm_build.model.flatbuffer import load, store
from tflm_build.model.types import TYPES
from tflm_build.passes.canonical import canonicalize
from tflm_build.stages import measure as measure_stage
from tflm_build.stages.golden import golden_inputs
from tflm_build.stages.measure import measure

ARM = Layout(4, 1)
ESP32 = Layout(4, 4)


def odd_ones() -> dict[str, bytes]:
    """Make models that the lists of ops and kinds lack: variables by name and in another subgraph, a planned state."""

    def handle(place: int, name: bytes) -> Op:
        return Op("VAR_HANDLE", "VarHandleOptions", (), (place,), {"container": b"", "sharedName": name})

    def assign(variable: int, value: int) -> Op:
        return Op("ASSIGN_VARIABLE", "AssignVariableOptions", (variable, value), ())

    handles = [Tensor(name, (1,), "resource") for name in ("first", "second")]
    tensors = [*handles, *(Tensor(name, (1, 4), "float32") for name in ("x", "a", "b", "y"))]
    use = [
        assign(0, 2),
        assign(1, 2),
        Op("READ_VARIABLE", "ReadVariableOptions", (0,), (3,)),
        Op("READ_VARIABLE", "ReadVariableOptions", (1,), (4,)),
        Op("ADD", "AddOptions", (3, 4), (5,)),
    ]
    call = Op("CALL_ONCE", "CallOnceOptions", (), (), {"initSubgraphIndex": 1})
    zeros = Tensor("zeros", (1, 4), "float32", data=np.zeros((1, 4), np.float32))
    once = Model("once", [*handles, zeros], [handle(0, b"p"), handle(1, b"q"), assign(0, 2), assign(1, 2)], (), (), 0)
    models = {
        "two variables": flatbuffer(Model("m", tensors, [handle(0, b"a"), handle(1, b"b"), *use], (2,), (5,), 0)),
        "one variable twice": flatbuffer(Model("m", tensors, [handle(0, b"a"), handle(1, b"a"), *use], (2,), (5,), 0)),
        "variables elsewhere": together(
            Model("m", tensors, [call, handle(0, b"a"), handle(1, b"b"), *use], (2,), (5,), 0), once
        ),
    }
    tree = load(svdf())
    plan = np.array([1, 0, 6, -1, -1, -1, -1, 64, -1], np.int32)
    tree.buffers.append(schema.BufferT(data=plan.view(np.uint8)))
    tree.metadata = [schema.MetadataT(name=b"OfflineMemoryAllocation", buffer=len(tree.buffers) - 1)]
    return models | {"planned state": bytes(store(tree))}


def test_every_kernel_of_tflm_has_a_rule() -> None:
    assert not set(kernels()) - set(ops.kernels())
    assert not {op for op in set(ops.kernels()) - set(kernels()) if hasattr(schema.BuiltinOperator, op)}


def test_computed_is_what_tflm_needs(tmp_path: Path) -> None:
    """In as much as was computed each model works, in 16 bytes less than TFLM's checks demand it does not."""
    sources = one_operator_models() | {name: make() for name, make in MODELS.items()} | odd_ones()
    sizes = {}
    for number, (name, source) in enumerate(sources.items()):
        model = canonicalize(source)
        arena = compute_arena(model, HOST)
        if arena.bytes is None:
            assert name == "custom op", (name, arena.unknown)
            continue
        inputs = [np.ones(tensor.shape, TYPES[tensor.type].dtype) for tensor in model.graph.inputs]
        arrays: dict[str, Any] = {f"input{index}": value for index, value in enumerate(inputs)}
        path = tmp_path / f"{number}.npz"
        sizes[path] = (name, arena)
        tried = [arena.bytes, arena.floor - 16]
        np.savez(path, flatbuffer=np.frombuffer(model.flatbuffer, np.uint8), sizes=tried, **arrays)
    command: list[str | Path] = [sys.executable, ROOT / "tests" / "support" / "try_arenas.py", *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    wrong = {
        name: answer
        for (name, arena), answer in zip(sizes.values(), answers, strict=True)
        if answer != str(arena.bytes)
    }
    assert not wrong
    apart = {name for name, arena in sizes.values() if arena.floor < (arena.bytes or 0)}
    assert len(apart) < len(sizes) / 10, apart


STRUCTURES = {
    "SingleArenaBufferAllocator": "SingleArenaBufferAllocator", "GreedyMemoryPlanner": "GreedyMemoryPlanner",
    "MicroAllocator": "MicroAllocator", "SubgraphAllocations": "SubgraphAllocations", "EvalTensor": "TfLiteEvalTensor",
    "AffineQuantization": "TfLiteAffineQuantization", "ScratchRequest": "internal::ScratchBufferRequest",
    "ScratchHandle": "ScratchBufferHandle", "AllocationInfo": "AllocationInfo", "AddParams": "TfLiteAddParams",
    "ArgParams": "TfLiteArgMaxParams", "BatchMatMulParams": "TfLiteBatchMatMulParams", "CastParams": "TfLiteCastParams",
    "CallOnceParams": "TfLiteCallOnceParams", "ConcatenationParams": "TfLiteConcatenationParams",
    "ConvParams": "TfLiteConvParams", "DepthwiseConvParams": "TfLiteDepthwiseConvParams",
    "LstmParams": "TfLiteUnidirectionalSequenceLSTMParams", "MirrorPadParams": "TfLiteMirrorPaddingParams",
    "PoolParams": "TfLitePoolParams", "ReshapeParams": "TfLiteReshapeParams", "ShapeParams": "TfLiteShapeParams",
    "StridedSliceParams": "TfLiteStridedSliceParams", "SvdfParams": "TfLiteSVDFParams",
    "TransposeConvParams": "TfLiteTransposeConvParams", "VarHandleParams": "TfLiteVarHandleParams",
    "AddData": "OpDataAdd", "ConvData": "OpDataConv", "DequantizeData": "DequantizeOpData",
    "LeakyReluData": "LeakyReluOpData", "LogisticData": "OpDataLogistic", "MulData": "OpDataMul",
    "PoolData": "OpDataPooling", "QuantizeData": "OpDataQuantizeReference", "SoftmaxData": "SoftmaxParams",
    "SubData": "OpDataSub", "SvdfData": "OpDataSvdf",
}  # fmt: skip
INCLUDED = (
    "arena_allocator/single_arena_buffer_allocator memory_planner/greedy_memory_planner micro_allocator "
    "micro_allocation_info kernels/add kernels/conv kernels/dequantize kernels/leaky_relu kernels/logistic kernels/mul "
    "kernels/pooling kernels/quantize kernels/sub kernels/svdf"
)


@pytest.mark.parametrize(
    ("layout", "compiler"),
    [
        (ARM, ["arm-none-eabi-g++", "-mcpu=cortex-m4"]),
        (ESP32, ["arm-none-eabi-g++", "-mcpu=cortex-m4", "-fno-short-enums"]),
    ],
)
def test_sizes_are_those_that_a_compiler_gives_the_structures(
    tmp_path: Path, layout: Layout, compiler: list[str]
) -> None:
    """What the vendor's headers declare; its other structures are of an older TFLM."""
    lines = [f'#include "tensorflow/lite/micro/{header}.h"' for header in INCLUDED.split()]
    lines.append("using namespace tflite;")
    for structure, name in STRUCTURES.items():
        size = layout.size(structure)
        lines.append(f"static_assert(sizeof({name}) == {size.bytes} && alignof({name}) == {size.alignment});")
    source = tmp_path / "sizes.cc"
    source.write_text("\n".join(lines) + "\n")
    command: list[str | Path] = [
        *compiler,
        "-std=c++17",
        "-fsyntax-only",
        RENAMED,
        "-isystem",
        HEADERS,
        "-isystem",
        GEMMLOWP,
        source,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("wrong", [-16, 48])
def test_what_is_computed_wrongly_is_measured(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    model = canonicalize(MODELS["cnn"]())
    golden = golden_inputs(model.graph.inputs, None)
    right = measure(model, golden)
    assert right.smallest_arena == right.computed.bytes
    assert not right.disagrees
    assert right.basis == ""
    claimed = replace(right.computed, bytes=right.smallest_arena + wrong, floor=right.smallest_arena + wrong)
    monkeypatch.setattr(measure_stage, "compute_arena", lambda _model, _layout: claimed)
    measured = measure(model, golden)
    assert measured.smallest_arena == right.smallest_arena
    assert measured.outputs[0].tobytes() == right.outputs[0].tobytes()
    assert measured.disagrees
    assert measured.basis == f"measured on the host, where {claimed.bytes:,} B were computed"


def test_an_op_without_a_rule_is_named(tflm_build: Run, tmp_path: Path) -> None:
    source = tmp_path / "custom.tflite"
    source.write_bytes(MODELS["custom op"]())
    result = tflm_build("convert", "--name", "m", "--src", source, "--out-dir", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "; measured on the host, not computed for SignalFftAutoScale\n" in result.stdout
    arena = read_manifest(tmp_path / "out")["arena"]
    assert arena["computed"] is None
    assert arena["smallest"] > 0


def test_models_that_tflm_refuses_are_not_computed() -> None:
    circle = Op("CALL_ONCE", "CallOnceOptions", (), (), {"initSubgraphIndex": 0})
    x = Tensor("x", (1, 4), "float32")
    y = Tensor("y", (1, 4), "float32")
    square = Op("SQUARE", "SquareOptions", (0,), (1,))
    model = canonicalize(flatbuffer(Model("m", [x, y], [circle, square], (0,), (1,), 0)))
    assert compute_arena(model, HOST).bytes is None
    lonely = Op("CONV_2D", "Conv2DOptions", (0,), (1,), {})
    model = canonicalize(flatbuffer(Model("m", [x, y], [lonely], (0,), (1,), 0)))
    assert compute_arena(model, HOST).unknown == ("operators that TFLM refuses",)


DSP, MVE, PLAIN = (frozenset({"cmsis-nn", extension}) for extension in ("dsp", "mve", "plain"))
S3, P4 = (frozenset({"esp-nn", extension}) for extension in ("esp32s3", "esp32p4"))
IMAGE = (1, 25, 5, 64)


@pytest.mark.parametrize(
    ("built_with", "op", "shapes", "stride", "scratch"),
    [
        # Four rows of im2col for DSP, of which two hold 16 bits; with MVE, each filled up to 16.
        (DSP, "CONV_2D", [(1, 49, 10, 1), (64, 10, 4, 1), IMAGE], 2, 4 * 40),
        (PLAIN, "CONV_2D", [(1, 49, 10, 1), (64, 10, 4, 1), IMAGE], 2, 4 * 40),
        (MVE, "CONV_2D", [(1, 49, 10, 1), (64, 10, 4, 1), IMAGE], 2, 4 * 48),
        (MVE, "CONV_2D", [IMAGE, (64, 1, 1, 64), IMAGE], 1, None),
        (PLAIN, "CONV_2D", [IMAGE, (64, 1, 1, 64), IMAGE], 1, None),
        (DSP, "CONV_2D", [IMAGE, (64, 1, 1, 64), IMAGE], 1, 4 * 64),  # as Arm's own compiler has it
        (MVE, "DEPTHWISE_CONV_2D", [IMAGE, (1, 3, 3, 64), IMAGE], 1, 4 * 124 * 9),
        (DSP, "DEPTHWISE_CONV_2D", [IMAGE, (1, 3, 3, 64), IMAGE], 1, None),
        (DSP, "DEPTHWISE_CONV_2D", [IMAGE, (1, 5, 5, 64), IMAGE], 1, 2 * 25 * 64),
        (PLAIN, "DEPTHWISE_CONV_2D", [IMAGE, (1, 5, 5, 64), IMAGE], 1, None),
        (MVE, "DEPTHWISE_CONV_2D", [(1, 9, 9, 1), (1, 3, 3, 8), (1, 9, 9, 8)], 1, 4 * 16 + 72),
        # Sums, then the filter in rows of 16, then a column; filter and eight positions; filter and padded input.
        (S3, "CONV_2D", [(1, 49, 10, 1), (64, 10, 4, 1), IMAGE], 2, 256 + 16 + 64 * 48 + 16 + 48 + 32),
        (S3, "CONV_2D", [IMAGE, (64, 1, 1, 64), IMAGE], 1, 4096 + 16 * 64 + 32),
        (S3, "DEPTHWISE_CONV_2D", [IMAGE, (1, 3, 3, 64), IMAGE], 1, 576 + 27 * 7 * 64 + 16),
        (P4, "CONV_2D", [IMAGE, (64, 1, 1, 64), IMAGE], 1, 4096 + 16 * 64 + 32),
        (P4, "CONV_2D", [IMAGE, (64, 3, 3, 64), IMAGE], 1, 256 + 576 + 32),
        (P4, "DEPTHWISE_CONV_2D", [IMAGE, (1, 3, 3, 64), IMAGE], 1, None),
    ],
)
def test_scratch_of_optimized_kernels(
    built_with: frozenset[str], op: str, shapes: list[tuple[int, ...]], stride: int, scratch: int | None
) -> None:
    """Worked out by hand from what the libraries' functions say of these shapes."""
    assert scratch_of("int8", built_with, op, shapes, stride) == ([] if scratch is None else [scratch])


@pytest.mark.parametrize(
    ("built_with", "op", "weights", "scratch"),
    [
        # Unpacked; packed, in columns of 16 bits; unpacked, and what ESP-NN's own kernel asks for besides.
        (frozenset(), "CONV_2D", (64, 3, 3, 64), [9 * 64 * 64]),
        (PLAIN, "CONV_2D", (64, 3, 3, 64), [4 * 9 * 64]),
        (MVE, "CONV_2D", (64, 1, 1, 64), []),
        (PLAIN, "DEPTHWISE_CONV_2D", (1, 5, 5, 64), [2 * 25 * 64]),
        (MVE, "DEPTHWISE_CONV_2D", (1, 3, 3, 64), [4 * 124 * 9]),
        (P4, "DEPTHWISE_CONV_2D", (1, 3, 3, 64), [9 * 64]),
        (P4, "CONV_2D", (64, 1, 1, 64), [64 * 64, 4096 + 16 * 64 + 32]),
    ],
)
def test_scratch_of_kernels_for_weights_of_four_bits(
    built_with: frozenset[str], op: str, weights: tuple[int, ...], scratch: list[int]
) -> None:
    assert scratch_of("int4", built_with, op, [IMAGE, weights, IMAGE], 1) == scratch


def scratch_of(
    weight_type: str, built_with: frozenset[str], op: str, shapes: list[tuple[int, ...]], stride: int
) -> list[int]:
    """Return what a convolution of int8 asks for."""
    given, weights, output = shapes
    packed = np.ones(int(np.prod(weights)) // (2 if weight_type == "int4" else 1), np.int8)
    tensors = [
        Tensor("x", given, "int8", 0.5),
        Tensor("w", weights, weight_type, 0.5, data=packed),
        Tensor("y", output, "int8", 0.5),
    ]
    settings = {"padding": 0, "strideH": stride, "strideW": stride, "dilationHFactor": 1, "dilationWFactor": 1}
    options = "Conv2DOptions" if op == "CONV_2D" else "DepthwiseConv2DOptions"
    model = canonicalize(flatbuffer(Model("m", tensors, [Op(op, options, (0, 1), (2,), settings)], (0,), (2,), 0)))
    return [
        request.bytes
        for request in requests(model.graph.operators[0], Layout(4, 1, built_with))
        if isinstance(request, Scratch)
    ]
