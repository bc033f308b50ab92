# SPDX-License-Identifier: Apache-2.0
"""Compare two models on TFLM, tensor by tensor and channel by channel, in a child process."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tflm_build.arrays import Array, distance
from tflm_build.tasks.attempt import SECONDS, attempt, words
from tflm_build.tasks.run_vectors import outputs_of, run_vectors_on_tflm
from tflm_build.tasks.stand_in import tflm_runtime
from tflm_build.tasks.trace_tflm import SIZES, lacks_memory, refuse_stale, trace_ends
from tflm_build.used_memory import PATTERNS

__all__ = ["run"]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run both models on the same vectors, and compare what their operators write.

    Args:
        request: `before` and `after`: flatbuffers; `inputs`: per input an array (vectors, *shape) in the tensor's type;
            `outputs`: their number; `tensors`: pairs of places, a tensor of `before` and its counterpart in `after`;
            `kept`, `low`, `high`: per pair, of each channel of `before`: whether `after` has it, and the ends that all
            its elements are claimed to lie between; arrays of length 0 claim nothing.

    Returns:
        `arena`: bytes that TFLM shares among activations and keeps, of both; empty where it does not run `before`, and
        nothing else is there then. `differences`: arrays with a number per pair, and one per output: the largest
        difference of elements that both have, and the vector that has it, -1 for none; the elements outside of their
        ends, 0 for outputs. Where there are no numbers of pairs, all vectors were compared by the outputs alone. It is
        infinite where TFLM does not run `after`.

    Raises:
        TflmBuildError: an operator of `before` reads memory that nobody wrote, so that nothing can be compared.
    """
    flatbuffers, outputs = (request["before"], request["after"]), request["outputs"]
    inputs = [array[:1] for array in request["inputs"]]  # a loop need not end: the first vector finds it
    before, after = (_run(flatbuffer, inputs, outputs) for flatbuffer in flatbuffers)
    if before is None:
        return {"arena": []}
    rows = [] if after is None else _compare(request)
    if after is not None and not rows:
        before, after = (_run(flatbuffer, request["inputs"], outputs) for flatbuffer in flatbuffers)
    if before is None or after is None:
        return {"arena": [0, 0], "differences": [np.array(column) for column in ([np.inf], [0], [0])]}
    (arena, answers), (other_arena, other_answers) = before, after
    rows += [(*_difference(one, other), 0) for one, other in zip(answers, other_answers, strict=True)]
    return {"arena": [arena, other_arena], "differences": [np.array(column) for column in zip(*rows, strict=True)]}


def _run(flatbuffer: bytes, inputs: Sequence[Array], outputs: int) -> tuple[int, list[Array]] | None:
    """Return the arena that is used and what is answered; None where TFLM does not run the model."""
    for size in SIZES:
        answer = attempt(partial(_run_here, flatbuffer, inputs, outputs, size), SECONDS * len(inputs[0]))
        if answer is not None:
            parts = re.findall(r"Arena allocation (?:head|tail) (\d+) bytes", words(whole=True))
            return sum(map(int, parts[-2:])), answer["outputs"]
        if not lacks_memory():
            break
    return None


def _run_here(flatbuffer: bytes, inputs: Sequence[Array], outputs: int, size: int) -> dict[str, Any]:
    """Run vectors in this process."""
    interpreter = tflm_runtime().Interpreter.from_bytes(flatbuffer, arena_size=size)
    answers = run_vectors_on_tflm(interpreter, zip(*inputs, strict=True), outputs_of(interpreter, outputs))
    interpreter.print_allocations()
    return {"outputs": answers}


def _compare(request: dict[str, Any]) -> list[tuple[float, int, int]]:
    """Return a row for each pair of tensors; none where TFLM does not run both models while it keeps all tensors."""
    before, after = (trace_ends(request[which], request["inputs"], PATTERNS[0]) for which in ("before", "after"))
    if not before or not after:
        return []
    rows = []
    pairs = zip(request["tensors"], request["kept"], request["low"], request["high"], strict=True)
    for (one, other), kept, low, high in pairs:
        if one not in before or other not in after:
            rows.append((0.0, -1, 0))
            continue
        seen = before[one]
        outside = int(((seen < low) | (seen > high)).sum()) if len(low) else 0
        rows.append((*_difference(seen[..., kept] if len(kept) else seen, after[other]), outside))
    if any(difference or outside for difference, _, outside in rows):  # the fault may be the model's
        again = trace_ends(request["before"], request["inputs"], PATTERNS[1])
        refuse_stale(request["before"], before, again)
    return rows


def _difference(one: Array, other: Array) -> tuple[float, int]:
    """Return the largest difference of two arrays (vectors, ...), and the vector that has it."""
    if one.shape != other.shape:
        return float("inf"), 0
    far = np.nan_to_num(distance(one, other), nan=np.inf).reshape(len(one), -1).max(axis=1, initial=0.0)
    vector = int(far.argmax())
    return float(far[vector]), vector if far[vector] else -1
