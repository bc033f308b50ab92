# SPDX-License-Identifier: Apache-2.0
"""What the manifest says of weights, ranges and noise, held against numbers that are worked out here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Array, Run, read_manifest
from tflm_build.passes.canonical import canonicalize
from tflm_build.stages.activations import describe_activations
from tflm_build.stages.convert import Converted
from tflm_build.stages.golden import GoldenInputs


def constants(model: bytes) -> dict[tuple[int, ...], Array]:
    """Return the int8 constants of a model by shape, read by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    found = {}
    for detail in interpreter.get_tensor_details():
        if detail["dtype"] == np.int8:
            found[tuple(map(int, detail["shape"]))] = interpreter.get_tensor(detail["index"])
    return found


def test_weights_are_counted(cnn: Path) -> None:
    manifest, tensors = read_manifest(cnn), constants((cnn / "cnn.tflite").read_bytes())
    assert len(manifest["weights"]) == 3
    for weights in manifest["weights"]:
        elements = tensors[tuple(weights["shape"])].astype(int)
        assert weights["counts"] == [int(np.sum((elements + 128) // 8 == part)) for part in range(32)]
        assert weights["zeros"] == np.sum(elements == 0)
        assert weights["at_limit"] == np.sum(np.abs(elements) >= 127)
        assert "CONV" in manifest["layers"][weights["layer"]]["op"] or weights["shape"][0] == 4


@pytest.mark.parametrize("folder", ["hello_world", "cnn"])
def test_the_noise_of_the_last_layer_is_that_of_the_model(folder: str, request: pytest.FixtureRequest) -> None:
    manifest = read_manifest(request.getfixturevalue(folder))
    activations = manifest["activations"]
    assert activations["samples"] == manifest["accuracy"]["samples"] == 16
    assert [activations["layers"][-1]["sqnr_db"]] == manifest["accuracy"]["sqnr_db"]
    assert all(layer["sqnr_db"] > 10 for layer in activations["layers"])


def test_a_range_is_that_of_the_integers(cnn: Path) -> None:
    manifest = read_manifest(cnn)
    (output,) = manifest["outputs"]
    last = manifest["activations"]["layers"][-1]
    assert last["range"] == pytest.approx([0, 255 * output["scale"]], rel=0.01)
    for layer in manifest["activations"]["layers"]:
        low, high = layer["range"]
        assert low <= layer["seen"][0] <= layer["seen"][1] <= high
        assert 0 <= layer["at_limit"] < 0.2


def test_a_relu_at_zero_is_no_loss(cnn: Path) -> None:
    manifest = read_manifest(cnn)
    first = manifest["activations"]["layers"][0]
    assert first["range"][0] == first["seen"][0] == 0
    assert first["at_limit"] < 0.01


def test_the_worst_samples_come_first(cnn: Path) -> None:
    accuracy: dict[str, Any] = read_manifest(cnn)["accuracy"]
    worst = accuracy["worst"]
    assert len(worst) == 5
    assert [worst[0]["sample"]] == accuracy["worst_sample"]
    assert [worst[0]["difference"]] == accuracy["float_error"]
    differences = [sample["difference"] for sample in worst]
    assert differences == sorted(differences, reverse=True)
    for sample in worst:
        assert abs(sample["got"] - sample["float"]) == pytest.approx(sample["difference"], abs=0.01)


def test_noise_of_a_float_tflite_without_names(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    plain = tflm_build("convert", "--name", "m", "--src", keras_models / "cnn.keras", "--out-dir", tmp_path / "float")
    assert plain.returncode == 0, plain.stderr
    manifest = read_manifest(tmp_path / "float")
    assert manifest["activations"]["samples"] == 0
    assert manifest["weights"][0]["type"] == "float32"
    assert sum(manifest["weights"][0]["counts"]) == np.prod(manifest["weights"][0]["shape"])
    result = tflm_build(
        "convert", "--name", "m", "--src", tmp_path / "float" / "m.tflite", "--quantize", "int16x8",
        "--calibration", "random:20", "--out-dir", tmp_path / "int16x8",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    layers = read_manifest(tmp_path / "int16x8")["activations"]["layers"]
    assert all(layer["sqnr_db"] > 30 for layer in layers)


def test_wrong_classes_are_the_worst_without_a_float_model(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    samples = np.random.RandomState(0).uniform(-1, 1, (30, 12, 12, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", image=samples, labels=np.arange(30) % 4)
    result = tflm_build(
        "convert", "--name", "m", "--src", cnn / "cnn.tflite", "--test-data", tmp_path / "data.npz",
        "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path)
    worst = manifest["accuracy"]["worst"]
    assert worst
    assert all(sample["class"] != sample["label"] and sample["float"] is None for sample in worst)
    assert all(layer["sqnr_db"] is None and layer["seen"] for layer in manifest["activations"]["layers"])


def test_operators_that_write_nothing() -> None:
    tensors = [
        Tensor("x", (1, 4), "float32"),
        Tensor("variable", (), "resource"),
        Tensor("y", (1, 4), "int8", 0.5, -128),
    ]
    operators = [
        Op("VAR_HANDLE", "VarHandleOptions", (), (1,)),
        Op("ASSIGN_VARIABLE", "AssignVariableOptions", (1, 0), ()),
        Op("QUANTIZE", "QuantizeOptions", (0,), (2,)),
    ]
    model = flatbuffer(Model("m", tensors, operators, (0,), (2,), 0))
    zeros = (np.zeros((3, 1, 4), np.float32),)
    described = describe_activations(
        canonicalize(model), Converted(canonicalize(model), 0, samples=zeros), GoldenInputs(zeros, 3, zeros), {}, 0
    )
    assert [layer.range for layer in described.layers] == [None, None, (0, 127.5)]
    assert [layer.seen for layer in described.layers] == [None, None, (0, 0)]
    assert described.samples == 3


def test_large_models_are_followed_with_few_samples() -> None:
    tensors = [Tensor("x", (1, 4), "float32"), Tensor("y", (1, 4), "int8", 0.5, -128)]
    model = flatbuffer(Model("m", tensors, [Op("QUANTIZE", "QuantizeOptions", (0,), (1,))], (0,), (1,), 0))
    ones = (np.ones((16, 1, 4), np.float32),)
    for macs, samples in ((10**6, 16), (10**8, 2), (10**12, 1)):
        described = describe_activations(
            canonicalize(model),
            Converted(canonicalize(model), 0, samples=ones),
            GoldenInputs(ones, 16, ones),
            {},
            macs,
        )
        assert (described.samples, described.layers[0].seen) == (samples, (1, 1))


def test_names_that_are_not_unique_are_no_counterparts() -> None:
    def chain(kind: str, names: tuple[str, str], scale: float) -> bytes:
        tensors = [Tensor("x", (1, 4), kind, scale), *(Tensor(name, (1, 4), kind, scale) for name in names)]
        operators = [Op("RELU", "", (0,), (1,)), Op("RELU", "", (1,), (2,))]
        return flatbuffer(Model("m", tensors, operators, (0,), (2,), 0))

    real = (np.full((2, 1, 4), 0.6, np.float32),)
    golden = GoldenInputs((np.full((2, 1, 4), 1, np.int8),), 2, real)
    for names, counterparts in ((("a", "b"), [True, True]), (("a", "a"), [False, False]), (("", "b"), [False, True])):
        model = canonicalize(chain("int8", names, 0.5))
        converted = Converted(model, 0, samples=real, float_model=canonicalize(chain("float32", names, 0)))
        described = describe_activations(model, converted, golden, {}, 0)
        assert [layer.sqnr is not None for layer in described.layers] == counterparts
        expected = 20 * np.log10(0.6 / 0.1)
        assert all(layer.sqnr is None or layer.sqnr == pytest.approx(expected, rel=1e-4) for layer in described.layers)
