# SPDX-License-Identifier: Apache-2.0
"""Tiny models with their C descriptors, made without our compiler, and the compiler's command line for them."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

from support import ROOT
from support.every_kind import counter
from support.hand_made import Model, Op, Tensor, flatbuffer

RUNTIME = ROOT / "runtime"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SOURCES = [RUNTIME / "src" / name for name in ("check.c", "model.c", "host.c", "host_process.c")]


def _c_tensors(name: str, tensors: list[Tensor]) -> str:
    text = ""
    for index, tensor in enumerate(tensors):
        text += f"static const int32_t {name}_shape_{index}[] = {{{', '.join(map(str, tensor.shape))}}};\n"
    text += f"static const tflm_tensor {name}[] = {{\n"
    for index, tensor in enumerate(tensors):
        size = int(np.prod(tensor.shape)) * np.dtype(tensor.dtype).itemsize
        text += (
            f'  {{"{tensor.name}", {name}_shape_{index}, {len(tensor.shape)}, TFLM_{tensor.dtype.upper()}, {size}, '
            f"{tensor.scale!r}f, {tensor.zero_point}}},\n"
        )
    return text + "};\n"


def c_source(model: Model, op_resolver: str = "NULL") -> str:
    """Return the model's data and descriptor as C99; the resolver is a function's name, for the native backend."""
    state, data = "0, 0", flatbuffer(model)
    if model.name == "counter":
        state, data = "16, 1", counter(COUNTER_FIRST)  # bytes, and variables
    name = model.name
    return (
        '#include "tflm_build/model.h"\n'
        + ("" if op_resolver == "NULL" else f"extern const void *{op_resolver}(void);\n")
        + f"static const TFLM_ALIGNED unsigned char data[] = {{{','.join(map(str, data))}}};\n"
        + _c_tensors("inputs", [model.tensors[index] for index in model.inputs])
        + _c_tensors("outputs", [model.tensors[index] for index in model.outputs])
        + f"extern const tflm_model {name}_model;\n"
        f'const tflm_model {name}_model = {{TFLM_MODEL_MAGIC, TFLM_MODEL_VERSION, "{name}", data, sizeof data, '
        f"{zlib.crc32(data)}u, {model.arena_size}, inputs, {len(model.inputs)}, outputs, {len(model.outputs)}, "
        f"{state}, {op_resolver}}};\n"
    )


DENSE_INPUT = (10, -20, 30, 127)
DENSE_WEIGHTS = np.array([[1, -2, 3, 4], [-5, 6, 7, -8], [9, 10, -11, 12]], np.int8)
DENSE_BIAS = np.array([10, -20, 30], np.int32)


def _dense() -> Model:
    """Return one int8 layer with four inputs and three outputs."""
    tensors = [
        Tensor("x", (1, 4), "int8", 0.5, 3),
        Tensor("w", (3, 4), "int8", 0.25, 0, DENSE_WEIGHTS),
        Tensor("b", (3,), "int32", 0.125, 0, DENSE_BIAS),
        Tensor("y", (1, 3), "int8", 2.0, -5),
    ]
    return Model("dense", tensors, [Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 2), (3,))], (0,), (3,), 4096)


def dense_expected(values: tuple[int, ...] = DENSE_INPUT) -> list[int]:
    """Work out the layer in real numbers and round once, for inputs whose result is not near a half."""
    real = 0.25 * DENSE_WEIGHTS.astype(np.float64) @ (0.5 * (np.array(values) - 3.0)) + 0.125 * DENSE_BIAS
    assert np.all(np.abs(real / 2.0 % 1.0 - 0.5) > 0.01)
    return [int(value) for value in np.clip(np.rint(real / 2.0) - 5, -128, 127)]


DENSE_DEFINES = [
    f"-DDENSE_INPUT={','.join(map(str, DENSE_INPUT))}",
    f"-DDENSE_EXPECTED={','.join(map(str, dense_expected()))}",
]
"""For the scenarios in C: an input of that model, and what it answers."""


def _pair() -> Model:
    """Return a float model with two inputs and two outputs: their sum and their product."""
    tensors = [Tensor(name, (1, 5), "float32") for name in ("a", "b", "sum", "product")]
    ops = [Op("ADD", "AddOptions", (0, 1), (2,)), Op("MUL", "MulOptions", (0, 1), (3,))]
    return Model("pair", tensors, ops, (0, 1), (2, 3), 4096)


def _bottleneck() -> Model:
    """Return a model whose input and output, 4096 bytes each, are more than the arena that TFLM needs for it."""
    ones = np.ones(1024, np.float32)
    tensors = [
        Tensor("wide_in", (1, 1024), "float32"),
        Tensor("gather", (1, 1024), "float32", data=ones),
        Tensor("narrow", (1, 1), "float32"),
        Tensor("spread", (1024, 1), "float32", data=ones),
        Tensor("wide_out", (1, 1024), "float32"),
    ]
    ops = [
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, -1), (2,)),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (2, 3, -1), (4,)),
    ]
    return Model("bottleneck", tensors, ops, (0,), (4,), 7680)


def _outside() -> Model:
    """Return a model that TFLM allocates and then fails to run: it gathers beyond the end of its table."""
    tensors = [
        Tensor("index", (1,), "int32"),
        Tensor("table", (4,), "int8", 1.0, 0, np.arange(4, dtype=np.int8)),
        Tensor("entry", (1,), "int8", 1.0, 0),
    ]
    return Model("outside", tensors, [Op("GATHER", "GatherOptions", (1, 0), (2,))], (0,), (2,), 4096)


def _wide() -> Model:
    """Return a model that TFLM allocates and never runs: it adds integers that are too wide for its kernel."""
    tensors = [Tensor(name, (1, 2), "int64") for name in ("a", "b", "sum")]
    return Model("wide", tensors, [Op("ADD", "AddOptions", (0, 1), (2,))], (0, 1), (2,), 4096)


COUNTER_FIRST = 2.5


def _counter() -> Model:
    """Return the ends of a model that adds its inputs up, from COUNTER_FIRST on: `counter()`."""
    tensors = [Tensor(name, (1, 4), "float32") for name in ("x", "y")]
    return Model("counter", tensors, [], (0,), (1,), 8192)


MODELS = {model.name: model for model in (_dense(), _pair(), _bottleneck(), _outside(), _wide(), _counter())}


def compile_c(output: Path, *arguments: str | Path) -> Path:
    """Compile and link with the strictest warnings; raise with the compiler's words."""
    command = ["gcc", *STRICT, "-I", RUNTIME / "include", "-I", RUNTIME / "src", *arguments, "-o", output]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


def run(*command: str | Path, timeout: int = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a test program, whose helper is this Python unless the environment says otherwise."""
    full = {**os.environ, "TFLM_BUILD_PYTHON": sys.executable, **environment}
    words = [str(word) for word in command]
    return subprocess.run(words, env=full, capture_output=True, text=True, check=False, timeout=timeout)
