# SPDX-License-Identifier: Apache-2.0
"""The generated registration of ops, compiled against a real TFLM's headers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer, flatbuffers, schema
from support.tiny_models import run
from support.vendor_tflm import compile_cxx, link, undefined_symbols

HERE = Path(__file__).parent
GENERATOR = np.random.default_rng(5)


def weights(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """Return random weights."""
    return GENERATOR.integers(-127, 127, shape, np.int8)


def small_cnn() -> Model:
    """Return an int8 model whose ops have kernels of their own for int8, but for one."""
    tensors = [
        Tensor("image", (1, 4, 4, 2), "int8", 0.5),
        Tensor("filter", (2, 3, 3, 2), "int8", 0.25, 0, weights(2, 3, 3, 2)),
        Tensor("bias", (2,), "int32", 0.125, 0, np.zeros(2, np.int32)),
        Tensor("convolved", (1, 4, 4, 2), "int8", 4.0),
        Tensor("scaled", (1, 4, 4, 2), "int8", 2.0),
        Tensor("shape", (2,), "int32", 0.0, 0, np.array([1, 32], np.int32)),
        Tensor("flat", (1, 32), "int8", 2.0),
        Tensor("dense", (3, 32), "int8", 0.25, 0, weights(3, 32)),
        Tensor("scores", (1, 3), "int8", 8.0),
        Tensor("probabilities", (1, 3), "int8", 1 / 256, -128),
    ]
    ops = [
        Op("CONV_2D", "Conv2DOptions", (0, 1, 2), (3,), {"strideW": 1, "strideH": 1}),
        Op("MUL", "MulOptions", (3, 3), (4,)),
        Op("RESHAPE", "ReshapeOptions", (4, 5), (6,)),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (6, 7, -1), (8,)),
        Op("SOFTMAX", "SoftmaxOptions", (8,), (9,), {"beta": 1.0}),
    ]
    return Model("small_cnn", tensors, ops, (0,), (9,), 16384)


def convert(folder: Path, model: Model, data: bytes) -> Path:
    """Convert a model by the command; return the registration of its ops."""
    source = folder / f"{model.name}.tflite"
    source.write_bytes(data)
    command = [sys.executable, "-m", "tflm_build", "convert", "--name", model.name, "--src", str(source)]
    subprocess.run([*command, "--out-dir", str(folder / "out"), "--quiet"], check=True)
    return folder / "out" / f"{model.name}_ops.cc"


@pytest.fixture(scope="module")
def registration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the registration of the small CNN's ops."""
    return convert(tmp_path_factory.mktemp("registration"), small_cnn(), flatbuffer(small_cnn()))


OPTIMIZED = ("-DCMSIS_NN",)  # then the headers declare kernels for some types alone


def kernels(binary: Path) -> set[str]:
    """Return the kernels that an object asks for."""
    names = undefined_symbols(binary)
    prefix = "tflite_micro::Register_"
    return {name.removeprefix(prefix).removesuffix("()") for name in names if name.startswith(prefix)}


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_kernels_for_the_types_alone(registration: Path, compiler: str, tmp_path: Path) -> None:
    """Ask for exactly the ops, in their typed form where the headers have it; the fork's have none for RESHAPE."""
    general = compile_cxx(tmp_path / "general.o", registration, "-I", registration.parent, compiler=compiler)
    assert kernels(general) == {"CONV_2D", "MUL", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"}
    flags = (*OPTIMIZED, registration, "-I", registration.parent)
    typed = compile_cxx(tmp_path / "typed.o", *flags, compiler=compiler)
    assert kernels(typed) == {"CONV_2D_INT8", "MUL_INT8", "RESHAPE", "FULLY_CONNECTED_INT8", "SOFTMAX_INT8"}


def test_nothing_is_destroyed_or_allocated(registration: Path, tmp_path: Path) -> None:
    """Want no destructor at exit, no guard of a static, no heap.

    One exception stands in the vtable of TFLM's own class, which no call reaches: without TF_LITE_STATIC_MEMORY, its
    destructor has a form that deletes.
    """
    symbols = undefined_symbols(compile_cxx(tmp_path / "ops.o", "-Os", registration, "-I", registration.parent))
    assert not {symbol for symbol in symbols if symbol.startswith(("__cxa", "__dso", "operator new", "malloc"))}


REFUSING = """
#include "{name}.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"
int main() {{ return {name}_op_resolver() != nullptr; }}
"""


def test_an_op_that_is_refused(registration: Path, tmp_path: Path) -> None:
    """Return no resolver, instead of one that lacks an op: here the same op is registered twice."""
    twice = registration.read_text().replace(
        "resolver.AddReshape()", "resolver.AddReshape() == kTfLiteOk && resolver.AddReshape()"
    )
    (tmp_path / "small_cnn.h").write_text('extern "C" const void *small_cnn_op_resolver(void);\n')
    (tmp_path / "twice.cc").write_text(twice)
    (tmp_path / "main.cc").write_text(REFUSING.format(name="small_cnn"))
    objects = [
        compile_cxx(tmp_path / f"{name}.o", tmp_path / f"{name}.cc", "-I", tmp_path) for name in ("twice", "main")
    ]
    done = run(link(tmp_path / "program", *objects))
    assert done.returncode == 0
    assert "AddBuiltin with the same op more than" in done.stdout + done.stderr


def test_a_scale_for_each_output(tmp_path: Path) -> None:
    """Refuse to compile where TFLM would take the first scale of dense weights for all: the fork is such a one."""
    model = schema.ModelT.InitFromPackedBuf(flatbuffer(small_cnn()), 0)
    dense = model.subgraphs[0].tensors[7].quantization
    dense.scale, dense.zeroPoint = [0.25, 0.5, 0.125], [0, 0, 0]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    registration = convert(tmp_path, small_cnn(), bytes(builder.Output()))
    with pytest.raises(
        AssertionError, match="small_cnn has one for each; take a newer TFLM, or pass the option DENSE_SCALES tensor"
    ):
        compile_cxx(tmp_path / "ops.o", registration, "-I", registration.parent)
    compile_cxx(tmp_path / "ops.o", "-DTFLM_BUILD_PER_CHANNEL", registration, "-I", registration.parent)
