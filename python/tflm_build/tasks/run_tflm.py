# SPDX-License-Identifier: Apache-2.0
"""Run a model on the TFLM interpreter, in a child process, and find the smallest arena that it works in.

TFLM may kill its process on a damaged model or in an arena that is too small, so every attempt is a fork of the child.
"""

import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError

__all__ = ["run"]

_STEP: Final = 16  # bytes: what the arena's size is exact to
_ROOMY: Final = (1 << 24, 1 << 28)  # bytes: arenas that are tried before a model is held to need too much
_SECONDS: Final = 20  # for one vector: a model on a chip computes less than these kernels do in that time
_OUTPUTS, _WORDS = Path("attempt.npz"), Path("attempt.log")  # in the child's own folder

# TFLM says this when memory is what it lacks; the rest of what it says is about the model.
_LACK: Final = ("missing:", "Failed to allocate memory", "Failed to allocate temp", "Failed to allocate tail")


@dataclass(frozen=True)
class _Model:
    """What an attempt runs."""

    flatbuffer: bytes
    output_count: int


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a model on TFLM, and measure its arena.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (vectors, *shape) in the tensor's type; `output_count`; or
            instead `trace`, if one vector is to be followed: the tensors to report.

    Returns:
        `arena`: bytes, the smallest that allocates, invokes and answers the same; `head` and `tail`: bytes of it that
        activations share, and that are kept from allocation on; `outputs`: per output an array
        (vectors, *shape), computed in an arena of that size; `versions` of the interpreter.

    Raises:
        TflmBuildError: TFLM refuses the model, is killed by it, or needs more than 256 MiB.
    """
    try:
        import tflite_micro
    except ImportError as error:
        msg = (
            f"measuring needs the tflite-micro interpreter; got: {error}; pip install 'tflm-build[host]' (Linux on "
            "x86-64, CPython 3.10 to 3.13)"
        )
        raise TflmBuildError(msg) from error
    if "trace" in request:
        return {"trace": _trace(request["flatbuffer"], request["inputs"], request["trace"])}
    model = _Model(request["flatbuffer"], request["output_count"])
    first = [array[:1] for array in request["inputs"]]
    expected = _roomy(model, first)
    smallest = _bisect(model, first, expected)
    outputs = _attempt(model, smallest, request["inputs"])
    if outputs is None:
        msg = f"TFLM answers the first golden input but not all of them: {_words()}"
        raise TflmBuildError(msg)
    head, tail = _allocations()
    return {
        "arena": smallest,
        "head": head,
        "tail": tail,
        "outputs": outputs,
        "versions": {"tflite-micro": tflite_micro.__version__},
    }


def _roomy(model: _Model, inputs: list[Array]) -> list[Array]:
    """Run in an arena that leaves no doubt about its size, or say why TFLM does not run the model."""
    for size in _ROOMY:
        outputs = _attempt(model, size, inputs)
        if outputs is not None:
            return outputs
        if not any(word in _WORDS.read_text("utf-8", "replace") for word in _LACK):
            break
    msg = f"TFLM cannot run this model: {_words()}"
    raise TflmBuildError(msg)


def _bisect(model: _Model, inputs: list[Array], expected: list[Array]) -> int:
    """Return the smallest arena, in bytes, in which the model gives the expected outputs."""

    def works(steps: int) -> bool:
        outputs = _attempt(model, steps * _STEP, inputs)
        return outputs is not None and all(
            np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
            for left, right in zip(outputs, expected, strict=True)
        )

    low, high = 0, 64  # low fails, high works
    while not works(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if works(middle):
            high = middle
        else:
            low = middle
    return high * _STEP


def _attempt(model: _Model, arena: int, inputs: list[Array]) -> list[Array] | None:
    """Allocate and invoke in a fork; None when that fails or dies, with its words in _WORDS."""
    _OUTPUTS.unlink(missing_ok=True)
    with _WORDS.open("wb") as words:
        process = os.fork()
        if process == 0:
            signal.alarm(_SECONDS * len(inputs[0]))  # a loop in the model need not end
            os.dup2(words.fileno(), 1)
            os.dup2(words.fileno(), 2)
            os._exit(_attempt_here(model, arena, inputs))
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status < 0:
        end = signal.Signals(-status)
        how = "gave no answer in time and was ended" if end is signal.SIGALRM else f"was ended by {end.name}"
        with _WORDS.open("a") as words:
            words.write(f"\nthe interpreter {how}")
    if status != 0:
        return None
    with np.load(_OUTPUTS, allow_pickle=False) as outputs:
        return [outputs[name] for name in outputs.files]


def _attempt_here(model: _Model, arena: int, inputs: list[Array]) -> int:
    """Allocate and invoke in this process; the exit status says whether it worked."""
    from tflite_micro import runtime

    try:
        interpreter = runtime.Interpreter.from_bytes(model.flatbuffer, arena_size=arena)
        answers = []
        for vector in zip(*inputs, strict=True):
            for index, value in enumerate(vector):
                interpreter.set_input(value, index)
            interpreter.invoke()
            answers.append([np.array(interpreter.get_output(index)) for index in range(model.output_count)])
        interpreter.print_allocations()
    except Exception as error:  # noqa: BLE001 - it goes into _WORDS, behind what TFLM said
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        return 1
    np.savez(_OUTPUTS, *(np.stack(column) for column in zip(*answers, strict=True)))
    return 0


def _allocations() -> tuple[int, int]:
    """Read head and tail of the arena in what TFLM printed of the last attempt."""
    text = _WORDS.read_text("utf-8", "replace")
    head, tail = (re.findall(rf"Arena allocation {part} (\d+) bytes", text) for part in ("head", "tail"))
    return int(head[-1]), int(tail[-1])


def _trace(model: bytes, inputs: list[Array], tensors: list[int]) -> list[Array]:
    """Run one vector and keep every tensor, in this process."""
    from tflite_micro import runtime

    keep_all = runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_bytes(model, [], _ROOMY[-1], keep_all)
    for index, value in enumerate(inputs):
        interpreter.set_input(value[0], index)
    interpreter.invoke()
    return [np.array(interpreter.GetTensor(index, 0)["tensor_data"]) for index in tensors]


def _words() -> str:
    """Return what TFLM said of the last attempt, the reason first."""
    lines = [line for line in _WORDS.read_text("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(lines[:3]) or "no reason given"
