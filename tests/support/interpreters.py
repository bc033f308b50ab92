# SPDX-License-Identifier: Apache-2.0
"""What tests compare with, and where it lies: both interpreters, called here and not through the code under test."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from support import ROOT

HELLO_WORLD = ROOT / "examples" / "hello_world"

Array = np.ndarray[Any, Any]
Run = Callable[..., subprocess.CompletedProcess[str]]


def read_manifest(folder: Path) -> Any:
    """Read the only manifest of a folder."""
    (path,) = folder.glob("*.json")
    return json.loads(path.read_text())


def litert_outputs(model: bytes, inputs: Sequence[Array]) -> list[Array]:
    """Run LiteRT's reference kernels here: what the code under test is compared with."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def tflm_outputs(model: bytes, inputs: Sequence[Array], outputs: int = 1) -> list[Array]:
    """Run TFLM here, in an arena that is large enough for every model of the tests."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    for index, value in enumerate(inputs):
        interpreter.set_input(value, index)
    interpreter.invoke()
    return [np.array(interpreter.get_output(index)) for index in range(outputs)]
