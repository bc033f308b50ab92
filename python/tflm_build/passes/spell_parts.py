# SPDX-License-Identifier: Apache-2.0
"""Spell what takes parts of a tensor, or the largest of its elements, where TFLM lacks it for a type or a rank."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.change import Proposal
from tflm_build.model.flatbuffer import indices, schema
from tflm_build.passes.draft import Draft
from tflm_build.passes.identities import layer_name, reshaped

__all__ = ["spell_gather", "spell_outputs", "spell_reduce_max", "spell_strided_slice"]

_STRIDED: Final = 4
"""Axes that TFLM's STRIDED_SLICE takes; its SLICE takes 5."""

_JOINED: Final = 10
"""Inputs that TFLM's CONCATENATION takes at most."""


def spell_strided_slice(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Spell a slice of many axes, each element of which is taken, as SLICE, and a RESHAPE where axes go."""
    shape = draft.shape(read[0])
    names = ("begin", "end", "shrinkAxis", "newAxis", "ellipsis")
    masks = {name: draft.option(operator, f"{name}Mask") for name in names}
    given = [draft.value(place) for place in read[1:]]
    if len(shape) != _STRIDED + 1 or masks["newAxis"] or masks["ellipsis"] or draft.option(operator, "offset"):
        return None
    known = [values for values in given if values is not None and len(values) <= len(shape)]
    if len(known) < len(given) or np.any(known[2] != 1):
        return None
    begins, sizes = [], []
    for axis, size in enumerate(shape):
        begin, end = (int(values[axis]) if axis < len(values) else None for values in known[:2])
        start, stop, _ = slice(begin, end).indices(size)
        bit = 1 << axis
        start = 0 if masks["begin"] & bit or begin is None else start
        stop = size if masks["end"] & bit or end is None else stop
        stop = start + 1 if masks["shrinkAxis"] & bit else stop
        begins.append(start)
        sizes.append(stop - start)
    if min(sizes) < 1:
        return None
    part = draft.new(sizes, like=read[0], name=layer_name(draft, operator))
    return Proposal((operator,), (_slice(draft, read[0], begins, part), reshaped(draft, part, target)))


def spell_gather(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Spell a choice of constant places along an axis of int16 as slices."""
    places, shape = draft.value(read[1]), draft.shape(read[0])
    if draft.type(target) != "int16" or draft.constant(read[0]) or not draft.alike(read[0], target):
        return None
    if places is None or places.ndim != 1 or not places.size or draft.option(operator, "batchDims"):
        return None
    axis = draft.option(operator, "axis") % len(shape)
    if np.any(places < 0) or np.any(places >= shape[axis]):
        return None
    name, begin = layer_name(draft, operator), [0] * len(shape)
    runs = list(_runs(places))
    if len(runs) > _JOINED:
        return None
    after, parts = [], []
    for first, count in runs:
        begin[axis] = first
        part = draft.new((*shape[:axis], count, *shape[axis + 1 :]), like=read[0], name=name)
        after.append(_slice(draft, read[0], begin, part))
        parts.append(part)
    return Proposal((operator,), (*after, draft.new_operator("CONCATENATION", parts, (target,), axis=axis)))


def _runs(places: Array) -> Iterator[tuple[int, int]]:
    """Yield the first of each row of places that follow one another, and their number."""
    first = count = 0
    for place in map(int, places):
        if count and place == first + count:
            count += 1
            continue
        if count:
            yield first, count
        first, count = place, 1
    yield first, count


def spell_outputs(draft: Draft, operator: Any) -> Proposal | None:
    """Take each part that somebody reads of what SPLIT, SPLIT_V or UNPACK divides, as a slice."""
    op, read, targets = draft.op(operator), indices(operator.inputs), indices(operator.outputs)
    source, given = {"SPLIT": (1, 0), "SPLIT_V": (0, 2), "UNPACK": (0, None)}[op]
    shape, name = draft.shape(read[source]), layer_name(draft, operator)
    axes = np.array(draft.option(operator, "axis")) if given is None else draft.value(read[given])
    if axes is None:
        return None
    axis = int(axes.reshape(())) % len(shape)
    begin, after = [0] * len(shape), list[Any]()
    for target in targets:
        size = 1 if given is None else draft.shape(target)[axis]
        if draft.needed(target):
            sizes = (*shape[:axis], size, *shape[axis + 1 :])
            part = target if draft.shape(target) == sizes else draft.new(sizes, like=target, name=name)
            after.append(_slice(draft, read[source], begin, part))
            after += [] if part == target else [reshaped(draft, part, target)]
        begin[axis] += size
    return Proposal((operator,), tuple(after)) if after and begin[axis] == shape[axis] else None


def _slice(draft: Draft, source: int, begin: Sequence[int], target: int) -> Any:
    """Return the operator that takes a part which begins somewhere and has the target's shape."""
    ends = [draft.new_constant(np.array(numbers, np.int32), "int32") for numbers in (begin, draft.shape(target))]
    return draft.new_operator("SLICE", (source, *ends), (target,))


def spell_reduce_max(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Spell the largest of neighbouring axes of int16 as pooling of an image that is as high as these are large."""
    given, shape = draft.value(read[1]), draft.shape(read[0])
    if draft.type(target) != "int16" or given is None or not draft.alike(read[0], target):
        return None
    axes = sorted({int(axis) % len(shape) for axis in given.reshape(-1)})
    if not axes or axes != list(range(axes[0], axes[-1] + 1)):
        return None
    outer, inner = prod(shape[: axes[0]]), prod(shape[axes[-1] + 1 :])
    height = prod(shape[axis] for axis in axes)
    name = layer_name(draft, operator)
    image, largest = (draft.new((outer, size, 1, inner), like=read[0], name=name) for size in (height, 1))
    options = {"padding": schema.Padding.VALID, "strideW": 1, "strideH": 1, "filterWidth": 1, "filterHeight": height}
    pool = draft.new_operator("MAX_POOL_2D", (image,), (largest,), **options)
    return Proposal((operator,), (reshaped(draft, read[0], image), pool, reshaped(draft, largest, target)))
