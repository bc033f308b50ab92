# SPDX-License-Identifier: Apache-2.0
"""Run vectors one after another on an interpreter of TFLM that is open: all tasks do it here."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tflm_build.arrays import Array
from tflm_build.tasks.attempt import SECONDS, end_after

__all__ = ["outputs_of", "run_vectors_on_tflm"]


def run_vectors_on_tflm(
    interpreter: Any, vectors: Iterable[Sequence[Array]], read: Callable[[], list[Any]]
) -> list[Array]:
    """Invoke a model for each vector, which has its own time: a loop that its input bounds is found at the first.

    Args:
        interpreter: the `Interpreter` of the wheel.
        vectors: of each, the elements of every input.
        read: what is kept of a run: arrays.

    Returns:
        Per array of `read` one of all vectors (vectors, *shape).
    """
    kept = []
    for vector in vectors:
        end_after(SECONDS)
        for index, value in enumerate(vector):
            interpreter.set_input(value, index)
        interpreter.invoke()
        kept.append([np.array(value) for value in read()])
    return [np.stack(column) for column in zip(*kept, strict=True)]


def outputs_of(interpreter: Any, count: int) -> Callable[[], list[Any]]:
    """Return what reads the first outputs of a model."""
    return lambda: [interpreter.get_output(index) for index in range(count)]
