# SPDX-License-Identifier: Apache-2.0
"""A float .tflite quantized without TensorFlow: as right as from Keras."""

from pathlib import Path

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Run, litert_outputs, read_manifest, tflm_outputs
from tflm_build.model.flatbuffer import load, schema, store

GENERATOR = np.random.default_rng(3)


def dead_channel(op: str) -> Model:
    """Let the second of two channels have weights of zero, and a bias that the answer depends on."""
    conv = op == "CONV_2D"
    shape = (2, 3, 3, 1) if conv else (1, 3, 3, 2)
    weights = GENERATOR.uniform(-1, 1, shape).astype(np.float32)
    weights[(1,) if conv else (..., 1)] = 0
    tensors = [
        Tensor("x", (1, 6, 6, 1 if conv else 2), "float32"),
        Tensor("w", shape, "float32", data=weights),
        Tensor("b", (2,), "float32", data=np.array([0, 1.5], np.float32)),
        Tensor("y", (1, 6, 6, 2), "float32"),
    ]
    options = "Conv2DOptions" if conv else "DepthwiseConv2DOptions"
    settings = {"strideW": 1, "strideH": 1} | ({} if conv else {"depthMultiplier": 1})
    return Model("dead", tensors, [Op(op, options, (0, 1, 2), (3,), settings)], (0,), (3,), 0)


def dead_layer() -> Model:
    """Let all weights of a dense layer be zero."""
    tensors = [
        Tensor("x", (1, 4), "float32"),
        Tensor("w", (3, 4), "float32", data=np.zeros((3, 4), np.float32)),
        Tensor("b", (3,), "float32", data=np.array([1, -2, 3], np.float32)),
        Tensor("y", (1, 3), "float32"),
    ]
    return Model("dead", tensors, [Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 2), (3,))], (0,), (3,), 0)


def large_layer() -> Model:
    """Hold over a megabyte of weights: the quantizer then writes what it makes behind the tables."""
    tensors = [
        Tensor("x", (1, 600), "float32"),
        Tensor("w", (600, 600), "float32", data=GENERATOR.uniform(-1, 1, (600, 600)).astype(np.float32)),
        Tensor("b", (600,), "float32", data=GENERATOR.uniform(-1, 1, 600).astype(np.float32)),
        Tensor("y", (1, 600), "float32"),
    ]
    return Model("large", tensors, [Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 2), (3,))], (0,), (3,), 0)


def namesakes() -> Model:
    """Give tensors the names that the quantizer's road would give those without one."""
    names = ("a", "a_2", "a", "")
    return Model(
        "names", [Tensor(name, (1, 4), "float32") for name in names],
        [Op("ADD", "AddOptions", (0, 1), (2,)), Op("MUL", "MulOptions", (2, 0), (3,))], (0, 1), (3,), 0,
    )  # fmt: skip


@pytest.mark.parametrize("quantize", ["int8", "int16x8"])
@pytest.mark.parametrize(
    ("model", "decibels"),
    [
        (dead_channel("CONV_2D"), 40),
        (dead_channel("DEPTHWISE_CONV_2D"), 40),
        (dead_layer(), 40),
        (large_layer(), 30),
        (namesakes(), 30),
    ],
    ids=["conv", "depthwise", "dense", "large", "names"],
)
def test_the_answers_are_those_of_the_float_model(
    quantize: str, model: Model, decibels: float, tflm_build: Run, tmp_path: Path
) -> None:
    source, data = tmp_path / "m.tflite", tmp_path / "data.npz"
    source.write_bytes(flatbuffer(model))
    inputs = [model.tensors[place] for place in model.inputs]
    arrays = {each.name: GENERATOR.uniform(-1, 1, (20, *each.shape[1:])).astype("f") for each in inputs}
    np.savez(data, **arrays)  # type: ignore[arg-type]
    arguments = ["--quantize", quantize, "--calibration", data, "--out-dir", tmp_path / "out", "--max-lsb", 2]
    result = tflm_build("convert", "--name", "m", "--src", source, *arguments)
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path / "out")
    assert manifest["model"]["quantization"] == quantize
    assert manifest["accuracy"]["sqnr_db"][0] is None or manifest["accuracy"]["sqnr_db"][0] > decibels
    assert manifest["repairs"] == []


def test_one_scale_for_a_dense_layer(tflm_build: Run, tmp_path: Path) -> None:
    """For a TFLM that knows no more; the answers stay those of the float model."""
    model = large_layer()
    (tmp_path / "m.tflite").write_bytes(flatbuffer(model))
    np.savez(tmp_path / "data.npz", x=GENERATOR.uniform(-1, 1, (20, 600)).astype("f"))
    arguments = ["--quantize", "int8", "--calibration", tmp_path / "data.npz", "--dense-scales", "tensor"]
    result = tflm_build(
        "convert", "--name", "m", "--src", tmp_path / "m.tflite", *arguments, "--out-dir", tmp_path / "out"
    )
    assert result.returncode == 0, result.stderr
    assert "has_scales" not in (tmp_path / "out" / "m_ops.cc").read_text()
    assert read_manifest(tmp_path / "out")["accuracy"]["sqnr_db"][0] > 30


def test_a_file_with_codes_of_before_2020(tflm_build: Run, tmp_path: Path) -> None:
    """The quantizer looks at the younger field for what an operator is: there, each would be an ADD."""
    flat = flatbuffer(dead_channel("CONV_2D"))
    tree = load(flat)
    for code in tree.operatorCodes:
        code.deprecatedBuiltinCode, code.builtinCode = code.builtinCode, schema.BuiltinOperator.ADD
    np.savez(tmp_path / "data.npz", x=GENERATOR.uniform(-1, 1, (20, 6, 6, 1)).astype("f"))
    arguments = ["--quantize", "int8", "--calibration", tmp_path / "data.npz", "--emit", "tflite"]
    for name, content in (("young", flat), ("old", store(tree))):
        (tmp_path / f"{name}.tflite").write_bytes(content)
        result = tflm_build(
            "convert", "--name", "m", "--src", tmp_path / f"{name}.tflite", *arguments, "--out-dir", tmp_path / name
        )
        assert result.returncode == 0, result.stderr
    old, young = (tmp_path / name / "m.tflite" for name in ("old", "young"))
    assert old.read_bytes() == young.read_bytes()


def test_an_output_that_an_operator_reads_too(tflm_build: Run, tmp_path: Path) -> None:
    """The quantizer leaves NEG to real numbers, which it reads behind the DEQUANTIZE of the output."""
    model = dead_layer()
    model.tensors.append(Tensor("z", (1, 3), "float32"))
    model.ops.append(Op("NEG", "NegOptions", (3,), (4,)))
    (tmp_path / "m.tflite").write_bytes(flatbuffer(model._replace(outputs=(3, 4))))
    np.savez(tmp_path / "data.npz", x=GENERATOR.uniform(-1, 1, (20, 4)).astype("f"))
    arguments = ["--quantize", "int8", "--calibration", tmp_path / "data.npz", "--out-dir", tmp_path / "out"]
    result = tflm_build("convert", "--name", "m", "--src", tmp_path / "m.tflite", *arguments)
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path / "out")
    assert [tensor["type"] for tensor in manifest["outputs"]] == ["int8", "int8"]
    assert "warning: 1 of 4 layers compute in float32, for they are not quantized: NEG; they take" in result.stderr
    assert all(ratio is None or ratio > 40 for ratio in manifest["accuracy"]["sqnr_db"])


def weights_alone(kind: str, scales: int) -> bytes:
    """Hold the weights of a float layer as integers, as ai-edge-quantizer's recipe for weights alone does."""
    values = GENERATOR.integers(-7, 8, (3, 4)).astype(np.int8)
    data = (values[:, ::2] & 15 | values[:, 1::2] << 4).astype(np.int8) if kind == "int4" else values * 9
    tensors = [
        Tensor("x", (1, 4), "float32"),
        Tensor("q", (3, 4), kind, (0.1, 0.5, 0.02)[:scales], data=data),
        Tensor("w", (3, 4), "float32"),
        Tensor("y", (1, 3), "float32"),
    ]
    operators = [Op("DEQUANTIZE", "", (1,), (2,)), Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 2, -1), (3,))]
    return flatbuffer(Model("weights", tensors, operators, (0,), (3,), 0))


@pytest.mark.parametrize(("kind", "scales"), [("int8", 3), ("int4", 1)])
def test_weights_that_are_integers_in_a_float_model(kind: str, scales: int, tflm_build: Run, tmp_path: Path) -> None:
    """TFLM's DEQUANTIZE takes the first scale for all channels, and no 4 bits; no quantizer takes it for a weight."""
    source, inputs = weights_alone(kind, scales), GENERATOR.uniform(-1, 1, (20, 4)).astype("f")
    (tmp_path / "m.tflite").write_bytes(source)
    np.savez(tmp_path / "data.npz", x=inputs)
    data = ["--quantize", "int8", "--calibration", tmp_path / "data.npz"]
    for out, arguments in (("none", ["--test-data", tmp_path / "data.npz"]), ("int8", data)):
        result = tflm_build(
            "convert", "--name", "m", "--src", tmp_path / "m.tflite", *arguments, "--out-dir", tmp_path / out
        )
        assert result.returncode == 0, result.stderr
        assert [op["op"] for op in read_manifest(tmp_path / out)["ops"]] == ["FULLY_CONNECTED"]
    assert read_manifest(tmp_path / "int8")["accuracy"]["sqnr_db"][0] > 30
    held = (tmp_path / "none" / "m.tflite").read_bytes()
    for vector in inputs[:3]:
        np.testing.assert_allclose(
            tflm_outputs(held, [vector[None]])[0], litert_outputs(source, [vector[None]])[0], rtol=1e-5
        )
