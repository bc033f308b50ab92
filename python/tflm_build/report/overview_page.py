# SPDX-License-Identifier: Apache-2.0
"""Write the page of several models: what they take together, and what one arena for all of them saves."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tflm_build.manifest.read import is_manifest
from tflm_build.report.page import fill_page, percent, printable

__all__ = ["find_manifests", "overview_page"]

_SHOWN: Final = 200  # models of a page; the sums are those of all


def find_manifests(folder: Path) -> list[Path]:
    """Return the manifests in a folder and all below it, in the order of their paths."""
    return sorted(path for path in folder.rglob("*.json") if is_manifest(path))


def overview_page(manifests: Mapping[Path, Mapping[str, Any]], target: Path) -> bytes:
    """Write one HTML file.

    Args:
        manifests: content by path; at least one.
        target: where the page will lie: it has a link to the page of each model that lies beside its manifest.

    Raises:
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError: a manifest is damaged.
    """
    models = [_model(path, printable(content), target) for path, content in manifests.items()]
    most = {kind: max(model[kind] for model in models) for kind in ("flash", "arena", "macs")}
    for model in models:
        model["shares"] = {kind: percent(model[kind], most[kind]) for kind in most}
    largest = max(models, key=lambda model: model["arena"])
    return fill_page(
        "overview.html",
        models=models[:_SHOWN],
        count=len(models),
        flash=sum(model["flash"] for model in models),
        largest=largest,
        arenas=sum(model["arena"] for model in models),
        macs=sum(model["macs"] for model in models),
        parts=_parts(models),
    )


def _model(path: Path, content: Mapping[str, Any], target: Path) -> dict[str, Any]:
    """Take what the page shows of one model."""
    page = path.with_suffix(".html")
    folder = target.parent
    accuracy = content["accuracy"] or {"top1": None, "sqnr_db": []}
    return {
        "name": content["name"],
        "place": printable(Path(os.path.relpath(path, folder)).as_posix()),
        "link": quote(Path(os.path.relpath(page, folder)).as_posix()) if page.is_file() else None,
        "quantization": content["model"]["quantization"],
        "layers": len(content["layers"]),
        "flash": content["model"]["bytes"],
        "arena": content["arena"]["size"],
        "macs": content["macs"],
        "top1": accuracy["top1"],
        "sqnr": min((ratio for ratio in accuracy["sqnr_db"] if ratio is not None), default=None),
    }


def _parts(models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what one arena for all takes of the sum of all arenas, and what it saves."""
    arenas = [model["arena"] for model in models]
    shared, whole = max(arenas), sum(arenas)
    saved = {"name": "saved", "bytes": whole - shared, "place": 1, "x": percent(shared, whole)}
    parts: list[dict[str, Any]] = [
        {"name": "one arena for all", "bytes": shared, "place": 0, "x": 0, "width": percent(shared, whole)},
        saved | {"width": percent(whole - shared, whole)},
    ]
    return [part for part in parts if part["bytes"]]
