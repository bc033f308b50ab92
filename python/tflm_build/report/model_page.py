# SPDX-License-Identifier: Apache-2.0
"""Write the page of a model: what its manifest says, to look at."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tflm_build.report.layer_rows import ENDS, Row, lay_lanes, layer_rows
from tflm_build.report.page import fill_page, percent, printable

__all__ = ["model_page"]

_ROW_HEIGHT: Final = 42  # pixels of a row of the graph: its height in page.css.in
_LANE_WIDTH: Final = 14
_TICKS: Final = (12, 8)  # numbers under the columns of memory: of short ones, and of those of many layers
_WEIGHTS: Final = 64  # tensors that a manifest describes at most
_SHOWN: Final = 24  # rows of a list that have no bound of their own

_FLASH: Final = ("constants", "structure")
_ARENA: Final = ("activations", "kept by TFLM", "while allocating", "interpreter")


def model_page(manifest: Mapping[str, Any]) -> bytes:
    """Write one HTML file that needs no other.

    Args:
        manifest: its content; texts may hold anything.

    Raises:
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError: the manifest is damaged.
    """
    manifest = printable(manifest)
    rows = layer_rows(manifest)
    return fill_page(
        "report.html",
        manifest=manifest,
        rows=rows,
        grouped=len(rows) < len(manifest["layers"]),
        flash=_flash(manifest),
        arena=_arena(manifest),
        graph=_graph(rows),
        memory=_memory(rows, manifest["arena"]),
        peak_tensors=_peak(manifest["arena"]["peak"]),
        costs=_costs(rows),
        weights=[_histogram(weights, manifest["layers"]) for weights in manifest["weights"][:_WEIGHTS]],
        ranges=[_range(row) for row in rows if row.range is not None],
        noise=_noise(rows),
        worst=_worst(manifest),
        proof=_proof(manifest),
        few=_few,
        runner="TFLM" if "tflite-micro" in manifest["versions"] else "the references that stand for TFLM",
    )


def _few(items: Sequence[Any]) -> Sequence[Any]:
    """Return the first items of a list that a stranger may have made long."""
    return items[:_SHOWN]


def _stack(names: Sequence[str], sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Return the parts of a whole: each with its size, where it begins and how wide it is, in percent."""
    whole, before, parts = sum(sizes), 0, []
    for place, (name, size) in enumerate(zip(names, sizes, strict=True)):
        if size:
            x, width = percent(before, whole), percent(size, whole)
            parts.append({"name": name, "bytes": size, "place": place, "x": x, "width": width})
        before += size
    return parts


def _flash(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of flash."""
    weights = sum(layer["weight_bytes"] for layer in manifest["layers"])
    whole = manifest["model"]["bytes"]
    return _stack(_FLASH, [min(weights, whole), max(0, whole - weights)])


def _arena(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of the arena."""
    arena = manifest["arena"]
    passing = max(0, arena["smallest"] - arena["head"] - arena["tail"])
    return _stack(_ARENA, [arena["head"], arena["tail"], passing, arena["interpreter"]])


def _graph(rows: Sequence[Row]) -> dict[str, Any]:
    """Lay out the graph: a column of dots, lines between them, and lanes beside it; inputs first, outputs last."""
    lanes = lay_lanes(rows)
    width = _LANE_WIDTH * (1 + max((lane.place + 1 for lane in lanes), default=0)) + 4
    x = width - _LANE_WIDTH + 2

    def y(row: int) -> int:
        return _ROW_HEIGHT * (row + 1) + _ROW_HEIGHT // 2

    paths = [f"M{x} {y(place - 1)}V{y(place)}" for place, row in enumerate(rows) if place - 1 in row.reads]
    for lane in lanes:
        side = x - _LANE_WIDTH * (lane.place + 1)
        for target in lane.targets:
            top, bottom, bend = y(lane.source), y(target), _ROW_HEIGHT // 2
            paths.append(
                f"M{x} {top}C{x} {top + bend} {side} {top} {side} {top + bend}V{bottom - bend}"
                f"C{side} {bottom} {x} {bottom - bend} {x} {bottom}"
            )
    if rows and rows[-1].last:
        paths.append(f"M{x} {y(len(rows) - 1)}V{y(len(rows))}")
    return {
        "width": width,
        "height": _ROW_HEIGHT * (len(rows) + 2),
        "x": x,
        "ys": [y(place) for place in range(-1, len(rows) + 1)],
        "paths": paths,
        "reads": [_told(place, row, rows) for place, row in enumerate(rows)],
    }


def _told(place: int, row: Row, rows: Sequence[Row]) -> str:
    """Say what a row reads from, where that is not the one before it alone."""
    if row.reads in {(place - 1,), ()}:
        return ""
    return "reads from " + " and ".join("the inputs" if each == ENDS else rows[each].number for each in row.reads)


def _memory(rows: Sequence[Row], arena: Mapping[str, Any]) -> dict[str, Any] | None:
    """Draw live memory over the layers, and the measured arena; None where it is not known."""
    if not rows or any(row.live_bytes is None for row in rows):
        return None
    live = [row.live_bytes or 0 for row in rows]
    top = max(*live, arena["size"], 1) * 1.12  # room for the words at the arena's line
    width = 100 / len(rows)
    gap = width * (0.14 if len(rows) < 60 else 0.04)  # noqa: PLR2004 - columns that get narrow
    peak = live.index(max(live))
    ticks = range(0, len(rows), -(-len(rows) // _TICKS[rows[0].number != "1"]))
    return {
        "columns": [
            {
                "x": round(place * width + gap / 2, 3),
                "width": round(width - gap, 3),
                "own": percent(row.own_bytes, top),
                "live": percent(row.live_bytes or 0, top),
                "row": row,
            }
            for place, row in enumerate(rows)
        ],
        "ticks": [(round((place + 0.5) * width, 3), rows[place].number.split("\N{EN DASH}")[0]) for place in ticks],
        "peak": peak,
        "row": rows[peak],
        "arena": percent(arena["size"], top),
        "head": percent(arena["head"], top),
    }


def _peak(tensors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the tensors that live at the fullest moment, with their shares of it."""
    whole = sum(tensor["bytes"] for tensor in tensors)
    return [{**tensor, "share": percent(tensor["bytes"], whole)} for tensor in _few(tensors)]


def _costs(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what each row costs, and its share of the largest."""
    flash, macs = (max((getattr(row, kind) for row in rows), default=0) for kind in ("weight_bytes", "macs"))
    return [{"row": row, "flash": percent(row.weight_bytes, flash), "macs": percent(row.macs, macs)} for row in rows]


def _histogram(weights: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Draw how the elements of one constant are distributed."""
    counts = weights["counts"]
    highest, elements = max(counts), sum(counts)
    width = 100 / len(counts)
    return {
        **weights,
        "op": layers[weights["layer"]]["op"],
        "name": layers[weights["layer"]]["layer"],
        "bars": [
            {"x": round(place * width, 3), "width": round(width * 0.86, 3), "height": max(1.5, percent(count, highest))}
            for place, count in enumerate(counts)
            if count
        ],
        "zero_share": percent(weights["zeros"], elements),
        "limit_share": percent(weights["at_limit"], elements),
        "sizes": " \N{MULTIPLICATION SIGN} ".join(f"{size:d}" for size in weights["shape"]),
    }


def _range(row: Row) -> dict[str, Any]:
    """Draw how much of a range was used."""
    assert row.range is not None
    low, high = row.range
    drawn: dict[str, Any] = {"row": row, "used": None, "zero": None}
    if low <= 0 <= high:
        drawn["zero"] = percent(-low, high - low)
    if row.seen is not None:
        start, end = (percent(number - low, high - low) for number in row.seen)
        drawn |= {"x": start, "width": round(end - start, 2), "used": percent(row.seen[1] - row.seen[0], high - low)}
    return drawn


def _noise(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Draw the noise of each row; None where no layer has a counterpart in a float model."""
    found = [row for row in rows if row.sqnr is not None]
    if not found:
        return None
    best = max(40.0, *(row.sqnr or 0 for row in found))
    losses = [row for row in found if row.loss is not None and row.loss > 0]
    return {
        "rows": [(row, percent(row.sqnr or 0, best)) for row in found],
        "lowest": min(found, key=lambda row: row.sqnr or 0),
        "loser": max(losses, key=lambda row: row.loss or 0, default=None),
        "missing": len(rows) - len(found),
    }


def _proof(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Sum up how the layers of the main subgraph were compared: counts, and the names of those that were not."""
    proofs = manifest["proof"]["layers"]
    missing = [
        layer["layer"] for layer, proof in zip(manifest["layers"], proofs, strict=False) if proof["reference"] is None
    ]
    equal = sum(proof["difference"] == 0 for proof in proofs)
    return {"layers": len(proofs), "equal": equal, "missing": missing}


def _worst(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the worst samples, and whether they are among the golden vectors."""
    if manifest["accuracy"] is None:
        return []
    golden = manifest["golden"]["from_data"]
    return [{**sample, "golden": sample["sample"] < golden} for sample in _few(manifest["accuracy"]["worst"])]
