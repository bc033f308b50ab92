# SPDX-License-Identifier: Apache-2.0
"""Turn the layers of a manifest into rows of a page: one for each, or for several where they are many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

__all__ = ["ENDS", "Lane", "Row", "lay_lanes", "layer_rows"]

_MOST: Final = 120
"""Rows of a page."""

_KINDS: Final = 3  # ops that a row of several layers names

_LANES: Final = 8  # lanes beside the graph; what is beyond shares the last

ENDS: Final = -1
"""The place of the model's inputs, as a row that other rows read from."""


@dataclass(frozen=True)
class Row:
    """One layer, or several in succession.

    Attributes:
        number: of the layer, counted from 1; of the first and the last.
        op: what it computes.
        name: the layer's name in the source.
        shape: of its first output.
        macs, weight_bytes: sums.
        weight_type: of the weights' elements; empty where it has none, or of several layers not one.
        live_bytes: the most that live at a time, while one of its layers runs; None where that is not known.
        own_bytes: of these, what that layer itself reads and writes.
        sqnr: the lowest against the float model, in dB; None where there is none.
        loss: how much lower than the lowest of what it reads, in dB; None likewise.
        range, seen, at_limit: of what a single layer writes; see the manifest.
        reads: rows that it reads from, in order; ENDS for inputs of the model.
        last: whether it writes what no layer reads: that goes out of the model.
        proof: how far it is from its reference, and which that is; empty for subgraphs beyond the main one.
    """

    number: str
    op: str
    name: str
    shape: str
    macs: int
    weight_bytes: int
    weight_type: str
    live_bytes: int | None
    own_bytes: int
    sqnr: float | None
    loss: float | None
    range: tuple[float, float] | None
    seen: tuple[float, float] | None
    at_limit: float | None
    reads: tuple[int, ...]
    last: bool
    proof: str


@dataclass(frozen=True)
class Lane:
    """A line beside the graph, from a row to others that do not follow it: its place from the inside, and the rows."""

    place: int
    source: int
    targets: tuple[int, ...]


def layer_rows(manifest: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the rows of a manifest, at most 120.

    Raises:
        KeyError, TypeError, ValueError: the manifest is damaged.
    """
    layers, written = manifest["layers"], manifest["activations"]["layers"]
    reads = _reads(layers, manifest["inputs"])
    read = {place for places in reads for place in places}
    size = -(-len(layers) // _MOST) or 1
    losses = [_loss(written, place, places) for place, places in enumerate(reads)]
    rows = []
    for first in range(0, len(layers), size):
        group = range(first, min(first + size, len(layers)))
        fullest = max((layers[place] for place in group), key=lambda layer: layer["live_bytes"] or 0)
        ratios = [written[place]["sqnr_db"] for place in group if written[place]["sqnr_db"] is not None]
        lost = [loss for loss in losses[group.start : group.stop] if loss is not None]
        one = len(group) == 1
        rows.append(
            Row(
                number=str(first + 1) if one else f"{first + 1}\N{EN DASH}{group[-1] + 1}",
                op=_ops([layers[place]["op"] for place in group]),
                name=layers[first]["layer"] if one else f"{layers[first]['layer']} \N{HORIZONTAL ELLIPSIS}",
                shape=_shape(layers[group[-1]]["outputs"]),
                macs=sum(layers[place]["macs"] for place in group),
                weight_bytes=sum(layers[place]["weight_bytes"] for place in group),
                weight_type=_weight_type([layers[place] for place in group]),
                live_bytes=fullest["live_bytes"],
                own_bytes=min(fullest["activation_bytes"], fullest["live_bytes"] or 0),
                sqnr=min(ratios, default=None),
                loss=max(lost, default=None),
                range=_pair(written[first]["range"]) if one else None,
                seen=_pair(written[first]["seen"]) if one else None,
                at_limit=written[first]["at_limit"] if one else None,
                reads=_sources(reads, group, size),
                last=any(place not in read and layers[place]["outputs"] for place in group),
                proof=_proof(manifest["proof"]["layers"][group.start : group.stop]),
            )
        )
    return tuple(rows)


def lay_lanes(rows: Sequence[Row]) -> tuple[Lane, ...]:
    """Lay what does not lead from a row to the next one into lanes, so that no two that overlap share one.

    Inputs of the model stand before the first row, its outputs behind the last. All that leads to these shares a lane.
    """
    targets: dict[tuple[int, bool], list[int]] = {}  # by source, and whether it leads to the outputs
    for place, row in enumerate(rows):
        if row.last and place < len(rows) - 1:
            targets[place, True] = [len(rows)]
        for source in row.reads:
            if source < place - 1:
                targets.setdefault((source, False), []).append(place)
    free: list[int] = []  # per lane: the row at which it is free again
    lanes: list[Lane] = []
    leaving = None
    for source, leaves in sorted(targets):
        place = next((lane for lane, until in enumerate(free) if until <= source), len(free))
        if leaves and leaving is not None:
            place = leaving
        place = min(place, _LANES - 1)
        leaving = place if leaves else leaving
        free[place : place + 1] = [max(targets[source, leaves])]
        lanes.append(Lane(place, source, tuple(targets[source, leaves])))
    return tuple(lanes)


def _reads(layers: Sequence[Mapping[str, Any]], inputs: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Return for each layer those that write what it reads; ENDS for inputs of the model.

    What nothing writes is an input where it looks like one; else it is a variable.
    """
    writer: dict[tuple[int, int], int] = {}
    ends = [(tensor["type"], tensor["shape"]) for tensor in inputs]
    reads = []
    for place, layer in enumerate(layers):
        subgraph = layer["subgraph"]
        found = set()
        for tensor in layer["inputs"]:
            key, looks = (subgraph, tensor["tensor"]), (tensor["type"], tensor["shape"])
            if key not in writer and subgraph == 0 and not tensor["constant"] and looks in ends:
                ends.remove(looks)
                writer[key] = ENDS
            if key in writer:
                found.add(writer[key])
        reads.append(sorted(found))
        writer |= {(subgraph, tensor["tensor"]): place for tensor in layer["outputs"]}
    return reads


def _sources(reads: Sequence[Sequence[int]], group: range, size: int) -> tuple[int, ...]:
    """Return the rows that a group of layers reads from."""
    places = {source for place in group for source in reads[place] if source not in group}
    return tuple(sorted({place if place == ENDS else place // size for place in places}))


def _loss(written: Sequence[Mapping[str, Any]], place: int, sources: Sequence[int]) -> float | None:
    """Return how much a layer loses in dB; None where one of both ends is not known."""
    after = written[place]["sqnr_db"]
    before = [written[source]["sqnr_db"] for source in sources if source != ENDS]
    if after is None or not before or None in before:
        return None
    return float(min(before) - after)


def _proof(layers: Sequence[Mapping[str, Any]]) -> str:
    """Say how far layers are from their references."""
    compared = [layer for layer in layers if layer["reference"] is not None]
    parts = []
    if compared:
        far = max(layer["difference"] for layer in compared)
        references = " and ".join(sorted({layer["reference"] for layer in compared}))
        parts.append(f"at most {far:.3g} from {references}" if far else f"equal to {references}")
    if len(compared) < len(layers):
        parts.append("not compared")
    return ", ".join(parts)


def _ops(ops: Sequence[str]) -> str:
    """Name the ops of a row."""
    if len(ops) == 1:
        return ops[0]
    counts = {op: ops.count(op) for op in sorted(set(ops))}
    often = sorted(counts, key=lambda op: -counts[op])
    more = f", {len(often) - _KINDS} more kinds" if len(often) > _KINDS else ""
    return ", ".join(f"{counts[op]} {op}" for op in often[:_KINDS]) + more


def _weight_type(layers: Sequence[Mapping[str, Any]]) -> str:
    """Return the type of the largest constant of each layer, where it is one."""
    constants = ([end for end in layer["inputs"] if end["constant"]] for layer in layers)
    types = {max(ends, key=lambda end: prod(end["shape"]))["type"] for ends in constants if ends}
    return types.pop() if len(types) == 1 else ""


def _shape(outputs: Sequence[Mapping[str, Any]]) -> str:
    """Write the shape of the first output."""
    sizes = outputs[0]["shape"] if outputs else []
    return " \N{MULTIPLICATION SIGN} ".join(f"{size:d}" for size in sizes) or "1"


def _pair(ends: Sequence[float] | None) -> tuple[float, float] | None:
    if ends is None:
        return None
    low, high = ends
    return float(low), float(high)
