# SPDX-License-Identifier: Apache-2.0
"""Bad input: one line that says what to do, exit 1, and nothing written."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import HELLO_WORLD, Run

KERAS = HELLO_WORLD / "hello_world.keras"
INT8 = ["--quantize", "int8"]


def calibrated(folder: Path, **arrays: object) -> list[str]:
    path = folder / "data.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return [*INT8, "--calibration", str(path)]


def source(folder: Path, name: str, content: bytes) -> list[str]:
    path = folder / name
    path.write_bytes(content)
    return ["--src", str(path)]


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def killer(folder: Path) -> list[str]:
    """Leave out the axes that TFLM's MEAN reads without looking whether they are there."""
    tensors = [Tensor("x", (1, 4), "int8", 0.5), Tensor("y", (1,), "int8", 0.5)]
    model = Model("killer", tensors, [Op("MEAN", "ReducerOptions", (0,), (1,))], (0,), (1,), 0)
    return source(folder, "m.tflite", flatbuffer(model))


def hybrid(folder: Path, activations: str = "float32") -> list[str]:
    """Put int8 weights under float32 activations, as dynamic-range quantization does, or under int8 ones."""
    scale = 0.5 if activations == "int8" else 0.0
    tensors = [
        Tensor("x", (1, 4), activations, scale),
        Tensor("w", (3, 4), "int8", 0.5, 0, np.ones((3, 4), np.int8)),
        Tensor("y", (1, 3), activations, scale),
    ]
    model = Model("hybrid", tensors, [Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, -1), (2,))], (0,), (2,), 0)
    return source(folder, "m.tflite", flatbuffer(model))


def halves(folder: Path) -> list[str]:
    """Compute with numbers of 16 bits."""
    tensors = [Tensor("x", (1, 4), "float32"), Tensor("half", (1, 4), "float16"), Tensor("y", (1, 4), "float32")]
    ops = [Op("CAST", "CastOptions", (0,), (1,)), Op("CAST", "CastOptions", (1,), (2,))]
    return source(folder, "m.tflite", flatbuffer(Model("halves", tensors, ops, (0,), (2,), 0)))


def lost_weights(folder: Path) -> list[str]:
    """Read a variable that nothing writes: what is left of a SavedModel whose variables were not tracked."""
    tensors = [
        Tensor("x", (1, 4), "float32"), Tensor("handle", (1,), "resource"), Tensor("value", (1, 4), "float32"),
        Tensor("y", (1, 4), "float32"),
    ]  # fmt: skip
    ops = [
        Op("VAR_HANDLE", "VarHandleOptions", (), (1,)),
        Op("READ_VARIABLE", "ReadVariableOptions", (1,), (2,)),
        Op("ADD", "AddOptions", (0, 2), (3,)),
    ]
    return source(folder, "m.tflite", flatbuffer(Model("lost", tensors, ops, (0,), (3,), 0)))


def custom(folder: Path, code: str) -> list[str]:
    tensors = [Tensor("x", (1, 4), "float32"), Tensor("y", (1, 4), "float32")]
    return source(folder, "m.tflite", flatbuffer(Model("custom", tensors, [Op(code, "", (0,), (1,))], (0,), (1,), 0)))


def bomb(folder: Path) -> str:
    """Compress three gigabytes of zeros, a megabyte at a time."""
    path = folder / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as entry,
    ):
        header = b"{'descr': '|i1', 'fortran_order': False, 'shape': (3221225472, 1), }".ljust(117) + b"\n"
        entry.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        for _ in range(3072):
            entry.write(bytes(1 << 20))
    return str(path)


def archive(folder: Path, name: str, content: bytes) -> str:
    path = folder / "data.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, content)
    return str(path)


def renamed_archive(folder: Path) -> str:
    samples = make_folder(folder / "samples")
    np.savez(samples / "0.npz", a=np.ones(1), b=np.ones(1))
    (samples / "0.npz").rename(samples / "0.npy")
    return str(samples)


def deep_image(folder: Path) -> str:
    images = make_folder(folder / "samples")
    Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4)).save(images / "a.png")
    return str(images)


def source_code(folder: Path, code: str, function: str) -> list[str]:
    (folder / "code.py").write_text(code + "\n")
    return ["--src", f"{folder / 'code.py'}:{function}"]


def damaged_image(folder: Path) -> str:
    images = make_folder(folder / "samples")
    (images / "a.png").write_bytes(b"\x89PNG garbage")
    return str(images)


ENDLESS = """
import tensorflow as tf

@tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
def forever(x):
    return tf.while_loop(lambda x: tf.reduce_all(x > -1e30), lambda x: x * 0.5, (x,))

def model():
    return forever.get_concrete_function()
"""

Case = Callable[[Path, Path], list[str]]

CASES: dict[str, tuple[Case, str]] = {
    "missing source": (
        lambda tmp, _: ["--src", str(tmp / "no.keras")],
        r"--src '.*no.keras' cannot be read: No such file",
    ),
    "source is a folder": (lambda tmp, _: ["--src", str(make_folder(tmp / "d.keras"))], "Is a directory"),
    "unknown extension": (lambda tmp, _: source(tmp, "m.onnx", b"x"), r"--src got 'm.onnx'; allowed: .keras"),
    "keras file of garbage": (lambda tmp, _: source(tmp, "m.keras", b"garbage"), r"--src is not a model that Keras"),
    "h5 file of garbage": (lambda tmp, _: source(tmp, "m.h5", b"garbage"), r"--src is not a model that Keras"),
    "lambda layer": (
        lambda _, models: ["--src", str(models / "lambda.keras")],
        "--src has a Lambda layer, which is Python code inside of the file; .* pass --unsafe-deserialize",
    ),
    "an op of TensorFlow itself": (
        lambda tmp, _: custom(tmp, "FlexErf"),
        r"layer 'y' \(FlexErf\) is an op of TensorFlow itself, which no microcontroller runs",
    ),
    "an op of somebody's own": (
        lambda tmp, _: custom(tmp, "MyOp"),
        "layer 'y' needs the op MyOp, for which TFLM has no kernel",
    ),
    "a bomb of calibration data": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", bomb(tmp)],
        r"--calibration 'bomb.npz' unpacks to 3,221,225,600 bytes; allowed: 2,147,483,648; pass fewer samples",
    ),
    "a loop that does not end": (
        lambda tmp, _: source_code(tmp, ENDLESS, "model"),
        "TFLM cannot run this model: .*the interpreter gave no answer in time and was ended",
    ),
    "lambda layer of Keras 2": (
        lambda _, models: ["--src", str(models / "lambda.h5")],
        "--src has a Lambda layer, which is Python code inside of the file",
    ),
    "labels beyond the classes": (
        lambda _, models: [
            *("--src", str(models / "classifier.tflite")),
            *("--test-data", calibrated(models.parent, x=np.ones((3, 8), "f"), labels=np.array([0, 1, 7]))[-1]),
        ],
        "the labels are from 0 to 7; allowed: 0 to 4; count classes from 0",
    ),
    "integers where floats were asked": (
        lambda tmp, _: [*hybrid(tmp, "int8"), "--io-type", "float32"],
        "--io-type float32 makes float32 inputs and outputs, but 'x' is int8",
    ),
    "a member that is no array": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", archive(tmp, "notes.txt", b"hello")],
        "--calibration 'data.npz' has members that are no arrays",
    ),
    "a folder of archives": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", renamed_archive(tmp)],
        "--calibration '0.npy' holds several arrays; allowed: one array per file",
    ),
    "an image of 16 bits": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", deep_image(tmp)],
        "--calibration 'a.png' has pixels of mode I;16; allowed: 8 bits of grey or RGB",
    ),
    "weights lost": (
        lambda tmp, _: lost_weights(tmp),
        r"layer 'value' \(READ_VARIABLE\) reads what nothing writes: the weights were lost; export with Keras'",
    ),
    "computed in float16": (
        lambda tmp, _: halves(tmp),
        r"layer 'half' \(CAST\) has float16 weights, which TFLM cannot run",
    ),
    "quantized otherwise": (
        lambda tmp, _: [*hybrid(tmp, "int8"), "--quantize", "int16x8"],
        r"--src is quantized already \(int8\); got --quantize int16x8; pass the float model",
    ),
    "a function that is not there": (
        lambda tmp, _: source_code(tmp, "def model(): ...", "no_model"),
        r"--src 'code.py:no_model' does not exist; define no_model\(\) in code.py",
    ),
    "a function that fails": (
        lambda tmp, _: source_code(tmp, "def model(): raise OSError('no disk')", "model"),
        r"--src 'code.py:model' failed: OSError: no disk; fix the function",
    ),
    "a function that returns no model": (
        lambda tmp, _: source_code(tmp, "def model(): return 5", "model"),
        r"--src returned an object of type int; allowed: a built Keras model, a concrete function of TensorFlow, or",
    ),
    "a function that returns a path to nothing": (
        lambda tmp, _: source_code(tmp, "def model(): return 'model.tflite'", "model"),
        r"--src 'code.py:model' returned the path 'model.tflite', which cannot be read: No such file or directory; wri",
    ),
    "a function that returns bytes of something else": (
        lambda tmp, _: source_code(tmp, "def model(): return b'ONNX' * 20", "model"),
        r"the source is not a valid TensorFlow Lite model: ",
    ),
    "a folder that is no SavedModel": (
        lambda tmp, _: ["--src", str(make_folder(tmp / "empty"))],
        r"--src '.*empty' is a folder without saved_model.pb",
    ),
    "a damaged SavedModel": (
        lambda tmp, _: ["--src", str(Path(source(make_folder(tmp / "bad"), "saved_model.pb", b"garbage")[1]).parent)],
        r"--src is not a SavedModel that TensorFlow .* can load",
    ),
    "labels that are no classes": (
        lambda tmp, _: ["--src", str(KERAS), *calibrated(tmp, x=np.zeros((5, 1), "f"), labels=np.full(5, 0.5))],
        r"has labels of shape \(5,\) and type float64; allowed: \(5,\) integers",
    ),
    "an empty folder of samples": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", str(make_folder(tmp / "samples"))],
        r"--calibration 'samples' holds no sample; allowed: .npy files and images",
    ),
    "a damaged image": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", damaged_image(tmp)],
        r"--calibration 'a.png' is not an image that can be read",
    ),
    "a generator of nothing": (
        lambda tmp, _: [
            *("--src", str(KERAS), *INT8, "--calibration"),
            source_code(tmp, "def data(): return []", "data")[1],
        ],
        r"--calibration 'code.py:data' yields no sample; yield an array",
    ),
    "too far from the float model": (
        lambda tmp, _: [
            *("--src", str(KERAS), *calibrated(tmp, x=np.linspace(0, 1, 9)[:, None])),
            *("--test-data", str(HELLO_WORLD / "calibration.npz"), "--max-float-error", "0.1"),
        ],
        r"--max-float-error: output 'output_0' differs from the float model by .* of 250 \(SQNR .* dB\); allowed: 0.1",
    ),
    "no float model to compare with": (
        lambda tmp, _: [*hybrid(tmp, "int8"), "--max-float-error", "1"],
        "--max-float-error needs a float source, and data; got none",
    ),
    "free size": (
        lambda _, models: ["--src", str(models / "free_size.keras")],
        r"TFLM needs fixed sizes; fix every size",
    ),
    "tflite file of garbage": (
        lambda tmp, _: source(tmp, "m.tflite", b"garbage"),
        "is not a valid TensorFlow Lite model",
    ),
    "empty tflite": (lambda tmp, _: source(tmp, "m.tflite", b""), "is not a valid TensorFlow Lite model"),
    "no calibration": (
        lambda *_: ["--src", str(KERAS), *INT8],
        "--quantize int8 needs --calibration data; got none; pass an .npz with one array per input",
    ),
    "unknown quantization": (
        lambda *_: ["--src", str(KERAS), "--quantize", "int4"],
        "--quantize got 'int4'; allowed: none,",
    ),
    "float16": (lambda *_: ["--src", str(KERAS), "--quantize", "float16"], "TFLM cannot run dynamic-range or float16"),
    "wrong shape": (
        lambda tmp, _: ["--src", str(KERAS), *calibrated(tmp, x=np.zeros((5, 2), np.float32))],
        r"--calibration 'data.npz' for input 'x' has shape \(5, 2\); allowed: \(samples, 1\)",
    ),
    "wrong name": (
        lambda tmp, _: ["--src", str(KERAS), *calibrated(tmp, a=np.zeros((5, 1)), b=np.zeros((5, 1)))],
        "has the arrays a, b; the model's inputs are x",
    ),
    "wrong type": (
        lambda tmp, _: ["--src", str(KERAS), *calibrated(tmp, x=np.array([["a"], ["b"]]))],
        r"has elements of <U1; allowed: floating point or integers",
    ),
    "no samples": (lambda tmp, _: ["--src", str(KERAS), *calibrated(tmp, x=np.zeros((0, 1), "f"))], "holds no sample"),
    "not finite": (
        lambda tmp, _: ["--src", str(KERAS), *calibrated(tmp, x=np.array([[1.0], [np.nan], [np.inf]], "f"))],
        "has values that are NaN or infinite: 2",
    ),
    "pickled": (
        lambda tmp, _: ["--src", str(KERAS), *calibrated(tmp, x=np.array([{}], dtype=object))],
        "holds pickled Python objects, which may run code",
    ),
    "missing calibration": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", str(tmp / "no.npz")],
        r"--calibration 'no.npz' cannot be read: No such file",
    ),
    "garbage calibration": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", source(tmp, "g.npz", b"PK\x03\x04garbage")[1]],
        "--calibration 'g.npz' is not a valid .npz file",
    ),
    "calibration of another kind": (
        lambda tmp, _: ["--src", str(KERAS), *INT8, "--calibration", source(tmp, "c.csv", b"1,2")[1]],
        "--calibration got 'c.csv'; allowed: .npz, .npy, a folder",
    ),
    "no random samples": (
        lambda *_: ["--src", str(KERAS), *INT8, "--calibration", "random:0"],
        "random data is random:N with N from 1",
    ),
    "a model that kills the interpreter": (
        lambda tmp, _: killer(tmp),
        r"TFLM cannot run this model: .*the interpreter was ended by SIG",
    ),
    "hybrid model": (
        lambda tmp, _: hybrid(tmp),
        r"layer 'y' \(FULLY_CONNECTED\) has int8 weights under float32 activations: a hybrid",
    ),
    "op without a kernel": (
        lambda _, models: ["--src", str(models / "gelu.keras")],
        r"layer '.*' needs the op GELU, for which TFLM has no kernel",
    ),
    "out of tolerance": (
        lambda *_: [
            "--src",
            str(KERAS),
            "--quantize",
            "int16x8",
            "--calibration",
            str(HELLO_WORLD / "calibration.npz"),
            "--max-lsb",
            "0",
        ],
        r"differs from LiteRT's by \d+ steps in golden vector \d+; allowed by --max-lsb: 0; each layer is within",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, tflm_build: Run, keras_models: Path, tmp_path: Path) -> None:
    make, message = CASES[case]
    out = tmp_path / "out"
    result = tflm_build("convert", "--name", "model", *make(tmp_path, keras_models), "--out-dir", out, "--quiet")
    assert result.returncode == 1, result
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if not re.search(": (note|warning): ", line)]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("tflm-build: error: model: ")
    assert re.search(message, lines[0]), lines[0]
    assert not out.exists()
