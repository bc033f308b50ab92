# SPDX-License-Identifier: Apache-2.0
"""Say in a few lines what a model became."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tflm_build.emit.shipment import Shipment
from tflm_build.escape import escape
from tflm_build.model.values import Narrowing, Shrinkage
from tflm_build.stages.arena import PlannedModel
from tflm_build.stages.convert import Converted
from tflm_build.stages.measure import INTERPRETER_SIZE
from tflm_build.stages.prove import Proof

__all__ = ["summarize"]

_SHOWN: Final = 3  # tensors of the peak that are named; the manifest has all


def summarize(shipment: Shipment, converted: Converted) -> str:
    """Return a title and a line for each of flash, arena, its peak, calibration data, passes, proof and ops.

    Args:
        shipment: what the stages found.
        converted: the flatbuffer as the converter wrote it, and what the calibration data is like.
    """
    arranged, proof = shipment.arranged, shipment.proof
    flash, before = len(shipment.flatbuffer), converted.bytes_before
    more = "more" if flash > before else "less"
    need = arranged.need
    basis = f"; {need.note}" if need.note else ""
    lines = {
        "flash": f"{abs(1 - flash / before):.0%} {more} than the converter's {before:,} B" if flash != before else "",
        "shrink": _shrunk(shipment.shrinkage),
        "weights": _narrowed(shipment.narrowing),
        "arena": f"{_parts(arranged)}, {INTERPRETER_SIZE} B of interpreter{_planned(arranged)}{basis}",
        "state": shipment.state.words,
        "peak": ", ".join(f"{layer} {size:,} B" for layer, size in arranged.peak[:_SHOWN]),
        "data": _data(converted.calibration),
        "passes": _rewrites(converted),
        "proof": f"{_layers(arranged, proof)}{_whole(proof)} in {proof.vectors} vectors{_accuracy(proof)}",
        "ops": ", ".join(used.op for used in shipment.ops),
    }
    macs = sum(layer.macs for layer in shipment.work)
    kind = {"none": "float32"}.get(shipment.graph.quantization, shipment.graph.quantization)
    title = f"{shipment.name}: {kind}, {flash:,} B of flash, {need.size:,} B of arena, {macs:,} MACs"
    rows = [title]
    for word, text in lines.items():
        rows += [f"  {word:<6} {escape(text)}"] if text else []
        rows += [f"    {escape(row)}" for row in _search(shipment.narrowing)] if word == "weights" else []
    return "\n".join(rows)


def _search(narrowing: Narrowing | None) -> Iterator[str]:
    """Yield a row for each step of a search: what was tried, and what the model then was."""
    if narrowing is None or not narrowing.steps:
        return
    cells, size = [], narrowing.steps[0].bytes
    for step in narrowing.steps:
        cells.append(
            (
                f"{step.op} {step.layer}".strip() or "all layers",
                f"{step.bits} bits",
                f"{step.bytes - size:+,} B" if step.layer else "",
                f"{step.bytes:,} B",
                "no noise" if step.sqnr_db is None else f"{step.sqnr_db:.1f} dB",
                "" if step.top1 is None else f"top-1 {step.top1:.1%} of {narrowing.searched}",
                "" if step.arena is None else f"arena {step.arena:,} B",
                "" if step.accepted else "not kept",
            )
        )
        size = step.bytes if step.accepted else size
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(
            text.rjust(width) if place else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()


def _shrunk(shrinkage: Shrinkage) -> str:
    """Say what shrinking brought."""
    words = (*shrinkage.words, f"{shrinkage.inputs} inputs compared, 0 differences")
    return "; ".join(words) if shrinkage.steps else ""


def _narrowed(narrowing: Narrowing | None) -> str:
    """Say what weights of 4 bits brought, and what is left."""
    if narrowing is None:
        return ""
    before, after = narrowing.bytes
    saved = f"4 bits in {len(narrowing.layers)} layers: -{before - after:,} B; " if narrowing.layers else ""
    ratio = "no noise" if narrowing.sqnr_db is None else f"SQNR {narrowing.sqnr_db:.1f} dB"
    top1 = "" if narrowing.top1 is None else f", top-1 {narrowing.top1:.1%}"
    return f"{saved}{ratio} before a final SOFTMAX{top1}, by {narrowing.judge} on {narrowing.samples} samples"


def _data(calibration: Mapping[str, Any] | None) -> str:
    """Say what the calibration data is like."""
    if calibration is None:
        return ""
    ranges = (f"{each['name']} from {each['min']:g} to {each['max']:g}" for each in calibration["inputs"])
    return f"calibrated on {calibration['samples']:,} samples: {', '.join(ranges)}"


def _rewrites(converted: Converted) -> str:
    """Say which ops went, and which stand for them now."""
    if not converted.changes:
        return ""
    gone, come = Counter[str](), Counter[str]()
    for change in converted.changes:
        gone.update(change.before)
        come.update(change.after)
    lists = (
        ", ".join(f"{count} {op}" for op, count in sorted((one - other).items()))
        for one, other in ((gone, come), (come, gone))
    )
    went, stand = lists
    proof = f"the same answers in {converted.vectors} vectors" if converted.vectors else "each proven for itself"
    return f"{went or 'no op'} became {stand or 'nothing'}; {proof}"


def _parts(arranged: PlannedModel) -> str:
    """Say what the arena is for."""
    need = arranged.need
    passing = max(0, need.smallest - need.head - need.tail)
    return f"{need.head:,} B of activations, {need.tail:,} B kept, {passing:,} B while allocating"


def _planned(arranged: PlannedModel) -> str:
    """Say how good the plan of the arena is."""
    if arranged.lower_bound is None or arranged.greedy_head is None:
        return ""
    bound = f"bound {arranged.lower_bound:,} B without in-place operators"
    if arranged.planned:
        otherwise = arranged.arena_unplanned + INTERPRETER_SIZE
        return f"; planned offline ({bound}), {otherwise:,} B of arena otherwise"
    return f"; {bound}, gap {arranged.greedy_head - arranged.lower_bound:,} B"


def _layers(arranged: PlannedModel, proof: Proof) -> str:
    """Say what the comparison of layers found, and if TFLM was not part of it."""
    compared = [layer.difference for layer in proof.layers if layer.difference is not None]
    far = [difference for difference in compared if difference > 0]
    text = "" if arranged.measured.on_tflm else "TFLM was not run, what stands for it: "
    text += f"{len(compared) - len(far)} of {len(proof.layers)} layers equal to their references"
    if far:
        text += f", {len(far)} at most {max(far):.3g} from them"
    if proof.not_compared:
        text += f", not compared: {', '.join(proof.not_compared[:_SHOWN])}"
        text += f" and {len(proof.not_compared) - _SHOWN} more" if len(proof.not_compared) > _SHOWN else ""
    return text


def _whole(proof: Proof) -> str:
    """Say how far the whole model is from LiteRT."""
    if not proof.difference:
        return "; the whole does not run on LiteRT"
    return f"; the whole is at most {', '.join(f'{difference:.3g}' for difference in proof.difference)} from LiteRT"


def _accuracy(proof: Proof) -> str:
    """Say what is left of the float model."""
    accuracy = proof.accuracy
    if accuracy is None:
        return ""
    text = ""
    if accuracy.float_error:
        largest = max(accuracy.float_error)
        worst = accuracy.worst_sample[accuracy.float_error.index(largest)]
        text += f", {largest:.3g} from the float model (SQNR {min(accuracy.sqnr):.1f} dB, worst in sample {worst})"
    if accuracy.top1 is not None and accuracy.labelled:
        before = "" if accuracy.float_top1 is None else f", {accuracy.float_top1:.1%} before"
        text += f"; top-1 {accuracy.top1:.1%}{before}"
    return f"{text}, {accuracy.samples} samples"
