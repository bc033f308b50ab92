# SPDX-License-Identifier: Apache-2.0
"""Compare the command's start-up with one import of TensorFlow."""

import os
import subprocess
import sys
import time

__all__ = ["main"]

ROUNDS = 5


def seconds(*command: str) -> float:
    """Return the wall-clock time of a command that works."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return time.perf_counter() - start


def main() -> None:
    """Print the best of some rounds, taken in turns so that both meet the same machine."""
    peers = {
        "tflm-build --help": (sys.executable, "-m", "tflm_build", "--help"),
        "import tensorflow": (sys.executable, "-c", "import tensorflow"),
    }
    best = dict.fromkeys(peers, float("inf"))
    for _ in range(ROUNDS):
        for name, command in peers.items():
            best[name] = min(best[name], seconds(*command))
    ours, peer = best.values()
    print(f"start-up, best of {ROUNDS}: " + ", ".join(f"{name} {time_:.2f} s" for name, time_ in best.items()))
    print(f"  ratio {ours / peer:.3f} (goal: under 0.333)\n")
