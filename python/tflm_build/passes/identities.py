# SPDX-License-Identifier: Apache-2.0
"""Find operators whose output is their input, and pairs that one operator, or none, can stand for."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.model.flatbuffer import indices
from tflm_build.passes.change import Proposal
from tflm_build.passes.draft import Draft

__all__ = ["layer_name", "propose_identity", "reshaped"]

_RESHAPES: Final = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


def propose_identity(draft: Draft, operator: Any) -> Proposal | None:
    """Return what an operator can be left out for, or replaced by, because it moves or changes nothing."""
    op, read, written = draft.op(operator), indices(operator.inputs), indices(operator.outputs)
    if len(written) != 1 or not read or -1 in read[:1]:
        return None
    target = written[0]
    for source in read:
        if source != -1 and not draft.constant(source) and draft.alike(source, target):
            same_shape = draft.shape(source) == draft.shape(target)
            if same_shape and op in _IDENTITIES and _IDENTITIES[op](draft, operator, read, source):
                return Proposal((operator,), source=source)
    return _propose_pair(draft, operator, op, read, target)


def _propose_pair(draft: Draft, operator: Any, op: str, read: Sequence[int], target: int) -> Proposal | None:
    """Look at an operator together with the one before it."""
    first = draft.writer(read[0])
    before = (first, operator)
    name, source = (draft.op(first), indices(first.inputs)[0]) if first is not None else ("", -1)
    if op == "QUANTIZE" and name == "DEQUANTIZE" and draft.alike(source, target) and not draft.constant(source):
        return Proposal(before, source=source)
    if op == "TRANSPOSE":
        return _propose_transpose(draft, before, target)
    if op in _RESHAPES and name in _RESHAPES and len(draft.readers(read[0])) == 1 and read[0] not in draft.outputs:
        return Proposal(before, (reshaped(draft, source, target),))
    return None


def _propose_transpose(draft: Draft, before: tuple[Any, Any], target: int) -> Proposal | None:
    """Join two transpositions, and take one for a RESHAPE that moves nothing but axes of size 1."""
    first, operator = before
    source = indices(operator.inputs)[0]
    order = draft.value(indices(operator.inputs)[1])
    if order is None or not draft.alike(source, target):
        return None
    shape = draft.shape(source)
    moved = [int(axis) for axis in order if shape[axis] != 1]
    if moved == sorted(moved):
        return Proposal((operator,), (reshaped(draft, source, target),))
    if first is None or draft.op(first) != "TRANSPOSE" or len(draft.readers(source)) > 1 or source in draft.outputs:
        return None
    inner = draft.value(indices(first.inputs)[1])
    if inner is None:
        return None
    both = draft.new_constant(np.asarray(inner)[np.asarray(order)], "int32")
    return Proposal(before, (draft.new_operator("TRANSPOSE", (indices(first.inputs)[0], both), (target,)),))


def reshaped(draft: Draft, source: int, target: int) -> Any:
    """Return the operator that gives the elements of one tensor the shape of another."""
    shape = draft.new_constant(np.array(draft.shape(target), np.int32), "int32")
    return draft.new_operator("RESHAPE", (source, shape), (target,))


def layer_name(draft: Draft, operator: Any) -> str:
    """Return the name of an operator's layer, as the canonical form gives it."""
    name = draft.tensor(indices(operator.outputs)[0]).name or b""
    return (name if isinstance(name, str) else name.decode("utf-8", "replace")).split(";")[0]


_Judge = Callable[[Draft, Any, Sequence[int], int], bool]


def _always(_draft: Draft, _operator: Any, read: Sequence[int], source: int) -> bool:
    """Ask for nothing more than equal shapes."""
    return source == read[0]


def _pads_nothing(draft: Draft, _operator: Any, read: Sequence[int], source: int) -> bool:
    """Say whether nothing is put before or behind, nor cut off."""
    amounts = draft.value(read[1])
    return source == read[0] and amounts is not None and not np.any(amounts)


def _steps_by_one(draft: Draft, _operator: Any, read: Sequence[int], source: int) -> bool:
    """Say whether elements are taken in their order: in equal shapes none is left out."""
    steps = draft.value(read[3])
    return source == read[0] and steps is not None and bool(np.all(steps == 1))


def _keeps_order(draft: Draft, _operator: Any, read: Sequence[int], source: int) -> bool:
    """Say whether each axis stays where it is."""
    order = draft.value(read[1])
    return source == read[0] and order is not None and order.tolist() == list(range(order.size))


def _by_one(draft: Draft, operator: Any, read: Sequence[int], source: int) -> bool:
    """Say whether the other factor, or the divisor, is 1 in real numbers."""
    if draft.type(source) != "float32" or draft.fused(operator):
        return False
    if draft.op(operator) == "DIV" and source != read[0]:
        return False
    other = draft.value(read[1] if source == read[0] else read[0])
    return other is not None and prod(other.shape) <= prod(draft.shape(source)) and bool(np.all(other == 1))


def _alone(draft: Draft, operator: Any, read: Sequence[int], _source: int) -> bool:
    """Say whether nothing is put behind it, or added to it."""
    return len(read) == 1 and not draft.fused(operator)


_IDENTITIES: Final[Mapping[str, _Judge]] = {
    "ADD_N": _alone,
    "BROADCAST_TO": _always,
    "CAST": _always,
    "CONCATENATION": _alone,
    "DIV": _by_one,
    "EXPAND_DIMS": _always,
    "MIRROR_PAD": _pads_nothing,
    "MUL": _by_one,
    "PAD": _pads_nothing,
    "PADV2": _pads_nothing,
    "QUANTIZE": _always,
    "RESHAPE": _always,
    "RESIZE_NEAREST_NEIGHBOR": _always,
    "SLICE": _always,
    "SQUEEZE": _always,
    "STRIDED_SLICE": _steps_by_one,
    "TILE": _always,
    "TRANSPOSE": _keeps_order,
}
"""By op: what else must hold where input and output have one shape, one type and one quantization."""
