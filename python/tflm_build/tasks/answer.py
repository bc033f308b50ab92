# SPDX-License-Identifier: Apache-2.0
"""Let a model answer on TFLM, in a child process, and nothing else."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError
from tflm_build.tasks.attempt import SECONDS, attempt_vectors, words
from tflm_build.tasks.run_vectors import outputs_of, run_vectors_on_tflm
from tflm_build.tasks.stand_in import tflm_runtime
from tflm_build.tasks.trace_tflm import SIZES, lacks_memory, printed_allocations

__all__ = ["run", "run_on_tflm"]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a model on vectors.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (vectors, *shape) in the tensor's type; `outputs`: their
            number; `in_order`: whether an answer depends on the vectors before, true where it is not said.

    Returns:
        `outputs`: per output an array (vectors, *shape).

    Raises:
        TflmBuildError: TFLM does not run it.
    """
    in_order = request.get("in_order", True)
    found = run_on_tflm(request["flatbuffer"], request["inputs"], request["outputs"], in_order=in_order)
    if found is None:
        msg = f"TFLM cannot run this model: {words()}"
        raise TflmBuildError(msg)
    return {"outputs": found[1]}


def run_on_tflm(
    flatbuffer: bytes, inputs: Sequence[Array], outputs: int, *, in_order: bool = True
) -> tuple[int, list[Array]] | None:
    """Return the arena that is used and what is answered; None where TFLM does not run the model."""
    for size in SIZES:
        work = partial(_run_here, flatbuffer, outputs, size)
        answer = attempt_vectors(work, inputs, SECONDS, in_order=in_order)
        if answer is not None:
            return sum(printed_allocations()), answer["outputs"]
        if not lacks_memory():
            break
    return None


def _run_here(flatbuffer: bytes, outputs: int, size: int, inputs: Sequence[Array]) -> dict[str, Any]:
    """Run vectors in this process."""
    interpreter = tflm_runtime().Interpreter.from_bytes(flatbuffer, arena_size=size)
    answers = run_vectors_on_tflm(interpreter, zip(*inputs, strict=True), outputs_of(interpreter, outputs))
    interpreter.print_allocations()
    return {"outputs": answers}
