# SPDX-License-Identifier: Apache-2.0
"""Find operators whose output is their input, and pairs that one operator, or none, can stand for."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.model.change import Proposal
from tflm_build.model.flatbuffer import indices
from tflm_build.passes.draft import Draft

__all__ = ["layer_name", "propose_identity", "reshaped"]

_RESHAPES: Final = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


def propose_identity(draft: Draft, operator: Any) -> Proposal | None:
    """Return what an operator can be left out for, or replaced by, because it moves or changes nothing."""
    op, read, written = draft.op(operator), indices(operator.inputs), indices(operator.outputs)
    if len(written) != 1 or not read or -1 in read:
        return None
    target = written[0]
    count, judge = _IDENTITIES.get(op, (0, _never))
    for source in read if len(read) >= count else ():
        same = draft.alike(source, target) and draft.shape(source) == draft.shape(target)
        if same and not draft.constant(source) and judge(draft, operator, read, source):
            return Proposal((operator,), source=source)
    return _propose_pair(draft, operator, op, read, target)


def _propose_pair(draft: Draft, operator: Any, op: str, read: Sequence[int], target: int) -> Proposal | None:
    """Look at an operator together with the one before it."""
    first = draft.writer(read[0])
    before = (first, operator)
    name, source = "", -1
    if first is not None and len(first.inputs) and indices(first.inputs)[0] != -1:
        name, source = draft.op(first), indices(first.inputs)[0]
    if op == "QUANTIZE" and name == "DEQUANTIZE" and draft.alike(source, target) and not draft.constant(source):
        return Proposal(before, source=source)
    if op == "TRANSPOSE" and len(read) == _IDENTITIES[op][0]:
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
    if sorted(order.reshape(-1).tolist()) != list(range(len(shape))):
        return None
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


def _never(_draft: Draft, _operator: Any, _read: Sequence[int], _source: int) -> bool:
    """Say that an op always changes something."""
    return False


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


def _chosen(draft: Draft, _operator: Any, read: Sequence[int], source: int) -> bool:
    """Say whether a tensor is chosen everywhere."""
    condition = draft.value(read[0])
    return condition is not None and len(set(read)) == len(read) and bool(np.all(condition == (source == read[1])))


def _alone(draft: Draft, operator: Any, read: Sequence[int], source: int) -> bool:
    """Say whether nothing is put behind it, or added to it."""
    return [source] == [*read] and not draft.fused(operator)


_IDENTITIES: Final[Mapping[str, tuple[int, _Judge]]] = {
    "ADD_N": (1, _alone),
    "BROADCAST_TO": (2, _always),
    "CAST": (1, _always),
    "CONCATENATION": (1, _alone),
    "DIV": (2, _by_one),
    "EXPAND_DIMS": (2, _always),
    "MIRROR_PAD": (2, _pads_nothing),
    "MUL": (2, _by_one),
    "PAD": (2, _pads_nothing),
    "PADV2": (3, _pads_nothing),
    "QUANTIZE": (1, _always),
    "RESHAPE": (1, _always),
    "RESIZE_NEAREST_NEIGHBOR": (2, _always),
    "SELECT": (3, _chosen),
    "SELECT_V2": (3, _chosen),
    "SLICE": (3, _always),
    "SQUEEZE": (1, _always),
    "STRIDED_SLICE": (4, _steps_by_one),
    "TILE": (2, _always),
    "TRANSPOSE": (2, _keeps_order),
}
"""By op: how many inputs it has at least, and what else must hold where one of them and the output are alike."""
