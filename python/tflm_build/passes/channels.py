# SPDX-License-Identifier: Apache-2.0
"""Remove channels that hold one element whatever the input is, and channels that nothing reads.

Which ones can go together is a greatest fixpoint: at first all may, and what an operator contradicts stays, until no
operator contradicts any more.
"""

from collections.abc import Mapping

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import integers, scaling
from tflm_build.model.graph import Operand, Operator, Subgraph
from tflm_build.model.model import Model
from tflm_build.passes.bounds import COMBINING
from tflm_build.passes.intervals import Analysis
from tflm_build.passes.linear import Linear
from tflm_build.passes.model_draft import ModelDraft

__all__ = ["removable_channels", "remove_channels"]

_Masks = dict[int, Array]

_END = 2
"""The input of SLICE that has sizes, and of STRIDED_SLICE that has ends."""


def removable_channels(subgraph: Subgraph, analysis: Analysis, unit: int) -> tuple[_Masks, _Masks]:
    """Find the channels that can go.

    Args:
        subgraph: the main one.
        analysis: of it.
        unit: a tensor loses a multiple of so many channels.

    Returns:
        By the tensor's place, which channels can go, for tensors that lose some; and by the operator's place, the
        biases, int64, into which the constants among them go.
    """
    forbidden: _Masks = {}
    while True:
        masks = _fixpoint(subgraph, analysis, forbidden, unit)
        folded: _Masks = {}
        refused = False
        for place, linear in analysis.linear.items():
            operator = subgraph.operators[place]
            source = operator.reads[0].place
            if linear.multiplier or source not in masks or not masks[source].any():
                continue
            bias = _folded(operator, linear, analysis, masks[source])
            if bias is None or (analysis.wraps[place] & (bias != linear.bias)).any():
                constant = analysis.intervals[source].constant
                forbidden[source] = forbidden.get(source, np.zeros_like(constant)) | constant
                refused = True
            else:
                folded[place] = bias
        if not refused:
            return {place: mask for place, mask in masks.items() if mask.any()}, folded


def _folded(operator: Operator, linear: Linear, analysis: Analysis, gone: Array) -> Array | None:
    """Return the bias with the constants that go; None where it has no place for them."""
    source, bias = operator.reads[0], (*operator.inputs, None)[2]
    interval = analysis.intervals[source.place]
    constants = np.where(gone & interval.constant, interval.low - scaling(source)[1], 0)
    added = (linear.weights * linear.inside[:, None]).sum(axis=1) @ constants
    total = linear.bias + added
    if bias is None:
        return None if added.any() else total
    limits = np.iinfo(bias.type)
    if limits.bits == 64:  # noqa: PLR2004 - kernels add up 48 bits
        return total if np.abs(total).max(initial=0) < 1 << 40 else None
    return total if limits.min <= total.min(initial=0) and total.max(initial=0) <= limits.max else None


def _fixpoint(subgraph: Subgraph, analysis: Analysis, forbidden: Mapping[int, Array], unit: int) -> _Masks:
    """Return for each tensor that may lose channels which ones can go together."""
    masks, fewest = _all(subgraph, analysis, forbidden)
    while True:
        before = _count(masks)
        _keep_what_is_needed(subgraph, analysis, masks)
        for place, mask in masks.items():
            _keep_first(mask, fewest[place] - int((~mask).sum()))
        if before == _count(masks):
            for mask in masks.values():
                _keep_first(mask, int(mask.sum()) % unit)
            if before == _count(masks):
                return masks


def _count(masks: _Masks) -> int:
    """Count the channels that may go."""
    return sum(int(mask.sum()) for mask in masks.values())


def _keep_what_is_needed(subgraph: Subgraph, analysis: Analysis, masks: _Masks) -> None:
    """Let each operator contradict once."""
    for place, operator in enumerate(subgraph.operators):
        if place in analysis.couplings:
            _couple(operator.outputs[0], analysis.couplings[place], masks)
        elif place in analysis.linear:
            _keep_what_is_read(operator, analysis.linear[place], analysis, masks)
        else:
            for operand in operator.reads:
                if operand.place in masks:
                    masks[operand.place][:] = False


def _keep_first(mask: Array, count: int) -> None:
    """Keep so many channels of those that could go."""
    mask[np.flatnonzero(mask)[: max(0, count)]] = False


def _all(subgraph: Subgraph, analysis: Analysis, forbidden: Mapping[int, Array]) -> tuple[_Masks, dict[int, int]]:
    """Let all channels go that operators write which are known here, and count those of each tensor that must stay."""
    ends = {*subgraph.inputs, *subgraph.outputs}
    masks: _Masks = {}
    fewest: dict[int, int] = {}
    for place in {*analysis.linear, *analysis.couplings}:
        (output,) = subgraph.operators[place].outputs
        if output.place not in ends and not output.variable:
            masks[output.place] = ~forbidden.get(output.place, np.zeros(output.shape[-1], bool))
            fewest[output.place] = _fewest(subgraph.operators[place])
    return masks, fewest


def _fewest(operator: Operator) -> int:
    """Return the channels that have to stay: FULLY_CONNECTED takes one scale for that of all weights, and rounds it."""
    dense = operator.op == "FULLY_CONNECTED" and len(operator.reads[1].scales) > 1
    return 2 if dense else 1


def _keep_what_is_read(operator: Operator, linear: Linear, analysis: Analysis, masks: _Masks) -> None:
    """Keep the channels that outputs which stay read, but for constants that can go into the bias.

    A constant can, if it is the zero point, which padding holds too, or if no tap that reads it lies on padding.
    """
    source, output = operator.reads[0], operator.outputs[0]
    if source.place not in masks:
        return
    stays = ~masks.get(output.place, np.zeros(output.shape[-1], bool))
    weights = (linear.weights[stays] != 0).any(axis=0) & linear.inside[:, None]
    on_padding = (weights & linear.outside[:, None]).any(axis=0)
    interval = analysis.intervals[source.place]
    foldable = interval.constant & (~on_padding | (interval.low == scaling(source)[1]))
    masks[source.place] &= ~weights.any(axis=0) | foldable


def _couple(output: Operand, couplings: list[tuple[int, Array]], masks: _Masks) -> None:
    """Let channels go only together with those that they are made from."""
    written = masks.get(output.place, np.zeros(output.shape[-1], bool))
    for place, channels in couplings:
        made = channels >= 0
        if place in masks:
            kept = channels[made & ~written]
            masks[place][kept] = False
            written[made] &= masks[place][channels[made]]
        else:
            written[made] = False
    for place, channels in couplings:
        if place in masks:
            masks[place][channels[(channels >= 0) & ~written]] = False


def remove_channels(model: Model, analysis: Analysis, unit: int = 1) -> tuple[Model, _Masks]:
    """Remove channels from a model.

    Args:
        model: canonical.
        analysis: of its main subgraph.
        unit: a tensor loses a multiple of so many channels: tensors of one size then have vectors of one length more
            often, which are written once.

    Returns:
        The model, and by the operator's place which channels of its first output went.
    """
    subgraph = model.graph.subgraphs[0]
    masks, folded = removable_channels(subgraph, analysis, unit)
    if not masks:
        return model, {}
    draft = ModelDraft(model)
    removed: _Masks = {}
    kept = {place: ~mask for place, mask in masks.items()}
    for place, (operator, changed) in enumerate(zip(subgraph.operators, draft.operators, strict=True)):
        if place not in analysis.linear and place not in analysis.couplings:
            continue
        source, output = operator.reads[0], operator.outputs[0]
        if output.place in masks:
            removed[place] = masks[output.place]
            draft.tensors[output.place].shape = np.array(_shape(output, kept), np.int32)
        if place in analysis.linear and (source.place in kept or output.place in kept):
            for number, content in _cut(operator, analysis.linear[place], kept, folded.get(place)):
                draft.replace_input(changed, number, content, kept.get(output.place))
        elif output.place in kept:
            _follow(draft, operator, changed, kept)
    return draft.finish(), removed


def _shape(operand: Operand, kept: Mapping[int, Array]) -> list[int]:
    """Return the sizes of a tensor with the channels that are kept."""
    return [*operand.shape[:-1], int(kept[operand.place].sum())]


def _cut(
    operator: Operator, linear: Linear, kept: Mapping[int, Array], folded: Array | None
) -> list[tuple[int, Array]]:
    """Return weights and bias of a layer without what goes, with the numbers of the inputs that they are."""
    source, kernel, bias = (*operator.inputs, None)[:3]
    assert source is not None
    assert kernel is not None
    weights = integers(kernel)
    assert weights is not None
    weights = weights.reshape(kernel.shape)
    outputs = kept.get(operator.outputs[0].place, np.ones(len(linear.bias), bool))
    if linear.multiplier:
        weights = weights[..., outputs]
    else:
        weights = weights[outputs]
        if source.place in kept:
            weights = weights[..., np.tile(kept[source.place], weights.shape[-1] // source.shape[-1])]
    found = [(1, weights)]
    if bias is not None and bias.array is not None:
        content = linear.bias if folded is None else folded
        found.append((2, content.astype(bias.array.dtype)[outputs]))
    return found


def _follow(draft: ModelDraft, operator: Operator, changed: object, kept: Mapping[int, Array]) -> None:
    """Let the constants of an operator follow: numbers for each channel, the shape of RESHAPE, the ends of slices."""
    output = operator.outputs[0]
    shape = np.array(_shape(output, kept), np.int32)
    for number, operand in enumerate(operator.inputs):
        if operand is None or operand.array is None:
            continue
        if operator.op == "RESHAPE":
            draft.replace_input(changed, number, shape.astype(operand.array.dtype))
        elif number == _END and operator.op in {"SLICE", "STRIDED_SLICE"}:
            draft.replace_input(changed, number, np.append(operand.array[:-1], operand.array.dtype.type(shape[-1])))
        elif operator.op in {*COMBINING, "PRELU"} and operand.shape[-1] == output.shape[-1]:
            rows = operand.array.reshape(operand.shape)
            draft.replace_input(changed, number, rows[..., kept[output.place]])
    if operator.op == "RESHAPE" and getattr(changed, "builtinOptions", None) is not None:
        changed.builtinOptions.newShape = shape  # type: ignore[attr-defined]
