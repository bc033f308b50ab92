# SPDX-License-Identifier: Apache-2.0
"""Compare what must be quick with a peer, in the same run: ratios, for a machine's own speed means nothing."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tflm_build.emit.c_source import byte_rows

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from support.hand_made import Model, Op, Tensor, flatbuffer  # noqa: E402 - it lies beside the tests

__all__ = ["main", "peak_megabytes"]

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "hello_world"
ROUNDS = 3
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
TEN_MEGABYTES = 10_000_000

PEAK_OF_CHILDREN = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""

PLAIN_CONVERSION = """
import sys, keras, numpy, tensorflow as tf
model = keras.models.load_model(sys.argv[1])
data = numpy.load(sys.argv[2])["x"]
converter = tf.lite.TFLiteConverter.from_keras_model(model)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([data[i : i + 1]] for i in range(len(data)))
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.convert()
"""

TWENTY_RUNS = """
import sys
from tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=1 << 24)
for _ in range(20):
    interpreter.invoke()
"""


def seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock time of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(*command: str) -> None:
    """Run a command that has to work."""
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)


def peak_megabytes(*command: str) -> float:
    """Return the largest resident set that a command, or a process that it started, reached.

    A process counts what the one that starts it has, until it becomes another program: so a small one starts it.
    """
    starter = (sys.executable, "-I", "-S", "-c", PEAK_OF_CHILDREN)
    result = subprocess.run([*starter, *command], check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    return int(result.stdout) / 1024


def dense_layers() -> bytes:
    """Make a model of 300 KB: thirty dense layers of 100 by 100 weights."""
    tensors, ops = [Tensor("x", (1, 100), "int8", 0.5)], []
    for index in range(30):
        weights = np.frombuffer(os.urandom(10_000), np.int8).reshape(100, 100)
        tensors += [Tensor("w", (100, 100), "int8", 0.5, 0, weights), Tensor("y", (1, 100), "int8", 0.5)]
        ends = (2 * index, 2 * index + 1, -1), (2 * index + 2,)
        ops.append(Op("FULLY_CONNECTED", "FullyConnectedOptions", *ends))
    return flatbuffer(Model("large", tensors, ops, (0,), (60,), 0))


def convolutions() -> bytes:
    """Make a model of 114 million multiply-accumulates: convolutions of an image of 64 by 64, and one for all of it."""
    tensors, ops = [Tensor("x", (1, 64, 64, 3), "int8", 0.5)], []
    for index, (channels, stride) in enumerate([(3, 1), (96, 1), (96, 1), (96, 1), (96, 64)]):
        weights = np.frombuffer(os.urandom(96 * channels), np.int8).reshape(96, 1, 1, channels)
        tensors += [
            Tensor("w", weights.shape, "int8", 0.01, 0, weights),
            Tensor("b", (96,), "int32", 0.005, 0, np.zeros(96, np.int32)),
            Tensor("y", (1, 64 // stride, 64 // stride, 96), "int8", 0.5),
        ]
        settings = {"strideW": stride, "strideH": stride, "dilationWFactor": 1, "dilationHFactor": 1}
        ends = (3 * index, 3 * index + 1, 3 * index + 2), (3 * index + 3,)
        ops.append(Op("CONV_2D", "Conv2DOptions", *ends, settings))
    return flatbuffer(Model("convolutions", tensors, ops, (0,), (15,), 0))


def report(title: str, goal: str, ours: float, peer: float, unit: str) -> None:
    """Print one comparison."""
    print(f"{title}: {ours:.3g} {unit} to {peer:.3g} {unit}, ratio {ours / peer:.3f} (goal: {goal})")


def main() -> None:
    """Print the best of some rounds, taken in turns so that both meet the same machine."""
    tflm_build = (sys.executable, "-m", "tflm_build")
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        data = out / "ten_megabytes"
        data.write_bytes(os.urandom(TEN_MEGABYTES))
        keras = (str(EXAMPLE / "hello_world.keras"), str(EXAMPLE / "calibration.npz"))
        convert = (*tflm_build, "convert", "--name", "m", "--out-dir", name)
        from_keras = (*convert, "--src", keras[0], "--quantize", "int8", "--calibration", keras[1])
        run(*from_keras)
        source = out / "source.tflite"
        (out / "m.tflite").rename(source)
        large = out / "large.tflite"
        large.write_bytes(dense_layers())
        slow = out / "slow.tflite"
        slow.write_bytes(convolutions())

        pairs: dict[str, tuple[str, Callable[[], object], Callable[[], object]]] = {
            "tflm-build --help, to import tensorflow": (
                "under 0.333",
                lambda: run(*tflm_build, "--help"),
                lambda: run(sys.executable, "-c", "import tensorflow"),
            ),
            "a .tflite from start to end, to import tensorflow": (
                "under 1",
                lambda: run(*convert, "--src", str(source)),
                lambda: run(sys.executable, "-c", "import tensorflow"),
            ),
            "to inspect a .tflite of 300 KB, to import tensorflow": (
                "under 0.333",
                lambda: run(*tflm_build, "inspect", str(large)),
                lambda: run(sys.executable, "-c", "import tensorflow"),
            ),
            "a .tflite of 114 million MACs from start to end, to run it 20 times": (
                "under 1.5",
                lambda: run(*convert, "--src", str(slow)),
                lambda: run(sys.executable, "-c", TWENTY_RUNS, str(slow)),
            ),
            "10 MB as a C array, to xxd -i": (
                "under 0.1",
                lambda: (out / "ours.c").write_bytes(byte_rows(data.read_bytes())),
                lambda: run("xxd", "-i", str(data), str(out / "theirs.c")),
            ),
        }
        for title, (goal, ours, peer) in pairs.items():
            rounds = [(seconds(ours), seconds(peer)) for _ in range(ROUNDS)]
            report(title, goal, min(ours for ours, _ in rounds), min(peer for _, peer in rounds), "s")
        peak = peak_megabytes(*from_keras)
        plain = peak_megabytes(sys.executable, "-c", PLAIN_CONVERSION, *keras)
        report("peak memory of a conversion, to TensorFlow's convert()", "under 1.2", peak, plain, "MB")
    print()
