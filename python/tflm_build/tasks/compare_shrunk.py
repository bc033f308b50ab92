# SPDX-License-Identifier: Apache-2.0
"""Compare two models on TFLM, tensor by tensor and channel by channel, in a child process."""

from typing import Any

import numpy as np

from tflm_build.arrays import Array, distance
from tflm_build.passes.canonical import canonicalize
from tflm_build.tasks.answer import run_on_tflm
from tflm_build.tasks.trace_tflm import refuse_stale, trace_ends
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
    before, after = (run_on_tflm(flatbuffer, inputs, outputs) for flatbuffer in flatbuffers)
    if before is None:
        return {"arena": []}
    rows = [] if after is None else _compare(request)
    if after is not None and not rows:
        before, after = (run_on_tflm(flatbuffer, request["inputs"], outputs) for flatbuffer in flatbuffers)
    if before is None or after is None:
        return {"arena": [0, 0], "differences": [np.array(column) for column in ([np.inf], [0], [0])]}
    (arena, answers), (other_arena, other_answers) = before, after
    rows += [(*_difference(one, other), 0) for one, other in zip(answers, other_answers, strict=True)]
    return {"arena": [arena, other_arena], "differences": [np.array(column) for column in zip(*rows, strict=True)]}


def _compare(request: dict[str, Any]) -> list[tuple[float, int, int]]:
    """Return a row for each pair of tensors; none where TFLM does not run both models while it keeps all tensors."""
    models = [canonicalize(request[which]) for which in ("before", "after")]
    before, after = (trace_ends(model, request["inputs"], PATTERNS[0]) for model in models)
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
        again = trace_ends(models[0], request["inputs"], PATTERNS[1])
        refuse_stale(models[0], before, again)
    return rows


def _difference(one: Array, other: Array) -> tuple[float, int]:
    """Return the largest difference of two arrays (vectors, ...), and the vector that has it."""
    if one.shape != other.shape:
        return float("inf"), 0
    far = np.nan_to_num(distance(one, other), nan=np.inf).reshape(len(one), -1).max(axis=1, initial=0.0)
    vector = int(far.argmax())
    return float(far[vector]), vector if far[vector] else -1
