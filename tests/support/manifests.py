# SPDX-License-Identifier: Apache-2.0
"""Manifests that no model gives: with markup in every text, or of many layers."""

import copy
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}\ud800&amp;"


def with_markup(value: Any) -> Any:
    """Put markup into every text of a value of JSON."""
    if isinstance(value, dict):
        return {key: with_markup(member) for key, member in value.items()}
    if isinstance(value, list):
        return [with_markup(member) for member in value]
    return MARKUP if isinstance(value, str) else value


def with_layers(manifest: Any, count: int) -> Any:
    """Repeat the layers of a manifest until there are so many; tensors of each round are its own."""
    changed = copy.deepcopy(manifest)
    layers, written = manifest["layers"], manifest["activations"]["layers"]
    proofs = manifest["proof"]["layers"]
    changed["layers"], changed["activations"]["layers"], changed["proof"]["layers"] = [], [], []
    for place in range(count):
        layer = copy.deepcopy(layers[place % len(layers)])
        for tensor in (*layer["inputs"], *layer["outputs"]):
            tensor["tensor"] += 1000 * (place // len(layers))
        layer["layer"] = f"{layer['layer']} of round {place // len(layers)}"
        changed["layers"].append(layer)
        changed["activations"]["layers"].append(copy.deepcopy(written[place % len(layers)]))
        changed["proof"]["layers"].append(copy.deepcopy(proofs[place % len(layers)]))
    changed["macs"] = sum(layer["macs"] for layer in changed["layers"])
    return changed


def save(manifest: Any, path: Path) -> Path:
    """Write a manifest that has no files beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest | {"files": {}}, indent=2, sort_keys=True))
    return path


def leaves(value: Any, put: Callable[[Any], None]) -> Iterator[Callable[[Any], None]]:
    """Yield for each member of a value of JSON a function that puts something in its place."""
    yield put
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from leaves(member, partial(value.__setitem__, key))
