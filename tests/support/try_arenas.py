# SPDX-License-Identifier: Apache-2.0
"""Say in which arenas models work: `try_arenas.py FILE.npz...`, each with a flatbuffer, inputs and sizes in bytes.

Prints a line for each file: the sizes that TFLM allocates and runs the model in. Each is tried in a fork, because TFLM
may end the process where memory is short.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro import runtime


def works(flatbuffer: bytes, inputs: list[Any], size: int) -> bool:
    process = os.fork()
    if process == 0:
        signal.alarm(20)
        try:
            interpreter = runtime.Interpreter.from_bytes(flatbuffer, arena_size=size)
            for index, value in enumerate(inputs):
                interpreter.set_input(value, index)
            interpreter.invoke()
        except Exception:  # noqa: BLE001 - the exit status says it
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


for path in map(Path, sys.argv[1:]):
    with np.load(path) as arrays:
        inputs = [arrays[f"input{index}"] for index in range(len(arrays.files) - 2)]
        sizes = [int(size) for size in arrays["sizes"]]
        print(*(size for size in sizes if works(arrays["flatbuffer"].tobytes(), inputs, size)), flush=True)
