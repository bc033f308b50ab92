# SPDX-License-Identifier: Apache-2.0
"""What other writers of flatbuffers do otherwise is put right, said, and changes no answer; nothing else is touched."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import litert_outputs, tflm_outputs
from tflm_build.model.flatbuffer import load, schema, store, unpack
from tflm_build.passes.canonical import canonicalize
from tflm_build.source.check_flatbuffer import check_flatbuffer
from tflm_build.source.check_shapes import check_shapes

WEIGHTS = np.arange(-18, 18, dtype=np.int8).reshape(2, 3, 3, 2)


def conv() -> Any:
    """Unpack a convolution with a scale a channel, as a converter writes it."""
    tensors = [
        Tensor("x", (1, 4, 4, 2), "int8", 0.5, 3),
        Tensor("w", (2, 3, 3, 2), "int8", 0.1, 0, WEIGHTS),
        Tensor("b", (2,), "int32", 0.05, 0, np.array([5, -7], np.int32)),
        Tensor("y", (1, 2, 2, 2), "int8", 2.0, -1),
    ]
    settings = {"padding": schema.Padding.VALID, "strideW": 1, "strideH": 1}
    tree = load(
        flatbuffer(Model("m", tensors, [Op("CONV_2D", "Conv2DOptions", (0, 1, 2), (3,), settings)], (0,), (3,), 0))
    )
    for place, scale in ((1, 0.1), (2, 0.05)):
        tree.subgraphs[0].tensors[place].quantization.scale = np.array([scale, 2 * scale], np.float32)
        tree.subgraphs[0].tensors[place].quantization.zeroPoint = np.zeros(2, np.int64)
    main = tree.subgraphs[0]
    entry = schema.TensorMapT(name="in", tensorIndex=0)
    signature = schema.SignatureDefT(inputs=[entry], signatureKey="serve", subgraphIndex=0)
    main.name, tree.signatureDefs = "main", [signature]
    return tree


def pack(tree: Any) -> bytes:
    """Pack as it is: `store` would put it right."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def lay_behind(tree: Any) -> bytes:
    """Put the weights behind the tables, as LiteRT does in large files."""
    tree.buffers[1].data, tree.buffers[1].offset, tree.buffers[1].size = None, 1 << 20, WEIGHTS.nbytes
    tables = len(pack(tree))
    tree.buffers[1].offset = tables
    return pack(tree) + WEIGHTS.tobytes()


def quantization(tensor: int, **fields: Any) -> Callable[[Any], bytes]:
    """Change how a tensor is quantized."""

    def write(tree: Any) -> bytes:
        vars(tree.subgraphs[0].tensors[tensor].quantization).update(fields)
        return pack(tree)

    return write


def sign_wrongly(tree: Any) -> bytes:
    tree.signatureDefs[0].inputs[0].tensorIndex = 99
    tree.signatureDefs.append(schema.SignatureDefT(subgraphIndex=7))
    return pack(tree)


def describe_nothing(tree: Any) -> bytes:
    tree.metadata = [schema.MetadataT(name="TFLITE_METADATA", buffer=99)]
    return pack(tree)


def plan_another(tree: Any) -> bytes:
    words = np.array([1, 0, 9, *[0] * 9], "<i4").view(np.uint8)
    tree.metadata = [schema.MetadataT(name="OfflineMemoryAllocation", buffer=len(tree.buffers))]
    tree.buffers.append(schema.BufferT(data=words))
    return pack(tree)


def leave_no_names(tree: Any) -> bytes:
    """Leave out what only people read."""
    for tensor in tree.subgraphs[0].tensors:
        tensor.name = None
    tree.subgraphs[0].name = tree.signatureDefs = tree.description = None
    return pack(tree)


FAULTS = {
    "data behind the tables": (lay_behind, "1 buffers lay behind the tables"),
    "axis of a vector": (quantization(2, quantizedDimension=3), "1 tensors were quantized along an axis"),
    "axis of one scale": (quantization(0, quantizedDimension=-1), "1 tensors were quantized along an axis"),
    "no zero points": (quantization(1, zeroPoint=None), "1 tensors had fewer zero points than scales"),
    "one zero point": (quantization(1, zeroPoint=np.zeros(1, np.int64)), "1 tensors had fewer zero points"),
    "signatures": (sign_wrongly, "2 signatures named a subgraph or tensor that does not exist"),
    "metadata": (describe_nothing, "1 entries of metadata named a buffer that does not exist"),
    "memory plan": (plan_another, "the memory plan is not one of the model's tensors"),
    "no names": (leave_no_names, ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_with_one_meaning_is_put_right_and_said(fault: str) -> None:
    write, said = FAULTS[fault]
    source = write(conv())
    check_flatbuffer(source)
    right, repaired = canonicalize(pack(conv())), canonicalize(source)
    assert not right.repairs
    assert [sentence.startswith(said) for sentence in repaired.repairs] == [True] * bool(said)
    assert repaired.flatbuffer == right.flatbuffer
    assert not canonicalize(repaired.flatbuffer).repairs
    vector = [np.random.default_rng(1).integers(-128, 128, (1, 4, 4, 2), np.int8)]
    assert np.array_equal(tflm_outputs(repaired.flatbuffer, vector)[0], litert_outputs(pack(conv()), vector)[0])


def test_a_dense_layer_of_4_bits_and_a_scale_for_each_output() -> None:
    """What ai-edge-quantizer makes, TFLM cannot run: the same weights in 8 bits answer the same."""
    weights = np.random.default_rng(2).integers(-8, 8, (3, 6)).astype(np.int8)
    models = {}
    for kind, data in (("int8", weights), ("int4", weights[:, ::2] & 15 | weights[:, 1::2] << 4)):
        tensors = [
            Tensor("x", (1, 6), "int8", 0.5),
            Tensor("w", (3, 6), kind, (0.1, 0.2, 0.4), 0, data.astype(np.int8)),
            Tensor("y", (1, 3), "int8", 2.0, -1),
        ]
        dense = Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, -1), (2,))
        models[kind] = flatbuffer(Model("m", tensors, [dense], (0,), (2,), 0))
    check_flatbuffer(models["int4"])
    repaired = canonicalize(models["int4"])
    (sentence,) = repaired.repairs
    assert sentence.startswith("1 dense layers had weights of 4 bits with a scale for each output")
    assert repaired.flatbuffer == canonicalize(models["int8"]).flatbuffer
    vector = [np.arange(-60, 60, 20, dtype=np.int8)[None]]
    assert np.array_equal(tflm_outputs(repaired.flatbuffer, vector)[0], litert_outputs(models["int4"], vector)[0])


def test_numbers_of_eight_bytes_may_lie_at_multiples_of_four() -> None:
    right = pack(conv())
    canonical = canonicalize(right)
    assert not canonical.repairs
    # A file whose tables all lie four bytes further: the first word is the offset of the root.
    root = struct.unpack_from("<I", right)[0]
    moved = struct.pack("<I", root + 4) + right[4:8] + bytes(4) + right[8:]
    check_flatbuffer(moved)
    repaired = canonicalize(moved)
    (sentence,) = repaired.repairs
    assert "lay at no multiple of 8 bytes, which small cores fault on" in sentence
    assert repaired.flatbuffer == canonical.flatbuffer


def test_a_tensor_without_shape_gets_that_of_its_operator() -> None:
    tree = conv()
    tree.subgraphs[0].tensors[3].shape, tree.subgraphs[0].tensors[3].hasRank = None, False
    source = store(tree)
    check_flatbuffer(source)
    repaired = check_shapes(canonicalize(source))
    (sentence,) = repaired.repairs
    assert sentence.startswith("1 tensors had no shape")
    assert repaired.flatbuffer == canonicalize(pack(conv())).flatbuffer
    assert repaired.graph.outputs[0].shape == (1, 2, 2, 2)


def test_tensors_that_nothing_names_are_dropped_and_a_memory_plan_follows() -> None:
    tree, right = conv(), canonicalize(pack(conv()))
    main = tree.subgraphs[0]
    main.tensors[1:1] = [schema.TensorT(shape=[64], type=schema.TensorType.FLOAT32, name="nobody's")] * 2
    main.outputs, main.operators[0].inputs, main.operators[0].outputs = [5], [0, 3, 4], [5]
    assert canonicalize(pack(tree)).flatbuffer == right.flatbuffer
    assert canonicalize(pack(tree)).tensors == (("x", "w", "b", "y"),)
    plan = np.array([1, 0, 6, 0, 512, 768, -1, -1, 32], "<i4")
    tree.metadata = [schema.MetadataT(name="OfflineMemoryAllocation", buffer=len(tree.buffers))]
    tree.buffers.append(schema.BufferT(data=plan.view(np.uint8)))
    planned = canonicalize(pack(tree))
    assert not planned.repairs
    (entry,) = planned.tree.metadata
    words = np.frombuffer(bytes(planned.tree.buffers[entry.buffer].data), "<i4")
    assert words.tolist() == [1, 0, 4, 0, -1, -1, 32]
    vector = [np.full((1, 4, 4, 2), 9, np.int8)]
    assert np.array_equal(tflm_outputs(planned.flatbuffer, vector)[0], tflm_outputs(right.flatbuffer, vector)[0])


def test_tensors_that_nothing_names_are_not_even_unpacked() -> None:
    tree, right = conv(), canonicalize(pack(conv()))
    tree.subgraphs[0].tensors += [schema.TensorT(shape=[64], name="nobody's")] * 500
    source = pack(tree)
    check_flatbuffer(source)
    assert unpack(source).subgraphs[0].tensors[4:] == [None] * 500
    assert canonicalize(source).flatbuffer == right.flatbuffer


def compressed(mode: str) -> tuple[bytes, bytes]:
    """Let the wheel's own compressor replace weights of four values by tables and indices; return the plain one too."""
    from tflite_micro.tensorflow.lite.micro.compression import compress, spec

    tree = conv()
    weights = np.array([-100, -50, 0, 70], np.int8)[np.random.default_rng(2).integers(0, 4, WEIGHTS.shape)]
    tree.buffers[1].data = weights.view(np.uint8).reshape(-1)
    tables = spec.PerChannel(axis=0) if mode == "channel" else spec.PerTensor()
    method = spec.LookUpTableCompression(index_bitwidth=2, mode=tables)
    plain = store(tree)
    return bytes(compress(plain, [spec.Tensor(subgraph=0, tensor=1, compression=[method])])), plain


def test_what_upstream_compressed_gives_the_same_answers() -> None:
    source, plain = compressed("channel")
    check_flatbuffer(source)
    repaired = check_shapes(canonicalize(source))
    (sentence,) = repaired.repairs
    assert sentence.startswith("1 compressed tensors had the quantization of what they unpack to")
    assert [operator.op for operator in repaired.graph.operators] == ["TFLM_DECODE", "CONV_2D"]
    for seed in range(5):
        vector = [np.random.default_rng(seed).integers(-128, 128, (1, 4, 4, 2), np.int8)]
        assert np.array_equal(tflm_outputs(repaired.flatbuffer, vector)[0], tflm_outputs(plain, vector)[0])


@pytest.mark.parametrize("mode", ["channel", "tensor"])
def test_what_is_unpacked_is_compared_with_our_own(mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TFLM takes a table for each scale of the weights, also where there is but one: that is not certified."""
    from tflm_build.tasks import compare_layers

    monkeypatch.chdir(tmp_path)
    request = {"flatbuffer": canonicalize(compressed(mode)[0]).flatbuffer, "inputs": [np.zeros((2, 1, 4, 4, 2), "i1")]}
    reference, difference, *_ = compare_layers.run(request)["layers"]
    assert reference[0] == 2
    assert (difference[0] == 0) == (mode == "channel")
