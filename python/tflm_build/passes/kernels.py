# SPDX-License-Identifier: Apache-2.0
"""Cut what lies around an image: kernel taps that never meet it, and PAD operators whose work SAME padding does."""

from typing import Final, NamedTuple

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import scaling
from tflm_build.model.flatbuffer import schema
from tflm_build.model.graph import Operator
from tflm_build.model.model import Model
from tflm_build.model.padding import padding_before
from tflm_build.passes.linear import edges
from tflm_build.passes.model_draft import ModelDraft

__all__ = ["cut_taps", "fuse_padding"]

_CONVOLUTIONS: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_RANK: Final = 4


class _Axis(NamedTuple):
    """How a kernel moves along an axis of an image: all in elements."""

    size: int
    results: int
    stride: int
    dilation: int
    before: int

    def paddings(self, taps: int) -> set[int]:
        """Return the kinds of padding that give these results with so many taps."""
        reach = (taps - 1) * self.dilation + 1
        missing = max((self.results - 1) * self.stride + reach - self.size, 0)
        same = -(-self.size // self.stride) == self.results and missing // 2 == self.before
        valid = self.before == 0 and self.size >= reach and (self.size - reach) // self.stride + 1 == self.results
        kinds = ((schema.Padding.SAME, same), (schema.Padding.VALID, valid))
        return {kind for kind, fits in kinds if fits}


def cut_taps(model: Model) -> Model:
    """Cut the rows and columns at the ends of kernels that lie on padding at every place: zero points meet them."""
    subgraph = model.graph.subgraphs[0]
    draft = ModelDraft(model)
    cut = False
    for operator, changed in zip(subgraph.operators, draft.operators, strict=True):
        if not _is_convolution(operator):
            continue
        source, kernel = operator.reads[:2]
        rows = kernel.array
        if rows is None:
            continue
        inside, _ = edges(operator)
        ranges = [_range(np.asarray(inside.any(axis=1))), _range(np.asarray(inside.any(axis=0)))]
        if ranges == [(0, kernel.shape[1]), (0, kernel.shape[2])]:
            continue
        fitting = {schema.Padding.SAME, schema.Padding.VALID}
        for (first, end), axis, side in zip(ranges, (1, 2), "HW", strict=True):
            before, stride, dilation = padding_before(operator, axis, side)
            left = before - first * dilation
            moved = _Axis(source.shape[axis], operator.outputs[0].shape[axis], stride, dilation, left)
            fitting &= moved.paddings(end - first)
        if fitting:
            (top, bottom), (left, right) = ranges
            draft.replace_input(changed, 1, rows.reshape(kernel.shape)[:, top:bottom, left:right])
            changed.builtinOptions.padding = min(fitting)
            cut = True
    return draft.finish() if cut else model


def fuse_padding(model: Model) -> tuple[Model, set[int]]:
    """Drop PAD operators in front of convolutions that pad the same by themselves.

    Returns:
        The model, and the places of the operators that are gone.
    """
    subgraph = model.graph.subgraphs[0]
    draft = ModelDraft(model)
    gone: set[int] = set()
    for place, operator in enumerate(subgraph.operators):
        whole = operator.op == "PAD" and len(operator.reads) == 2 and len(operator.outputs) == 1  # noqa: PLR2004 - image, sides
        if not whole or operator.outputs[0].place in subgraph.outputs:
            continue
        target = operator.outputs[0].place
        readers = [
            (reader, changed)
            for reader, changed in zip(subgraph.operators, draft.operators, strict=True)
            if target in {operand.place for operand in reader.reads}
        ]
        if readers and all(_pads_the_same(operator, reader) for reader, _ in readers):
            for _, changed in readers:
                changed.inputs[0] = operator.reads[0].place
                changed.builtinOptions.padding = schema.Padding.SAME
            gone.add(place)
    draft.remove(gone)
    return (draft.finish() if gone else model), gone


def _is_convolution(operator: Operator) -> bool:
    """Say whether an operator moves a constant kernel over an image."""
    if operator.op not in _CONVOLUTIONS or operator.options is None or len(operator.reads) < 2 or not operator.outputs:  # noqa: PLR2004
        return False
    source, kernel, output = *operator.reads[:2], operator.outputs[0]
    whole = kernel.constant and kernel.type == "int8" and source.type in {"int8", "int16"}
    return whole and len(kernel.shape) == len(source.shape) == len(output.shape) == _RANK


def _range(flags: Array) -> tuple[int, int]:
    """Return the first place of a flag that is set, and the place behind the last."""
    places = np.flatnonzero(flags)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)


def _pads_the_same(pad: Operator, reader: Operator) -> bool:
    """Say whether SAME padding of a convolution writes the same zeros around an image as a PAD in front of it."""
    source, paddings = pad.reads[:2]
    padded = pad.outputs[0]
    if not _is_convolution(reader) or paddings.array is None or len(paddings.array) != 2 * _RANK:
        return False
    places = [operand.place for operand in reader.reads]
    if places.index(padded.place) or places.count(padded.place) > 1 or reader.option("padding") != schema.Padding.VALID:
        return False
    sides = paddings.array.reshape(_RANK, 2)
    same = padded.type == source.type and len(source.scales) == len(padded.scales) == 1
    if sides[[0, 3]].any() or not same or scaling(source) != scaling(padded):
        return False
    for axis, side in ((1, "H"), (2, "W")):
        _, stride, dilation = padding_before(reader, axis, side)
        moved = _Axis(source.shape[axis], reader.outputs[0].shape[axis], stride, dilation, int(sides[axis][0]))
        if schema.Padding.SAME not in moved.paddings(reader.reads[1].shape[axis]):
            return False
    return True
