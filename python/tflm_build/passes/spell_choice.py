# SPDX-License-Identifier: Apache-2.0
"""Spell what chooses between elements, or asks which hold."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tflm_build.model.change import Proposal
from tflm_build.model.flatbuffer import indices, schema
from tflm_build.passes.draft import Draft
from tflm_build.passes.identities import layer_name, reshaped

__all__ = ["spell_bucketize", "spell_clip", "spell_one_hot", "spell_reduce_any", "spell_select"]

_BROADCAST: Final = 4
"""Axes over which TFLM compares a tensor with a smaller one."""


def spell_select(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Spell a choice: as SELECT_V2, which has real numbers, int8 and int16, or by arithmetic on 0 and 1."""
    condition, chosen, other = read
    shapes = [draft.shape(place) for place in read]
    if draft.op(operator) == "SELECT" and len(shapes[0]) == 1 != len(shapes[1]):  # it chooses whole rows
        rows = draft.new((*shapes[0], *(1 for _ in shapes[1][1:])), like=condition, name=layer_name(draft, operator))
        choice = draft.new_operator("SELECT_V2", (rows, chosen, other), (target,))
        return Proposal((operator,), (reshaped(draft, condition, rows), choice))
    if draft.type(target) == "int32":
        return _select_integers(draft, operator, read, target)
    if draft.op(operator) == "SELECT_V2":
        return None
    return Proposal((operator,), (draft.new_operator("SELECT_V2", read, (target,)),))


def _select_integers(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal:
    """Choose by products with 0 and 1."""
    condition, chosen, other = read
    name, after = layer_name(draft, operator), list[Any]()

    def put(op: str, *inputs: int, kind: str = "int32", **options: int) -> int:
        written = draft.new_plain(np.broadcast_shapes(*map(draft.shape, inputs)), kind, name)
        after.append(draft.new_operator(op, inputs, (written,), **options))
        return written

    def number(truth: int) -> int:
        types = {"inDataType": schema.TensorType.BOOL, "outDataType": schema.TensorType.INT32}
        return put("CAST", truth, **types)

    chooses = number(condition)
    step = _step(draft, chosen, other)
    before: tuple[Any, ...] = (operator,)
    if step is not None:  # as Keras counts from the end of a table: index + size where it is negative
        before = (draft.writer(chosen), operator)
        mine, theirs = put("MUL", chooses, step), other
    else:
        leaves = number(put("LOGICAL_NOT", condition, kind="bool"))
        mine, theirs = put("MUL", chooses, chosen), put("MUL", leaves, other)
    return Proposal(before, (*after, draft.new_operator("ADD", (theirs, mine), (target,))))


def _step(draft: Draft, chosen: int, other: int) -> int | None:
    """Return the constant that is added to a tensor to make another one."""
    writer = draft.writer(chosen)
    if writer is None or draft.op(writer) != "ADD" or draft.fused(writer):
        return None
    added = [place for place in indices(writer.inputs) if place != other]
    return added[0] if len(added) == 1 and draft.constant(added[0]) else None


def spell_reduce_any(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal:
    """Spell "any holds" as "not all fail to hold"."""
    name = layer_name(draft, operator)
    fails, all_fail = (draft.new_plain(draft.shape(place), "bool", name) for place in (read[0], target))
    kept = bool(draft.option(operator, "keepDims"))
    after = (
        draft.new_operator("LOGICAL_NOT", read[:1], (fails,)),
        draft.new_operator("REDUCE_ALL", (fails, read[1]), (all_fail,), keepDims=kept),
        draft.new_operator("LOGICAL_NOT", (all_fail,), (target,)),
    )
    return Proposal((operator,), after)


def spell_bucketize(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Spell the number of a bucket as a count of the boundaries that are not above an element."""
    boundaries = getattr(operator.builtinOptions, "boundaries", None)
    shape, name = draft.shape(read[0]), layer_name(draft, operator)
    if draft.type(read[0]) != "float32" or boundaries is None or len(shape) >= _BROADCAST:
        return None
    limits = draft.new_constant(np.asarray(boundaries, np.float32), "float32")
    column = draft.new((*shape, 1), like=read[0], name=name)
    each = (*shape, len(boundaries))
    above = draft.new_plain(each, "bool", name)
    ones, count = draft.new_plain(each, "float32", name), draft.new_plain(shape, "float32", name)
    last = draft.new_constant(np.array([len(shape)], np.int32), "int32")
    types = {"inDataType": schema.TensorType.FLOAT32, "outDataType": schema.TensorType.INT32}
    after = (
        reshaped(draft, read[0], column),
        draft.new_operator("GREATER_EQUAL", (column, limits), (above,)),
        draft.new_operator("CAST", (above,), (ones,), inDataType=schema.TensorType.BOOL),
        draft.new_operator("SUM", (ones, last), (count,)),
        draft.new_operator("CAST", (count,), (target,), **types),
    )
    return Proposal((operator,), after)


def spell_one_hot(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Compare an index with all that it may be, where what stands for equal is 1, and for all else 0."""
    index, depth, on, off = (read[0], *(draft.value(place) for place in read[1:]))
    shape, name, kind = draft.shape(read[0]), layer_name(draft, operator), draft.type(target)
    last = draft.option(operator, "axis") in {-1, len(shape)}
    if (
        depth is None
        or on is None
        or off is None
        or not last
        or draft.scaling(target)[0]
        or draft.type(index) != "int32"
    ):
        return None
    if on.reshape(()) != 1 or off.reshape(()) != 0 or kind not in {"float32", "int32"} or len(shape) >= _BROADCAST:
        return None
    every = draft.new_constant(np.arange(int(depth.reshape(())), dtype=np.int32), "int32")
    column = draft.new((*shape, 1), like=index, name=name)
    same = draft.new_plain(draft.shape(target), "bool", name)
    types = {"inDataType": schema.TensorType.BOOL, "outDataType": draft.tensor(target).type}
    after = (
        reshaped(draft, index, column),
        draft.new_operator("EQUAL", (column, every), (same,)),
        draft.new_operator("CAST", (same,), (target,), **types),
    )
    return Proposal((operator,), after)


def spell_clip(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Spell the activation functions that clip to two numbers."""
    if not draft.alike(read[0], target):
        return None
    scales, zero_points = draft.scaling(target)
    kind, name = draft.type(target), layer_name(draft, operator)
    if kind not in {"float32", "int8"} or len(scales) > 1:
        return None
    low, high = {"RELU_0_TO_1": (0.0, 1.0), "RELU_N1_TO_1": (-1.0, 1.0)}[draft.op(operator)]
    ends = []
    for end in (low, high):
        values = np.array([end], np.float32)
        if scales:
            values = np.clip(np.round(values / np.float32(scales[0])) + zero_points[0], -128, 127)
        constant = draft.new_constant(values.astype(kind), kind)
        draft.tensor(constant).quantization = draft.tensor(target).quantization
        ends.append(constant)
    above = draft.new(draft.shape(target), like=target, name=name)
    after = (
        draft.new_operator("MAXIMUM", (read[0], ends[0]), (above,)),
        draft.new_operator("MINIMUM", (above, ends[1]), (target,)),
    )
    return Proposal((operator,), after)
