# SPDX-License-Identifier: Apache-2.0
"""What a manifest is called, which files it lists, and what it says of any model."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from tflm_build.model.values import Layer, Part, Shrinkage, State, Tensor

__all__ = ["EMITTED", "SCHEMA_VERSION", "describe_model"]

SCHEMA_VERSION: Final = 1
"""Raised when a field changes its meaning or goes away."""

EMITTED: Final = {
    "tflite": ".tflite", "header": ".h", "model": ".c", "data": "_data.c", "assembly": "_data.S", "ops": "_ops.cc",
    "golden-header": "_golden.h", "golden": "_golden.c", "golden-arrays": "_golden.npz", "arena": ".arena",
    "manifest": ".json", "report": ".html",
}  # fmt: skip
"""What follows the model's name in each file that can be emitted alone."""


def describe_model(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    layers: Sequence[Layer],
    shrinkage: Shrinkage,
    structure: Sequence[Part],
    state: State,
) -> dict[str, Any]:
    """Return what a manifest says of any model, built or not: its ends, layers, state, what shrinks, and its bytes."""
    lists = {name: list(getattr(shrinkage, name)) for name in ("bytes", "macs", "arena")}
    rows = {name: [dataclasses.asdict(row) for row in getattr(shrinkage, name)] for name in ("steps", "layers")}
    return {
        "shrink": {**lists, **rows, "inputs": shrinkage.inputs, "channels": shrinkage.channels},
        "structure": [dataclasses.asdict(part) for part in structure],
        "inputs": [_tensor(tensor) for tensor in inputs],
        "outputs": [_tensor(tensor) for tensor in outputs],
        "layers": [_layer(layer) for layer in layers],
        "macs": sum(layer.macs for layer in layers),
        "state": {**dataclasses.asdict(state), "kernels": list(state.kernels)},
    }


def _layer(layer: Layer) -> dict[str, Any]:
    """Describe a layer."""
    tensors = {
        kind: [{**dataclasses.asdict(tensor), "shape": list(tensor.shape)} for tensor in group]
        for kind, group in (("inputs", layer.inputs), ("outputs", layer.outputs))
    }
    return {**dataclasses.asdict(layer), **tensors}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    """Describe an input or output."""
    return {
        "name": tensor.name,
        "type": tensor.type,
        "shape": list(tensor.shape),
        "bytes": tensor.bytes,
        "scale": float(f"{tensor.scale:.9g}"),
        "zero_point": tensor.zero_point,
    }
