# SPDX-License-Identifier: Apache-2.0
"""Show a description of a model, and an estimate of its time: as tables, or as JSON."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from tflm_build.describe.description import Description
from tflm_build.describe.estimate import Estimate
from tflm_build.describe.quantity import write_quantity
from tflm_build.model.values import Layer, LayerTensor, Tensor, write_shape
from tflm_build.table import show_lines, show_table

__all__ = ["show_inspection"]

_UNKNOWN: Final = "?"
_TITLE: Final = "estimate"
_YIELDS: Final = ("#", "type", "reads", "writes", "live B")
_ARENAS: Final = "arena by target"
_ARENAS_NOTE: Final = "computed; the scratch memory of optimized kernels by their libraries' formulas of 2026"
_NOTE: Final = "MACs of this model times published cycles per MAC of int8 models; ops without MACs are not in it"


def show_inspection(
    description: Description, estimate: Estimate | None, *, as_json: bool, structure: bool = False
) -> None:
    """Print on standard output what is known of a model; its bytes by kind if `structure` is set, or as JSON."""
    if as_json:
        sys.stdout.write(json.dumps(_content(description, estimate), indent=2) + "\n")
        return
    show_lines(_summary(description))
    sys.stdout.write("\n")
    _show_tensors(description)
    sys.stdout.write("\n")
    _show_layers(description, estimate)
    sys.stdout.write("\n")
    rows = [(used.op, f"{used.count:,}", used.method or "none") for used in description.ops]
    show_table(("op", "count", "kernel in TFLM"), rows, left=("op", "kernel in TFLM"), title="ops")
    if description.shrinkage.layers:
        sys.stdout.write("\n")
        _show_shrinkage(description)
    if structure:
        sys.stdout.write("\n")
        parts = [(part.what, f"{part.count:,}", f"{part.bytes:,}") for part in description.structure]
        total = ("total", "", f"{description.bytes:,}")
        show_table(("what", "count", "B"), parts, left=("what",), total=total, title="structure")
    if description.arenas:
        sys.stdout.write("\n")
        rows = [(each.target, each.kernels, f"{each.size:,}") for each in description.arenas]
        show_table(("target", "kernels", "arena B"), rows, left=("target", "kernels"), title=_ARENAS, note=_ARENAS_NOTE)
    if estimate is not None:
        sys.stdout.write("\n")
        rows_of_two = list(_estimated(description, estimate))
        show_table(("what", "how much"), rows_of_two, left=("what", "how much"), title=_TITLE, note=_NOTE)


def _summary(description: Description) -> Iterator[str]:
    """Yield lines that say the most important."""
    quantization = "float32" if description.quantization == "none" else description.quantization
    peak = "" if description.peak_bytes is None else f", {description.peak_bytes:,} B of activations at once"
    yield f"{description.name}: {quantization}, {description.bytes:,} B of flash{peak}, {description.macs:,} MACs"
    yield f"  source  {description.kind}, {description.source_bytes:,} B"
    if description.built is not None:
        arena = description.built.arena
        planned = ", planned offline" if arena.planned else ""
        yield f"  arena   {arena.size:,} B, {arena.interpreter:,} B of it for the interpreter{planned}"
    if description.state is not None and description.state.kept:
        yield f"  state   {description.state.words}, kept from one run to the next"
    for number, words in enumerate(description.shrinkage.words):
        yield f"  {'' if number else 'shrink':<7} {words}{'' if description.built else ', once it is converted'}"
    if description.refusal is not None:
        yield f"  TFLM    cannot run it: {description.refusal}"


def _show_tensors(description: Description) -> None:
    """Print inputs and outputs."""
    columns = ("tensor", "name", "type", "shape", "scale", "zero point")
    groups = (("input", description.inputs), ("output", description.outputs))
    rows = [(f"{kind} {index}", *_tensor(tensor)) for kind, group in groups for index, tensor in enumerate(group)]
    show_table(columns, rows, left=columns[:4], title="tensors", names="name", yields=("zero point", "scale"))


def _tensor(tensor: Tensor) -> tuple[str, ...]:
    """Return the cells of a tensor."""
    quantized = (f"{tensor.scale:.9g}", str(tensor.zero_point)) if tensor.scale else ("", "")
    return (tensor.name, tensor.type, write_shape(tensor.shape), *quantized)


def _show_layers(description: Description, estimate: Estimate | None) -> None:
    """Print what each operator costs, and the sums."""
    columns = ["#", "layer", "op", "type", "reads", "writes", "MACs", "weights B", "live B"]
    lacking = {used.op for used in description.ops if used.method is None}
    rows = [_layer(index, layer, lacking) for index, layer in enumerate(description.layers)]
    peak = _UNKNOWN if description.peak_bytes is None else f"{description.peak_bytes:,}"
    total = ["", "total; live: at most", "", "", "", "", f"{description.macs:,}", f"{description.weight_bytes:,}", peak]
    if estimate is not None:
        columns.append("cycles")
        for row, cycles in zip(rows, estimate.layers, strict=True):
            row.append(_UNKNOWN if cycles is None else f"{cycles:,}" if cycles else "")
        total.append(f"{estimate.cycles:,}")
    show_table(columns, rows, left=columns[1:6], total=total, title="layers", names="layer", yields=_YIELDS)


def _show_shrinkage(description: Description) -> None:
    """Print the layers that lose channels, taps or inputs."""
    columns = ("layer", "op", "channels", "constant", "unread", "B saved", "MACs saved")
    rows = [
        (
            row.layer,
            row.op,
            *(f"{getattr(row, kind):,}" for kind in ("channels", "constant", "unread", "bytes", "macs")),
        )
        for row in description.shrinkage.layers
    ]
    show_table(columns, rows, left=columns[:2], title="layers that shrink", names="layer", yields=("op", *columns[2:5]))


def _layer(index: int, layer: Layer, lacking: set[str]) -> list[str]:
    """Return the cells of a layer."""
    macs = _UNKNOWN if layer.op in lacking else f"{layer.macs:,}"
    live = _UNKNOWN if layer.live_bytes is None else f"{layer.live_bytes:,}"
    kind = next((end.type for end in layer.outputs), "")
    kind += " x int4" if layer.weight_type == "int4" else ""
    reads = [end for end in layer.inputs if not end.constant]
    cells = [str(index), layer.layer, layer.op, kind, _ends(reads), _ends(layer.outputs)]
    return [*cells, macs, f"{layer.weight_bytes:,}", live]


def _ends(ends: list[LayerTensor] | tuple[LayerTensor, ...]) -> str:
    """Write the shapes of tensors."""
    return " + ".join(write_shape(end.shape) for end in ends)


def _estimated(description: Description, estimate: Estimate) -> Iterator[tuple[str, str]]:
    """Yield the rows of an estimate: what it says, what is not in it, and what it is made of."""
    given = estimate.conditions
    yield "target", f"{given.core} at {write_quantity(given.hertz, 'Hz')}, {given.kernels} kernels"
    yield "cycles", f"{estimate.cycles:,}"
    yield "latency", write_quantity(estimate.seconds, "s")
    if estimate.duty_cycle is not None and given.period is not None:
        late = "; longer than the period" if estimate.duty_cycle > 1 else ""
        yield "duty cycle", f"{100 * estimate.duty_cycle:.3g}% of {write_quantity(given.period, 's')}{late}"
    if estimate.energy is not None:
        yield "energy of a run", write_quantity(estimate.energy, "J")
    if estimate.mean_power is not None:
        yield "mean power", write_quantity(estimate.mean_power, "W")
    for family, macs in estimate.left_out.items():
        yield "not in it", f"{macs:,} MACs of {family.replace('_', ' ')} layers: nothing is published for this core"
    if description.quantization != "int8":
        yield "not like it", "this model does not compute in int8 alone, and will take longer"
    narrow = sum(layer.weight_type == "int4" for layer in description.layers)
    if narrow:
        yield "not in it", f"{narrow} layers have weights of 4 bits, which take longer: kernels unpack them"
    for rate in estimate.rates:
        value = f"{rate.cycles_per_mac:.3g} cycles per MAC, from {rate.derivation}; {rate.source}"
        yield rate.family.replace("_", " "), value


def _content(description: Description, estimate: Estimate | None) -> dict[str, Any]:
    """Return all of it for JSON."""
    content = dataclasses.asdict(description)
    lacking = {used.op for used in description.ops if used.method is None}
    for layer in content["layers"]:
        layer["macs"] = None if layer["op"] in lacking else layer["macs"]
    sums = {name: getattr(description, name) for name in ("macs", "weight_bytes", "peak_bytes")}
    return {**content, **sums, "estimate": None if estimate is None else _estimate(estimate)}


def _estimate(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate for JSON."""
    derived = ("cycles", "seconds", "duty_cycle", "energy", "mean_power")
    rates = [{**dataclasses.asdict(rate), "cycles_per_mac": rate.cycles_per_mac} for rate in estimate.rates]
    return {
        **dataclasses.asdict(estimate),
        **{name: getattr(estimate, name) for name in derived},
        "rates": rates,
    }
