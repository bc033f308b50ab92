# SPDX-License-Identifier: Apache-2.0
"""Each layer is compared on equal inputs; what cannot be compared is named, and what reads stale memory is refused."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import HELLO_WORLD, Run, read_manifest
from tflm_build.tasks import compare_layers


@pytest.fixture
def convert(tmp_path: Path, tflm_build: Run) -> Any:
    """Compile a model that is made by hand."""

    def call(tensors: list[Tensor], ops: list[Op], outputs: tuple[int, ...], *options: str) -> CompletedProcess[str]:
        (tmp_path / "m.tflite").write_bytes(flatbuffer(Model("m", tensors, ops, (0,), outputs, 0)))
        arguments = ["--name", "model", "--src", tmp_path / "m.tflite", "--out-dir", tmp_path / "out", *options]
        return tflm_build("convert", *arguments)

    return call


def chain(layers: int) -> tuple[list[Tensor], list[Op]]:
    """Make dense layers in a row, between QUANTIZE and DEQUANTIZE: their differences from LiteRT add up."""
    generator = np.random.RandomState(0)
    tensors = [Tensor("x", (1, 64), "float32"), Tensor("h0", (1, 64), "int8", 0.0237, 0)]
    ops = [Op("QUANTIZE", "QuantizeOptions", (0,), (1,))]
    for layer in range(layers):
        weights, place = generator.randint(-127, 128, (64, 64)).astype(np.int8), len(tensors)
        tensors += [
            Tensor(f"w{layer}", (64, 64), "int8", 0.00213, 0, weights),
            Tensor(f"h{layer + 1}", (1, 64), "int8", 0.0237 + 0.0011 * layer, 3),
        ]
        settings = {"weightsFormat": 0, "keepNumDims": False, "fusedActivationFunction": 0}
        ops.append(
            Op("FULLY_CONNECTED", "FullyConnectedOptions", (max(1, place - 1), place, -1), (place + 1,), settings)
        )
    tensors.append(Tensor("y", (1, 64), "float32"))
    ops.append(Op("DEQUANTIZE", "DequantizeOptions", (len(tensors) - 2,), (len(tensors) - 1,)))
    return tensors, ops


def test_a_chain_of_dense_layers_is_equal_layer_by_layer(convert: Any, tmp_path: Path) -> None:
    tensors, ops = chain(8)
    result = convert(tensors, ops, (len(tensors) - 1,))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("model: int8, ")
    assert "10 of 10 layers equal to their references; the whole is at most " in result.stdout
    proof = read_manifest(tmp_path / "out")["proof"]
    assert {(layer["difference"], layer["tolerance"]) for layer in proof["layers"][1:-1]} == {(0, 0)}
    assert {layer["reference"] for layer in proof["layers"][1:-1]} == {"our own computation"}
    # The whole differs by whole steps of the integers before DEQUANTIZE.
    assert proof["difference"][0] >= 1
    assert proof["difference"][0] == int(proof["difference"][0])


def autoencoder() -> tuple[list[Tensor], list[Op]]:
    """Make a model of the shapes of the anomaly detector of MLPerf Tiny, with random weights."""
    generator = np.random.RandomState(1)
    sizes = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)
    tensors, ops = [Tensor("x", (1, sizes[0]), "int8", 0.03, 5)], []
    for layer, (width, height) in enumerate(itertools.pairwise(sizes)):
        place = len(tensors)
        last = height == sizes[-1]
        scale = 0.03 if last else 0.017 + 0.0013 * layer
        tensors += [
            Tensor(f"w{layer}", (height, width), "int8", 0.02 / width**0.5, 0,
                   generator.randint(-127, 128, (height, width)).astype(np.int8)),
            Tensor(f"b{layer}", (height,), "int32", tensors[place - 1].scale * 0.02 / width**0.5, 0,
                   generator.randint(-2000, 2001, height).astype(np.int32)),
            Tensor(f"h{layer}", (1, height), "int8", scale, 5 if last else -128),
        ]  # fmt: skip
        settings = {"weightsFormat": 0, "keepNumDims": False, "fusedActivationFunction": 0 if last else 1}
        operands = (place - 1, place, place + 1)
        ops.append(Op("FULLY_CONNECTED", "FullyConnectedOptions", operands, (place + 2,), settings))
    return tensors, ops


def test_an_autoencoder_of_dense_layers_builds_at_tolerance_0(convert: Any, tmp_path: Path) -> None:
    tensors, ops = autoencoder()
    result = convert(tensors, ops, (len(tensors) - 1,))
    assert result.returncode == 0, result.stderr
    assert "10 of 10 layers equal to their references; " in result.stdout
    proof = read_manifest(tmp_path / "out")["proof"]
    assert {(layer["difference"], layer["tolerance"]) for layer in proof["layers"]} == {(0, 0)}


def test_max_lsb_limits_the_whole(convert: Any) -> None:
    tensors, ops = chain(8)
    result = convert(tensors, ops, (len(tensors) - 1,), "--max-lsb", "0")
    assert result.returncode == 1
    assert "output 'y' differs from LiteRT's by " in result.stderr
    assert "allowed by --max-lsb: 0; each layer is within its tolerance on equal inputs" in result.stderr


RELU6 = [Tensor("x", (1, 8), "int8", 0.05, -45), Tensor("y", (1, 8), "int8", 0.02, 55)], [Op("RELU6", "", (0,), (1,))]
"""TFLM clips and does not scale, where input and output have other scales."""


def test_a_layer_that_answers_wrongly_is_refused(convert: Any, tmp_path: Path) -> None:
    result = convert(*RELU6, (1,))
    assert result.returncode == 1
    assert "layer 'y' (RELU6) on TFLM differs from LiteRT's " in result.stderr
    assert "allowed: 0; replace the layer, or allow it with --max-lsb" in result.stderr
    assert not (tmp_path / "out").exists()


def test_max_lsb_allows_a_layer_its_steps(convert: Any, tmp_path: Path) -> None:
    result = convert(*RELU6, (1,), "--max-lsb", "255")
    assert result.returncode == 0, result.stderr
    (layer,) = read_manifest(tmp_path / "out")["proof"]["layers"]
    assert 100 < layer["difference"] < layer["tolerance"] == 255


@pytest.mark.parametrize("sizes", [(1, 8, 3), (1, 8, 8, 1)])
def test_a_layer_that_reads_what_nobody_wrote_is_refused(sizes: Sequence[int], convert: Any) -> None:
    rank = len(sizes) - 2
    block, pads = np.full(rank, 2, np.int32), np.full((rank, 2), [2, 0], np.int32)
    padded = [(size + 2) // 2 for size in sizes[1:-1]]
    tensors = [
        Tensor("x", tuple(sizes), "float32"),
        Tensor("block", block.shape, "int32", data=block),
        Tensor("pads", pads.shape, "int32", data=pads),
        Tensor("padded", (2**rank, *padded, sizes[-1]), "float32"),
    ]
    result = convert(tensors, [Op("SPACE_TO_BATCH_ND", "SpaceToBatchNDOptions", (0, 1, 2), (3,))], (3,))
    assert result.returncode == 1
    assert (
        "layer 'padded' (SPACE_TO_BATCH_ND): Node SPACE_TO_BATCH_ND (number 0) reads memory that nobody wrote"
        in result.stderr
    )


def test_another_reference_is_asked_where_the_first_has_no_kernel(convert: Any, tmp_path: Path) -> None:
    tensors = [Tensor("x", (1, 8), "int8", 0.05, 0), Tensor("y", (1, 8), "int8", 0.04, 20)]
    result = convert(tensors, [Op("ELU", "", (0,), (1,))], (1,))
    assert result.returncode == 0, result.stderr
    proof = read_manifest(tmp_path / "out")["proof"]
    assert proof["layers"] == [{"difference": 0, "reference": "LiteRT's optimized kernels", "tolerance": 0}]
    assert proof["difference"] == [0]


def test_a_layer_without_a_reference_is_named(convert: Any, tmp_path: Path) -> None:
    tensors = [
        Tensor("x", (16,), "int16"),
        Tensor("scaled", (16,), "int16"),
        Tensor("bits", (), "int32"),
    ]
    result = convert(tensors, [Op("SignalFftAutoScale", "", (0,), (1, 2))], (1, 2))
    assert result.returncode == 0, result.stderr
    assert "not compared: scaled; the whole does not run on LiteRT in 19 vectors" in result.stdout
    proof = read_manifest(tmp_path / "out")["proof"]
    layers = [{"difference": None, "reference": None, "tolerance": 0}]
    assert proof == {"vectors": 19, "difference": [], "layers": layers}


def test_a_dense_layer_over_a_constant(convert: Any, tmp_path: Path) -> None:
    """It is computed once, and is no layer any more."""
    tensors = [
        Tensor("x", (1, 4), "int8", 0.5),
        Tensor("c", (1, 4), "int8", 0.5, 0, np.arange(4, dtype=np.int8)),
        Tensor("w", (4, 4), "int8", 0.25, 0, np.eye(4, dtype=np.int8)),
        Tensor("h", (1, 4), "int8", 0.125),
        Tensor("y", (1, 4), "int8", 0.5),
    ]
    settings = {"weightsFormat": 0, "keepNumDims": False, "fusedActivationFunction": 0}
    ops = [
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (1, 2, -1), (3,), settings),
        Op("ADD", "AddOptions", (0, 3), (4,), {"potScaleInt16": False}),
    ]
    result = convert(tensors, ops, (4,))
    assert result.returncode == 0, result.stderr
    found = read_manifest(tmp_path / "out")
    assert found["proof"]["layers"] == [{"difference": 0, "reference": "LiteRT's reference kernels", "tolerance": 0}]
    assert found["ops"][0]["op"] == "ADD"


def test_calibration_needs_quantize(tflm_build: Run, tmp_path: Path) -> None:
    data = HELLO_WORLD / "calibration.npz"
    arguments = ["--name", "model", "--src", HELLO_WORLD / "hello_world.keras", "--calibration", data]
    result = tflm_build("convert", *arguments, "--out-dir", tmp_path)
    assert result.returncode == 1
    assert "--calibration is what --quantize takes ranges from; got --quantize none" in result.stderr


def test_few_vectors_at_a_time_tell_what_all_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A large model's activations have no room for all vectors; which one is worst stays known."""
    monkeypatch.chdir(tmp_path)  # a task writes into the folder that it has
    tensors = [Tensor("x", (1, 4), "float32"), Tensor("y", (1, 4), "float32")]
    model = flatbuffer(Model("m", tensors, [Op("TANH", "", (0,), (1,))], (0,), (1,), 0))
    inputs = [np.random.default_rng(5).uniform(-3, 3, (12, 1, 4)).astype("f")]
    inputs[0][7] = 4
    request = {"flatbuffer": model, "inputs": inputs}
    followed = []

    def compare(_: Any, arrays: Sequence[Any], _answers: Any, _few: int) -> Any:
        followed.append(len(arrays[0]))
        rows = np.abs(arrays[0]).reshape(-1, 4).max(axis=1)
        return [compare_layers._Row(1, float(rows.max()), int(rows.argmax()), float(rows.min()))], [arrays[0]]

    monkeypatch.setattr(compare_layers, "_compare_some", compare)
    whole = compare_layers.run(request)
    monkeypatch.setattr(compare_layers, "_ROOM", 5 * 2 * 16)
    parts = compare_layers.run(request)
    assert followed == [12, 5, 5, 2]
    np.testing.assert_array_equal(parts["outputs"][0], inputs[0])
    assert whole["layers"][2] == 7
    for one, other in zip(parts["layers"][:3], whole["layers"][:3], strict=True):
        np.testing.assert_array_equal(one, other)
    assert parts["layers"][3] == max(np.abs(inputs[0][at : at + 5]).max(axis=(1, 2)).min() for at in (0, 5, 10))
