# SPDX-License-Identifier: Apache-2.0
"""Compare pairs of models that should answer the same, on LiteRT and on TFLM: in a child process."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tflm_build.arrays import Array, distance
from tflm_build.model.flatbuffer import load
from tflm_build.tasks.attempt import SECONDS, attempt
from tflm_build.tasks.run_litert import RESOLVERS, run_vectors
from tflm_build.tasks.run_vectors import outputs_of, run_vectors_on_tflm
from tflm_build.tasks.stand_in import tflm_runtime
from tflm_build.tasks.trace_tflm import SIZES

__all__ = ["run"]

_Asked = tuple[bytes, Sequence[Array]]
_Answers = Sequence[Array] | None


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run both models of each pair on the same vectors.

    Args:
        request: `count` of pairs; of pair N `before.N` and `after.N`: flatbuffers, the second empty where the first
            should answer its only input; `inputs.N`: per input an array (vectors, *shape).

    Returns:
        `litert`, `tflm`: per pair the largest difference of an element; -1 where the interpreter does not run both.
        `mixed`: the same of the second model on TFLM from the first on LiteRT.
    """
    pairs = range(request["count"])
    given = [request[f"inputs.{place}"] for place in pairs]
    answers = {}
    for when in ("before", "after"):
        asked = [(request[f"{when}.{place}"], given[place]) for place in pairs]
        for name, interpreter in (("litert", _on_litert), ("tflm", _on_tflm)):
            answers[when, name] = _answer(interpreter, asked)
    return {
        title: [_difference(*pair) for pair in zip(answers["before", one], answers["after", other], strict=True)]
        for title, one, other in (("litert", "litert", "litert"), ("tflm", "tflm", "tflm"), ("mixed", "litert", "tflm"))
    }


def _answer(
    interpreter: Callable[[bytes, Sequence[Array]], Sequence[Array]], asked: Sequence[_Asked]
) -> list[_Answers]:
    """Return what models answer, None for those that do not run; those that end the process are found by halving."""
    work = partial(_answer_here, interpreter, asked)
    found = attempt(work, SECONDS * sum(len(inputs[0]) for _, inputs in asked))
    if found is not None:
        return [found.get(str(place)) for place in range(len(asked))]
    if len(asked) == 1:
        return [None]
    half = len(asked) // 2
    return [*_answer(interpreter, asked[:half]), *_answer(interpreter, asked[half:])]


def _answer_here(
    interpreter: Callable[[bytes, Sequence[Array]], Sequence[Array]], asked: Sequence[_Asked]
) -> dict[str, Any]:
    """Run models in this process."""
    found = {}
    for place, (flatbuffer, inputs) in enumerate(asked):
        with contextlib.suppress(RuntimeError, ValueError, ImportError):
            found[str(place)] = list(interpreter(flatbuffer, inputs) if flatbuffer else inputs)
    return found


def _on_litert(flatbuffer: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """Run a model on the first kernels of LiteRT that run it."""
    for resolver in RESOLVERS[:-1]:
        with contextlib.suppress(RuntimeError, ValueError):
            return run_vectors(flatbuffer, inputs, resolver)
    return run_vectors(flatbuffer, inputs, RESOLVERS[-1])


def _on_tflm(flatbuffer: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """Run a model on TFLM."""
    count = len(load(flatbuffer).subgraphs[0].outputs)
    interpreter = tflm_runtime().Interpreter.from_bytes(flatbuffer, [], SIZES[0])
    return run_vectors_on_tflm(interpreter, zip(*inputs, strict=True), outputs_of(interpreter, count))


def _difference(some: _Answers, others: _Answers) -> float:
    """Return the largest difference; -1 where one is missing."""
    if some is None or others is None:
        return -1.0
    pairs = list(zip(some, others, strict=True))
    if any(one.shape != other.shape or one.dtype != other.dtype for one, other in pairs):
        return float("inf")
    return max(float(np.nan_to_num(distance(*pair), nan=np.inf).max(initial=0)) for pair in pairs)
