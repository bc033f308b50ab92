# SPDX-License-Identifier: Apache-2.0
"""Compare what compilers take to get a model of one megabyte into an object file: by .incbin, and as xxd's array."""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.speed import ROUNDS, peak_megabytes, report, run, seconds

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.hand_made import Model, Op, Tensor, flatbuffer

__all__ = ["main"]

WIDTH = 1024
COMPILERS = {
    "gcc": ("gcc", "-O2"),
    "arm-none-eabi-gcc": ("arm-none-eabi-gcc", "-O2", "-mcpu=cortex-m3", "-mthumb"),
    "clang": ("clang", "-O2"),
}


def dense_layer() -> bytes:
    """Return a model that is one dense layer, with a megabyte of random weights."""
    weights = np.frombuffer(os.urandom(WIDTH * WIDTH), np.int8).reshape(WIDTH, WIDTH)
    tensors = [
        Tensor("x", (1, WIDTH), "int8", 0.1),
        Tensor("w", (WIDTH, WIDTH), "int8", 0.01, 0, weights),
        Tensor("b", (WIDTH,), "int32", 0.001, 0, np.zeros(WIDTH, np.int32)),
        Tensor("y", (1, WIDTH), "int8", 2.0),
    ]
    return flatbuffer(
        Model("m", tensors, [Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 2), (3,))], (0,), (3,), 0)
    )


def main() -> None:
    """Print the best of some rounds for each compiler, taken in turns; and what it takes for nothing."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        (out / "source.tflite").write_bytes(dense_layer())
        convert = (sys.executable, "-m", "tflm_build", "convert", "--name", "m", "--out-dir", name)
        run(*convert, "--src", str(out / "source.tflite"))
        run("xxd", "-i", str(out / "m.tflite"), str(out / "array.c"))
        (out / "empty.c").touch()
        print(f"a dense layer with random weights, {(out / 'm.tflite').stat().st_size:,} bytes:")
        for compiler, words in COMPILERS.items():
            compile_ = (*words, "-c", "-o", str(out / "data.o"))
            # As the CMake package calls it where EMBED is left out.
            ours = (*compile_, "-I", name, "-x", "assembler-with-cpp", str(out / "m_data.S"))
            peer = (*compile_, str(out / "array.c"))
            rounds = [(seconds(lambda: run(*ours)), seconds(lambda: run(*peer))) for _ in range(ROUNDS)]  # noqa: B023 - called at once
            best = min(time for time, _ in rounds), min(time for _, time in rounds)
            report(f"{compiler}: time with .incbin, to xxd -i", "under 0.1", *best, "s")
            memory = peak_megabytes(*ours), peak_megabytes(*peer)
            report(f"{compiler}: peak memory with .incbin, to xxd -i", "under 0.2", *memory, "MB")
            print(f"  {compiler} takes {peak_megabytes(*compile_, str(out / 'empty.c')):.3g} MB for an empty file")
    print()
