# SPDX-License-Identifier: Apache-2.0
"""Spell what repeats elements: as nearest upsampling, or as copies behind one another."""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.model.change import Proposal
from tflm_build.model.flatbuffer import indices
from tflm_build.passes.draft import Draft
from tflm_build.passes.identities import layer_name, reshaped

__all__ = ["join_resizes", "spell_tile"]

_RESIZED: Final = frozenset({"float32", "int8", "int16"})
"""What TFLM's RESIZE_NEAREST_NEIGHBOR takes."""

_JOINED: Final = 10
"""Inputs that TFLM's CONCATENATION takes at most."""


def spell_tile(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Repeat along the first axis that grows: by nearest neighbours, or by putting copies behind one another.

    What is repeated `times` is, seen as (1, outer, 1, inner), an image that is made `times` as wide.
    """
    source, shape, kind = read[0], draft.shape(read[0]), draft.type(read[0])
    many = draft.value(read[1])
    if many is None or many.shape != (len(shape),) or np.any(many < 1):
        return None
    axis = int(np.argmax(many != 1))
    times, name = int(many[axis]), layer_name(draft, operator)
    after: tuple[Any, ...] = ()
    rest, result = [*many], target
    rest[axis] = 1
    if any(each != 1 for each in rest):
        result = draft.new((*shape[:axis], shape[axis] * times, *shape[axis + 1 :]), like=source, name=name)
        repeats = draft.new_constant(np.array(rest, np.int32), "int32")
        after = (draft.new_operator("TILE", (result, repeats), (target,)),)
    if times <= _JOINED and (kind not in _RESIZED or not _between_reshapes(draft, source, target)):
        return Proposal(
            (operator,), (draft.new_operator("CONCATENATION", [source] * times, (result,), axis=axis), *after)
        )
    if kind not in _RESIZED:
        return None
    outer, inner = prod(shape[:axis]), prod(shape[axis:])
    return Proposal(
        (operator,), (*_resize(draft, (source, result), (1, outer, 1, inner), (1, outer, times, inner)), *after)
    )


def _between_reshapes(draft: Draft, source: int, target: int) -> bool:
    """Say whether the shapes of a repetition are made for it, as Keras does: they can be others as well."""
    return any(
        each is not None and draft.op(each) == "RESHAPE" for each in (draft.writer(source), *draft.readers(target))
    )


def _resize(draft: Draft, ends: tuple[int, int], shape: Sequence[int], larger: Sequence[int]) -> tuple[Any, Any, Any]:
    """Return a nearest upsampling of what one tensor holds, seen as an image, into another tensor."""
    source, target = ends
    name = (draft.tensor(target).name or b"").decode("utf-8", "replace")
    small, large = (draft.new(each, like=source, name=name) for each in (shape, larger))
    size = draft.new_constant(np.array(larger[1:3], np.int32), "int32")
    upsampling = draft.new_operator("RESIZE_NEAREST_NEIGHBOR", (small, size), (large,))
    return reshaped(draft, source, small), upsampling, reshaped(draft, large, target)


def join_resizes(draft: Draft, operator: Any, read: Sequence[int], target: int) -> Proposal | None:
    """Take two upsamplings by width, one within the rows of the other, for one of both sizes."""
    shape, larger = draft.shape(read[0]), draft.shape(target)
    reshape = draft.writer(read[0])
    if shape[2] != 1 or reshape is None or draft.op(reshape) != "RESHAPE" or len(draft.readers(read[0])) > 1:
        return None
    middle = indices(reshape.inputs)[0]
    first = draft.writer(middle)
    if first is None or draft.op(first) != "RESIZE_NEAREST_NEIGHBOR" or len(draft.readers(middle)) > 1:
        return None
    source = indices(first.inputs)[0]
    (_, height, width, inner), (_, same, times, _) = draft.shape(source), draft.shape(middle)
    columns, left_over = divmod(inner, shape[3])
    if width != 1 or height != same or shape[1] != larger[1] or left_over or {read[0], middle} & {*draft.outputs}:
        return None
    image = (1, height, columns, shape[3])
    result = (1, height * times, columns * larger[2], shape[3])
    if not all(_nearest_is_exact(*sizes) for sizes in zip(image[1:3], result[1:3], strict=True)):
        return None
    return Proposal((first, reshape, operator), _resize(draft, (source, target), image, result))


def _nearest_is_exact(size: int, larger: int) -> bool:
    """Say whether the interpreters' arithmetic, in float32, finds the neighbour that it should."""
    step = np.float32(size) / np.float32(larger)
    found = np.floor(np.arange(larger, dtype=np.float32) * step)
    return bool(np.array_equal(np.minimum(found, size - 1), np.arange(larger) // (larger // size)))
