# SPDX-License-Identifier: Apache-2.0
"""Open the TFLM interpreter in memory that others have used, and follow what each operator of a model writes."""

import ctypes
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import indices, load, op_name
from tflm_build.passes.stand_alone import activations
from tflm_build.tasks.attempt import attempt, words

__all__ = ["PATTERNS", "SECONDS", "SIZES", "fill_memory", "lacks_memory", "refuse_stale", "trace_ends"]

Array = np.ndarray[Any, Any]

PATTERNS: Final = (0x47, 0xB8)
"""Bytes that memory is filled with before TFLM gets it: no bit is the same in both, so what depends on it differs."""

SIZES: Final = (1 << 24, 1 << 28)
"""Bytes: arenas that are tried before a model is held to need too much."""

SECONDS: Final = 20
"""For one vector: a model on a chip computes less than these kernels do in that time."""

_LACK: Final = ("missing:", "Failed to allocate memory", "Failed to allocate temp", "Failed to allocate tail")

_M_PERTURB: Final = -6  # mallopt(3): fill what malloc() hands out with the complement of a byte


def fill_memory(pattern: int) -> None:
    """Have all memory that this process allocates from now on filled with a byte: in a firmware no arena is clean."""
    ctypes.CDLL(None).mallopt(_M_PERTURB, ~pattern & 0xFF)


def trace_ends(flatbuffer: bytes, inputs: Sequence[Array], pattern: int) -> dict[int, Array]:
    """Run vectors one after another, and keep what operators of the main subgraph read and write in each run.

    Args:
        flatbuffer: the model.
        inputs: per input an array (vectors, *shape).
        pattern: the byte that memory is filled with.

    Returns:
        By the tensor's place an array (vectors, *shape), of all that are neither constants nor state; empty where TFLM
        does not run the model while it keeps all tensors.
    """
    model = load(flatbuffer)
    operators = model.subgraphs[0].operators
    ends = [end for operator in operators for end in (*indices(operator.inputs), *indices(operator.outputs))]
    places = sorted(set(activations(model, ends)))
    for size in SIZES:
        work = partial(_trace_here, flatbuffer, inputs, places, size, pattern)
        traced = attempt(work, SECONDS * len(inputs[0]))
        if traced is not None:
            return dict(zip(places, traced["tensors"], strict=True))
        if not lacks_memory():
            break
    return {}


def lacks_memory() -> bool:
    """Say whether the last attempt failed because its arena was too small; what else TFLM says is about the model."""
    return any(lack in words(whole=True) for lack in _LACK)


def _trace_here(
    flatbuffer: bytes, inputs: Sequence[Array], tensors: Sequence[int], size: int, pattern: int
) -> dict[str, Any]:
    """Trace in this process."""
    from tflite_micro import runtime

    fill_memory(pattern)
    keep_all = runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_bytes(flatbuffer, [], size, keep_all)
    held = []
    for vector in zip(*inputs, strict=True):
        for index, value in enumerate(vector):
            interpreter.set_input(value, index)
        interpreter.invoke()
        held.append([np.array(interpreter.GetTensor(index, 0)["tensor_data"]) for index in tensors])
    return {"tensors": [np.stack(column) for column in zip(*held, strict=True)]}


def refuse_stale(flatbuffer: bytes, one: Mapping[int, Array], other: Mapping[int, Array]) -> None:
    """Refuse a model of which an operator answers otherwise in memory that held other data before.

    Args:
        flatbuffer: the model.
        one: what `trace_ends` returned with one pattern.
        other: the same with the other.

    Raises:
        TflmBuildError: the first such operator.
    """
    model = load(flatbuffer)
    for place, operator in enumerate(model.subgraphs[0].operators):
        for index in activations(model, operator.outputs):
            if index in one and index in other and one[index].tobytes() != other[index].tobytes():
                node = op_name(model.operatorCodes[operator.opcodeIndex])
                msg = (
                    f"Node {node} (number {place}) reads memory that nobody "
                    "wrote: TFLM answers otherwise in an arena that held other data before; only an answer that the "
                    "inputs alone decide is allowed; replace the layer"
                )
                raise TflmBuildError(msg)
