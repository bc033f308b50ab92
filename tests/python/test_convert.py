# SPDX-License-Identifier: Apache-2.0
"""What `tflm-build convert` delivers, seen from outside."""

import hashlib
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import ROOT
from support.interpreters import HELLO_WORLD, Run, litert_outputs, read_manifest, tflm_outputs
from tflm_build.passes.canonical import canonicalize

EMITTED = {
    f"hello_world{end}"
    for end in (
        ".arena",
        ".c",
        ".d",
        ".h",
        ".json",
        ".tflite",
        "_data.S",
        "_data.c",
        "_golden.c",
        "_golden.h",
        "_golden.npz",
        "_ops.cc",
    )
}


def c_array(text: str, name: str) -> np.ndarray[Any, Any]:
    match = re.search(rf"\b{name}\[[^]]*\] = \{{(.*?)\}};", text, re.DOTALL)
    assert match, f"no array {name}"
    return np.array([int(word, 0) for word in match[1].split(",") if word.strip()])


def test_all_files_are_written_and_no_other(hello_world: Path) -> None:
    assert {path.name for path in hello_world.iterdir()} == EMITTED


def test_data_is_the_canonical_model(hello_world: Path) -> None:
    model = (hello_world / "hello_world.tflite").read_bytes()
    data = c_array((hello_world / "hello_world_data.c").read_text(), "hello_world_data")
    assert bytes(data.tolist()) == model
    assert f"HELLO_WORLD_DATA_SIZE {len(model)}u" in (hello_world / "hello_world.h").read_text()
    assert f"0x{zlib.crc32(model):08X}u" in (hello_world / "hello_world.c").read_text()


def test_the_model_is_int8_with_batch_1(hello_world: Path) -> None:
    manifest = read_manifest(hello_world)
    for tensor in (*manifest["inputs"], *manifest["outputs"]):
        assert (tensor["type"], tensor["shape"]) == ("int8", [1, 1])
    kernel = "Register_FULLY_CONNECTED_INT8"
    assert manifest["ops"] == [{"op": "FULLY_CONNECTED", "count": 3, "method": "AddFullyConnected", "kernel": kernel}]


def test_the_model_computes_a_sine(hello_world: Path) -> None:
    model = (hello_world / "hello_world.tflite").read_bytes()
    manifest = read_manifest(hello_world)
    x_tensor, y_tensor = manifest["inputs"][0], manifest["outputs"][0]
    for x in np.linspace(0, 2 * np.pi, 33):
        element = np.clip(round(x / x_tensor["scale"]) + x_tensor["zero_point"], -128, 127)
        (output,) = litert_outputs(model, [np.array([[element]], np.int8)])
        sine = y_tensor["scale"] * (int(output[0, 0]) - y_tensor["zero_point"])
        assert abs(sine - np.sin(x)) < 0.08  # the network's own error is up to 0.05, a step of the output 0.008


def test_golden_outputs_are_those_of_the_interpreter(hello_world: Path) -> None:
    model = (hello_world / "hello_world.tflite").read_bytes()
    golden = (hello_world / "hello_world_golden.c").read_text()
    inputs, outputs = (c_array(golden, f"{kind}_0") for kind in ("input", "output"))
    assert len(inputs) == len(outputs) == read_manifest(hello_world)["golden"]["vectors"] == 19
    assert {-128, 127} <= set(inputs.tolist())
    for element, output in zip(inputs, outputs, strict=True):
        assert tflm_outputs(model, [np.array([[element]], np.int8)])[0][0, 0] == output


@pytest.mark.parametrize("folder", ["hello_world", "cnn"])
def test_the_arena_is_the_smallest_that_works(folder: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(folder)
    smallest = read_manifest(path)["arena"]["smallest"]
    tensor = read_manifest(path)["inputs"][0]
    script = (
        "import sys, numpy; from tflite_micro import runtime\n"
        "model = open(sys.argv[1], 'rb').read()\n"
        "interpreter = runtime.Interpreter.from_bytes(model, arena_size=int(sys.argv[2]))\n"
        f"interpreter.set_input(numpy.zeros({tensor['shape']}, 'int8'), 0)\n"
        "interpreter.invoke()\n"
    )

    def works(size: int) -> bool:
        command = [sys.executable, "-c", script, str(path / f"{folder}.tflite"), str(size)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert works(smallest)
    assert not works(smallest - 16)


def test_manifest_names_every_file_and_its_digest(hello_world: Path) -> None:
    manifest = read_manifest(hello_world)
    assert set(manifest["files"]) == EMITTED - {"hello_world.json", "hello_world.d"}
    for file, digest in manifest["files"].items():
        assert hashlib.sha256((hello_world / file).read_bytes()).hexdigest() == digest
    source = (HELLO_WORLD / "hello_world.keras").read_bytes()
    assert manifest["source"]["sha256"] == hashlib.sha256(source).hexdigest()
    assert manifest["versions"]["tensorflow"]


def test_float_error_is_that_of_the_float_model(hello_world: Path) -> None:
    (error,) = read_manifest(hello_world)["accuracy"]["float_error"]
    assert 0 < error < 0.05  # of outputs in [-1, 1], whose step is 0.008


def test_no_emitted_file_knows_its_path(hello_world: Path) -> None:
    for path in hello_world.iterdir():
        if path.suffix != ".d":
            assert str(ROOT).encode() not in path.read_bytes()
            assert str(hello_world).encode() not in path.read_bytes()


def test_the_same_bytes_in_another_folder_locale_and_time_zone(tflm_build: Run, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "änother folder"]
    environments = [{}, {"LC_ALL": "C", "TZ": "Asia/Seoul", "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}]
    contents = []
    for folder, environment in zip(folders, environments, strict=True):
        folder.mkdir()
        for file in ("hello_world.keras", "calibration.npz"):
            (folder / file).write_bytes((HELLO_WORLD / file).read_bytes())
        result = tflm_build(
            "convert", "--name", "m", "--src", "hello_world.keras", "--quantize", "int8",
            "--calibration", "calibration.npz", "--out-dir", "out",
            cwd=folder, env={**os.environ, **environment},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        contents.append({path.name: path.read_bytes() for path in (folder / "out").iterdir()})
    assert contents[0] == contents[1]


def test_a_tflite_source_does_not_import_tensorflow(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    for module in ("tensorflow", "keras", "tf_keras"):
        (tmp_path / f"{module}.py").write_text("import os; os._exit(77)\n")
    out = tmp_path / "out"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    result = tflm_build(
        "convert",
        "--name",
        "cnn",
        "--src",
        cnn / "cnn.tflite",
        "--out-dir",
        out,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stderr
    assert (out / "cnn.tflite").read_bytes() == (cnn / "cnn.tflite").read_bytes()


def test_inputs_and_outputs_keep_their_names_and_order(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    data = tmp_path / "calibration.npz"
    generator = np.random.default_rng(3)
    np.savez(data, alpha=generator.random((30, 5), np.float32), zulu=generator.random((30, 3), np.float32))
    out = tmp_path / "out"
    result = tflm_build(
        "convert", "--name", "two", "--src", keras_models / "two.keras", "--quantize", "int8",
        "--calibration", data, "--out-dir", out,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(out)
    assert {tensor["name"]: tensor["shape"] for tensor in manifest["inputs"]} == {"alpha": [1, 5], "zulu": [1, 3]}
    # A mix-up of inputs or outputs would show as an error of the size of the outputs themselves.
    sizes = {
        tensor["bytes"]: error
        for tensor, error in zip(manifest["outputs"], manifest["accuracy"]["float_error"], strict=True)
    }
    assert set(sizes) == {2, 6}
    assert max(sizes.values()) < 0.05


@pytest.mark.parametrize(("quantize", "io_type", "expected"), [
    ("none", "auto", "float32"), ("int16x8", "auto", "int16"), ("int8", "float32", "float32"),
])  # fmt: skip
def test_other_quantizations(
    quantize: str, io_type: str, expected: str, keras_models: Path, tflm_build: Run, tmp_path: Path
) -> None:
    calibration = [] if quantize == "none" else ["--calibration", "random:20"]
    result = tflm_build(
        "convert", "--name", "cnn", "--src", keras_models / "cnn.keras", "--quantize", quantize, "--io-type", io_type,
        *calibration, "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path)
    assert {tensor["type"] for tensor in (*manifest["inputs"], *manifest["outputs"])} == {expected}


def test_one_scale_in_dense_layers(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    """From Keras and from a float .tflite, other layers keep theirs; what is quantized already is refused."""
    options = ["--quantize", "int8", "--calibration", "random:20", "--out-dir", tmp_path]
    for scales, guarded in (("channel", True), ("tensor", False)):
        run = tflm_build(
            "convert", "--name", "m", "--src", keras_models / "cnn.keras", *options, "--dense-scales", scales
        )
        assert run.returncode == 0, run.stderr
        assert ("static_assert(has_scales" in (tmp_path / "m_ops.cc").read_text()) is guarded
        assert ("IO_TYPE auto, DENSE_SCALES tensor\n" in (tmp_path / "m.h").read_text()) is not guarded
        if guarded:
            quantized = (tmp_path / "m.tflite").read_bytes()
    counts = {
        operator.op: {len(operand.scales) for operand in operator.reads if operand.constant and operand.type == "int8"}
        for operator in canonicalize((tmp_path / "m.tflite").read_bytes()).graph.operators
    }
    assert counts["FULLY_CONNECTED"] == {1}
    assert max(counts["CONV_2D"]) > 1
    assert read_manifest(tmp_path)["options"]["dense_scales"] == "tensor"

    (tmp_path / "quantized.tflite").write_bytes(quantized)
    run = tflm_build(
        "convert",
        "--name",
        "m",
        "--src",
        tmp_path / "quantized.tflite",
        "--out-dir",
        tmp_path,
        "--dense-scales",
        "tensor",
    )
    assert run.returncode == 1
    assert "--dense-scales tensor asks for one scale in each dense layer, but layer '" in run.stderr


def test_random_calibration_is_marked(cnn: Path) -> None:
    calibration = read_manifest(cnn)["calibration"]
    assert (calibration["file"], calibration["random"], calibration["sha256"]) == ("random:20", True, None)
    assert "RANDOM DATA" in (cnn / "cnn.h").read_text()
