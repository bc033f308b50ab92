# SPDX-License-Identifier: Apache-2.0
"""Rescale where a converter forgot to: behind operators that only move elements."""

from typing import Final

from tflm_build.model.flatbuffer import indices, load, store
from tflm_build.passes.editor import Editor

__all__ = ["rescale"]

_MOVES: Final = frozenset({"REVERSE_V2"})
"""Operators whose kernels copy integers, and that TensorFlow gives another scale behind them than in front."""


def rescale(flatbuffer: bytes) -> bytes:
    """Put a QUANTIZE behind each operator that moves elements from one scale to another, as if they were the same.

    TensorFlow does so for REVERSE_V2 in front of a CONCATENATION: half of a bidirectional layer is off by the ratio.
    """
    draft = Editor(load(flatbuffer))
    found = False
    for operator in draft.operators:
        if draft.op(operator) not in _MOVES:
            continue
        source, target = indices(operator.inputs)[0], indices(operator.outputs)[0]
        if draft.step(source) != draft.step(target):
            tensor = draft.tensor(target)
            moved = draft.add_tensor(
                f"{bytes(tensor.name).decode()}/moved", indices(tensor.shape), tensor.type, draft.step(source)
            )
            operator.outputs = [moved]
            draft.add_operator("QUANTIZE", [moved], target)
            found = True
    draft.order()
    return store(draft.tree) if found else flatbuffer
