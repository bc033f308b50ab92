# SPDX-License-Identifier: Apache-2.0
"""A task for `test_child.py`: it runs in a child and does what it is told."""

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from tflm_build.errors import TflmBuildError


def run(request: dict[str, Any]) -> dict[str, Any]:
    what = request["what"]
    if what == "echo":
        print("libraries print where they should not")
        return request
    if what == "die":
        print("about to die", file=sys.stderr, flush=True)
        ctypes.string_at(0)
    if what == "exit":
        os._exit(3)
    if what == "hang":
        hang(Path(request["file"]))
    if what == "eat":
        return {"size": len(bytearray(8 << 30))}
    if what == "refuse":
        msg = "this is\nrefused"
        raise TflmBuildError(msg)
    msg = "surprise"
    raise KeyError(msg)


def hang(file: Path) -> NoReturn:
    if os.fork() != 0:
        file.write_text(str(os.getpgid(0)))
    while True:
        time.sleep(1000)
