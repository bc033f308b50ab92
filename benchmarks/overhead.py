# SPDX-License-Identifier: Apache-2.0
"""Count the instructions of an invocation through the runtime's API, and of one by TFLM's interpreter directly.

TFLM is the vendor's fork that the tests link; see CONTRIBUTING.md.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.speed import ROOT, report, run

sys.path.insert(0, str(ROOT / "tests"))

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.vendor_tflm import CXX, NATIVE, RENAMED, SOURCES, link

__all__ = ["main"]

INVOKES = 11  # against one: what comes before and after falls out


def small_cnn() -> bytes:
    """Make a CNN of two convolutions on 16 by 16 by 1, and a dense layer; 81,664 MACs."""
    generator = np.random.default_rng(5)

    def weights(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
        return generator.integers(-127, 128, shape, np.int8)

    stride = {"strideW": 2, "strideH": 2}
    tensors = [
        Tensor("x", (1, 16, 16, 1), "int8", 0.1),
        Tensor("w1", (8, 3, 3, 1), "int8", 0.01, 0, weights(8, 3, 3, 1)),
        Tensor("b1", (8,), "int32", 0.001, 0, np.zeros(8, np.int32)),
        Tensor("h1", (1, 8, 8, 8), "int8", 0.1),
        Tensor("w2", (16, 3, 3, 8), "int8", 0.01, 0, weights(16, 3, 3, 8)),
        Tensor("b2", (16,), "int32", 0.001, 0, np.zeros(16, np.int32)),
        Tensor("h2", (1, 4, 4, 16), "int8", 0.1),
        Tensor("w3", (10, 256), "int8", 0.01, 0, weights(10, 256)),
        Tensor("b3", (10,), "int32", 0.001, 0, np.zeros(10, np.int32)),
        Tensor("y", (1, 10), "int8", 0.5),
    ]
    ops = [
        Op("CONV_2D", "Conv2DOptions", (0, 1, 2), (3,), stride),
        Op("CONV_2D", "Conv2DOptions", (3, 4, 5), (6,), stride),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (6, 7, 8), (9,)),
    ]
    return flatbuffer(Model("cnn", tensors, ops, (0,), (9,), 0))


def instructions(*command: str) -> int:
    """Return how many instructions a program executes."""
    words = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command]
    counted = subprocess.run(words, check=True, capture_output=True, text=True).stderr
    found = re.search(r"Collected : (\d+)", counted)
    assert found, counted
    return int(found[1])


def main() -> None:
    """Print the share of the API in the instructions of an invocation."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        (out / "source.tflite").write_bytes(small_cnn())
        run(sys.executable, "-m", "tflm_build", "convert", "--name", "cnn", "--src", str(out / "source.tflite"),
            "--embed", "array", "--out-dir", name)  # fmt: skip
        objects = []
        for source in (ROOT / "benchmarks" / "overhead.cc", NATIVE, out / "cnn_ops.cc"):
            objects.append(out / f"{source.stem}.cc.o")
            run("g++", "-O2", *map(str, CXX), RENAMED, "-I", name, "-c", str(source), "-o", str(objects[-1]))
        for source in (*SOURCES, out / "cnn.c", out / "cnn_data.c"):
            objects.append(out / f"{source.stem}.c.o")
            flags = ("-std=c99", "-DTFLM_BUILD_NATIVE", "-I", str(ROOT / "runtime" / "include"), "-I", name)
            run("gcc", "-O2", *flags, "-c", str(source), "-o", str(objects[-1]))
        program = str(link(out / "overhead", *objects))
        ours, peer = (
            (instructions(program, way, str(INVOKES)) - instructions(program, way, "1")) / (INVOKES - 1)
            for way in ("api", "direct")
        )
        report("tflm_invoke(), to MicroInterpreter::Invoke() on a small CNN", "under 1.01", ours, peer, "instructions")
    print()
