# SPDX-License-Identifier: Apache-2.0
"""Follow, on the TFLM interpreter, what each operator of a model writes."""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import store
from tflm_build.model.model import Model
from tflm_build.model.state import find_state
from tflm_build.passes.stand_alone import activations
from tflm_build.tasks.attempt import SECONDS, attempt_vectors, words
from tflm_build.tasks.run_vectors import run_vectors_on_tflm
from tflm_build.tasks.stand_in import tflm_runtime
from tflm_build.used_memory import fill_memory

__all__ = ["SIZES", "lacks_memory", "printed_allocations", "refuse_stale", "trace_ends"]

SIZES: Final = (1 << 24, 1 << 28)
"""Bytes: arenas that are tried before a model counts as too large."""

_LACK: Final = ("missing:", "Failed to allocate memory", "Failed to allocate temp", "Failed to allocate tail")


def trace_ends(model: Model, inputs: Sequence[Array], pattern: int) -> dict[int, Array]:
    """Run vectors one after another, and keep what operators of the main subgraph read and write in each run.

    Args:
        model: canonical.
        inputs: per input an array (vectors, *shape).
        pattern: the byte that memory is filled with.

    Returns:
        By the tensor's place an array (vectors, *shape), of all that are neither constants nor state; empty where TFLM
        does not run the model while it keeps all tensors.
    """
    operators = model.graph.subgraphs[0].operators
    tree = copy(model.tree)
    tree.metadata = None  # a plan of the memory contradicts keeping all tensors
    unplanned = store(tree)
    ends = (operand for operator in operators for operand in (*operator.reads, *operator.outputs))
    places = sorted({operand.place for operand in activations(ends)})
    for size in SIZES:
        work = partial(_trace_here, unplanned, places, size, pattern)
        traced = attempt_vectors(work, inputs, SECONDS, in_order=find_state(model.graph).kept)
        if traced is not None:
            return dict(zip(places, traced["tensors"], strict=True))
        if not lacks_memory():
            break
    return {}


def printed_allocations() -> tuple[int, int]:
    """Read head and tail of the arena, in bytes, in what TFLM printed of the last attempt."""
    text = words(whole=True)
    head, tail = (re.findall(rf"Arena allocation {part} (\d+) bytes", text) for part in ("head", "tail"))
    return int(head[-1]), int(tail[-1])


def lacks_memory() -> bool:
    """Say whether the last attempt failed because its arena was too small; what else TFLM says is about the model."""
    return any(lack in words(whole=True) for lack in _LACK)


def _trace_here(
    flatbuffer: bytes, tensors: Sequence[int], size: int, pattern: int, inputs: Sequence[Array]
) -> dict[str, Any]:
    """Trace in this process."""
    runtime = tflm_runtime()
    fill_memory(pattern)
    keep_all = runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_bytes(flatbuffer, [], size, keep_all)

    def read() -> list[Any]:
        return [interpreter.GetTensor(index, 0)["tensor_data"] for index in tensors]

    return {"tensors": run_vectors_on_tflm(interpreter, zip(*inputs, strict=True), read)}


def refuse_stale(model: Model, one: Mapping[int, Array], other: Mapping[int, Array]) -> None:
    """Refuse a model of which an operator answers otherwise in memory that held other data before.

    Args:
        model: the model.
        one: what `trace_ends` returned with one pattern.
        other: the same with the other.

    Raises:
        TflmBuildError: the first such operator.
    """
    for place, operator in enumerate(model.graph.subgraphs[0].operators):
        for operand in activations(operator.outputs):
            index = operand.place
            if index in one and index in other and not _same_bytes(one[index], other[index]):
                msg = (
                    f"Node {operator.op} (number {place}) reads memory that nobody wrote: TFLM answers otherwise in "
                    "an arena that held other data before; only an answer that the inputs alone decide is allowed; "
                    "replace the layer"
                )
                raise TflmBuildError(msg)


def _same_bytes(one: Array, other: Array) -> bool:
    """Say whether elements are the same, bit for bit: two NaNs may differ."""
    return one.shape == other.shape and np.array_equal(one.view(np.uint8), other.view(np.uint8))
