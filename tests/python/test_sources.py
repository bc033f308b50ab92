# SPDX-License-Identifier: Apache-2.0
"""Every kind of source, and every kind of data."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from support import ROOT
from support.interpreters import Run, litert_outputs, read_manifest

CODE = """
import numpy as np

def model():
    import keras
    return keras.models.load_model({keras!r})

def concrete():
    import tensorflow as tf
    weights = tf.Variable(np.arange(8, dtype=np.float32).reshape(4, 2))
    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="q")])
    def call(q):
        return {{"zulu": q @ weights, "alpha": tf.reduce_sum(q, axis=1)}}
    function = call.get_concrete_function()
    function.weights = weights
    return function

def samples():
    for index in range(20):
        yield np.random.RandomState(index).rand(8).astype(np.float32)

def named():
    for index in range(20):
        yield {{"features": np.random.RandomState(index).rand(8).astype(np.float32)}}
"""


@pytest.fixture
def code(keras_models: Path, tmp_path: Path) -> str:
    """Write a module that returns models and yields samples."""
    path = tmp_path / "module.py"
    path.write_text(CODE.format(keras=str(keras_models / "classifier.keras")))
    return str(path)


@pytest.mark.parametrize("source", ["classifier.h5", "classifier", "classifier_by_tf", "classifier.tflite", "function"])
def test_every_format_gives_the_same_model(
    source: str, keras_models: Path, code: str, tflm_build: Run, tmp_path: Path
) -> None:
    """Only the names in the file may differ, which are stripped."""
    models = {}
    for kind in ("classifier.keras", source):
        src = f"{code}:model" if kind == "function" else str(keras_models / kind)
        out = tmp_path / kind
        result = tflm_build("convert", "--name", "m", "--src", src, "--out-dir", out, "--quiet")
        assert (result.returncode, result.stderr) == (0, "")
        models[kind] = (out / "m.tflite").read_bytes()
        name = "inputs" if kind == "classifier_by_tf" else "features"  # tf.saved_model.save() names it so
        assert read_manifest(out)["inputs"][0]["name"] == name
    assert models[source] == models["classifier.keras"]


FLATBUFFERS = """
from pathlib import Path

FILE = Path(__file__).parent / "model.tflite"


def content():
    return FILE.read_bytes()


def path():
    return str(FILE)


def written():
    Path("new.tflite").write_bytes(content())
    return Path("new.tflite")
"""


def test_a_function_that_returns_a_tflite(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    """The model is what it would be as a file, without TensorFlow; converters of PyTorch and ONNX end so."""
    code, model = tmp_path / "convert.py", tmp_path / "model.tflite"
    code.write_text(FLATBUFFERS)
    model.write_bytes((keras_models / "classifier.tflite").read_bytes())
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "tensorflow.py").write_text("raise ImportError('not here')")
    built = set()
    for source in (str(model), *(f"{code}:{name}" for name in ("content", "path", "written"))):
        result = tflm_build(
            "convert", "--name", "m", "--src", source, "--out-dir", tmp_path / "out", "--quiet",
            env={**os.environ, "PYTHONPATH": str(tmp_path / "hidden")},
        )  # fmt: skip
        assert (result.returncode, result.stderr) == (0, "")
        built.add((tmp_path / "out" / "m.tflite").read_bytes())
        depends = (tmp_path / "out" / "m.d").read_text()
        assert f"{model} " in depends
        assert (f"{code} " in depends) == (source != str(model))
    assert len(built) == 1


def test_a_file_of_keras_2(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("convert", "--name", "m", "--src", keras_models / "keras2.h5", "--out-dir", tmp_path, "--quiet")
    assert result.returncode == 0, result.stderr
    assert "note: Keras 3 cannot load this .h5 file, so tf-keras" in result.stderr
    assert "DEPTHWISE_CONV_2D" in result.stdout


def test_a_lambda_layer_that_is_trusted(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build(
        "convert", "--name", "m", "--src", keras_models / "lambda.keras", "--unsafe-deserialize", "--out-dir", tmp_path
    )
    assert result.returncode == 0, result.stderr
    (output,) = litert_outputs((tmp_path / "m.tflite").read_bytes(), [np.array([[1, 2, 3, 4]], np.float32)])
    assert output.tolist() == [[2, 4, 6, 8]]


def test_a_concrete_function_with_named_outputs(code: str, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("convert", "--name", "m", "--src", f"{code}:concrete", "--out-dir", tmp_path, "--quiet")
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path)
    outputs = litert_outputs((tmp_path / "m.tflite").read_bytes(), [np.array([[1, 1, 1, 2]], np.float32)])
    by_name = {tensor["name"]: output.tolist() for tensor, output in zip(manifest["outputs"], outputs, strict=True)}
    assert by_name == {"alpha": [5], "zulu": [[0 + 2 + 4 + 12, 1 + 3 + 5 + 14]]}


@pytest.mark.parametrize(("model", "op"), [("lstm.keras", "UNIDIRECTIONAL_SEQUENCE_LSTM"), ("gru.keras", "WHILE")])
def test_recurrent_layers(model: str, op: str, keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    """TensorFlow's calibrator dies of the loops that they would be; `test_recurrent.py` has all kinds of them."""
    result = tflm_build(
        "convert", "--name", "m", "--src", keras_models / model, "--quantize", "int8", "--calibration", "random:20",
        "--max-lsb", "4", "--max-float-error", "0.2", "--out-dir", tmp_path, "--quiet",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "unrolled" not in result.stderr
    assert op in {operator["op"] for operator in read_manifest(tmp_path)["ops"]}


@pytest.mark.parametrize("quantize", ["int8", "int16x8"])
def test_a_float_tflite_is_quantized_without_tensorflow(
    quantize: str, keras_models: Path, code: str, tflm_build: Run, tmp_path: Path
) -> None:
    """The accuracy is that of TensorFlow's own path on the same model and data, within a step of the output."""
    errors = {}
    for kind in ("classifier.keras", "classifier.tflite"):
        out = tmp_path / kind
        result = tflm_build(
            "convert", "--name", "m", "--src", keras_models / kind, "--quantize", quantize, "--max-lsb", "8",
            "--calibration", f"{code}:samples", "--out-dir", out, "--quiet",
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        manifest = read_manifest(out)
        assert manifest["model"]["quantization"] == quantize
        (errors[kind],) = manifest["accuracy"]["float_error"]
    assert "tensorflow" not in manifest["versions"]
    assert manifest["versions"]["ai-edge-quantizer"]
    step = manifest["outputs"][0]["scale"]
    assert errors["classifier.tflite"] <= errors["classifier.keras"] + step


@pytest.mark.parametrize("kind", [".npy", ".npz", "folder of .npy", "samples", "named"])
def test_the_same_samples_in_every_form(
    kind: str, keras_models: Path, code: str, tflm_build: Run, tmp_path: Path
) -> None:
    data = np.stack([np.random.RandomState(index).rand(8).astype(np.float32) for index in range(20)])
    place = tmp_path / "data"
    if kind == ".npy":
        np.save(tmp_path / "data.npy", data)
    elif kind == ".npz":
        np.savez(tmp_path / "data.npz", features=data)
    elif kind == "folder of .npy":
        place.mkdir()
        for index, sample in enumerate(data):
            np.save(place / f"{index:02}.npy", sample)
    source = {".npy": "data.npy", ".npz": "data.npz", "folder of .npy": "data"}.get(kind)
    result = tflm_build(
        "convert", "--name", "m", "--src", keras_models / "classifier.tflite", "--quantize", "int8",
        "--calibration", str(tmp_path / source) if source else f"{code}:{kind}",
        "--out-dir", tmp_path / "out", "--quiet",
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    calibration = read_manifest(tmp_path / "out")["calibration"]
    assert calibration["samples"] == 20
    assert calibration["inputs"] == [{"name": "features", "min": 0.000114375, "max": 0.987895, "dead_channels": []}]
    assert (data.min(), data.max()) == (pytest.approx(0.000114375, rel=1e-5), pytest.approx(0.987895))


def test_images_are_scaled_and_it_is_said(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(2)
    for index in range(4):
        Image.fromarray(generator.integers(0, 256, (12, 12, 3), np.uint8)).save(folder / f"{index}.png")
    result = tflm_build(
        "convert", "--name", "m", "--src", keras_models / "cnn.keras", "--quantize", "int8", "--calibration", folder,
        "--out-dir", tmp_path / "out", "--quiet",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "note: --calibration 'images': images were scaled from 0..255 to 0..1" in result.stderr
    assert read_manifest(tmp_path / "out")["calibration"]["inputs"][0]["max"] == 1.0
    # A new image is a new input of the build: the depfile names the folder and its files.
    depfile = (tmp_path / "out" / "m.d").read_text()
    assert f"{folder} " in depfile
    assert f"{folder}/3.png " in depfile


def test_a_saved_model_anywhere(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    shutil.copytree(keras_models / "classifier", tmp_path / "élsewhere ü")
    for name, src in {"a": keras_models / "classifier", "b": tmp_path / "élsewhere ü"}.items():
        result = tflm_build("convert", "--name", "m", "--src", src, "--out-dir", tmp_path / name, "--quiet")
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "a" / "m.tflite").read_bytes() == (tmp_path / "b" / "m.tflite").read_bytes()
    assert "/classifier/saved_model.pb " in (tmp_path / "a" / "m.d").read_text()


def test_a_quantized_tflite_that_is_what_was_asked(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    arguments = ("--name", "cnn", "--src", cnn / "cnn.tflite", "--quantize", "int8", "--out-dir", tmp_path, "--quiet")
    result = tflm_build("convert", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "cnn.tflite").read_bytes() == (cnn / "cnn.tflite").read_bytes()


def test_a_fixed_batch_is_a_size_like_any_other(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.random.default_rng(1).random((20, 4, 3), np.float32))
    result = tflm_build(
        "convert", "--name", "m", "--src", keras_models / "batch_4.keras", "--quantize", "int8", "--calibration",
        tmp_path / "data.npy", "--max-float-error", "0.1", "--out-dir", tmp_path / "out", "--quiet",
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert read_manifest(tmp_path / "out")["inputs"][0]["shape"] == [4, 3]


def test_answers_that_are_no_numbers_are_equal_where_both_interpreters_give_them(
    keras_models: Path, tflm_build: Run, tmp_path: Path
) -> None:
    """The golden vectors have inputs below zero, whose logarithm is none; and the C that holds them compiles."""
    source = keras_models / "log.keras"
    result = tflm_build("convert", "--name", "m", "--src", source, "--out-dir", tmp_path, "--quiet")
    assert result.returncode == 0, result.stderr
    assert "NAN" in (tmp_path / "m_golden.c").read_text()
    include = f"-I{ROOT / 'runtime' / 'include'}"
    subprocess.run(
        ["gcc", "-std=c99", "-Wall", "-Werror", include, "-fsyntax-only", tmp_path / "m_golden.c"], check=True
    )


def test_what_a_function_imports_and_reads_is_a_dependency(keras_models: Path, tflm_build: Run, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import numpy as np\nDATA = np.ones((4, 8), 'f') * np.arange(8)\n")
    (tmp_path / "data.py").write_text(
        "import helper\nimport pathlib\n\nHERE = pathlib.Path(__file__).parent\n\n"
        "def samples():\n"
        "    (HERE / 'cache').write_text((HERE / 'scale').read_text())\n"
        "    return iter(helper.DATA * float((HERE / 'cache').read_text()))\n"
    )
    (tmp_path / "scale").write_text("2")
    result = tflm_build(
        "convert", "--name", "m", "--src", keras_models / "classifier.tflite", "--quantize", "int8", "--calibration",
        f"{tmp_path / 'data.py'}:samples", "--out-dir", tmp_path / "out", "--quiet",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    depends = (tmp_path / "out" / "m.d").read_text()
    assert all(f"{tmp_path / name} " in depends for name in ("helper.py", "scale"))
    assert "cache" not in depends
    layers = [layer["layer"] for layer in read_manifest(tmp_path / "out")["layers"]]
    assert any("classifier" in layer for layer in layers)  # ai-edge-quantizer keeps the layers' names
