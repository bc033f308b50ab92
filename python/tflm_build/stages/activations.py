# SPDX-License-Identifier: Apache-2.0
"""Describe what each layer writes: its range, how much of it is used, and where quantization loses accuracy."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, log10
from typing import Any, Final

import numpy as np

from tflm_build.child.run import run_in_child
from tflm_build.child.table import FOLLOW_LAYERS
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import indices, load, tensor_type_name
from tflm_build.stages.convert import Converted
from tflm_build.stages.golden import GoldenInputs

__all__ = ["Activation", "Activations", "describe_activations"]

Array = np.ndarray[Any, Any]

_EFFORT: Final = 250_000_000
"""Multiply-accumulates to follow samples with, under a second: counted, so that every machine follows the same."""


@dataclass(frozen=True)
class Activation:
    """What the first output of one operator is like.

    Attributes:
        range: the real numbers that the integer type can stand for: what calibration found; None for other types.
        seen: the smallest and largest number that samples of the data brought; None where none were followed.
        at_limit: share of elements at an end of that range, where the end is not 0; None likewise.
        sqnr: signal-to-quantization-noise ratio in dB against the float model's layer; infinite where there is no
            difference; None where there is no such layer.
    """

    range: tuple[float, float] | None
    seen: tuple[float, float] | None = None
    at_limit: float | None = None
    sqnr: float | None = None


@dataclass(frozen=True)
class Activations:
    """What the layers write, in the order of the flatbuffer; samples: the number that was followed."""

    layers: tuple[Activation, ...]
    samples: int


def describe_activations(converted: Converted, golden: GoldenInputs, macs: int) -> Activations:
    """Describe all layers, and follow golden inputs that are samples of the data through those of the main subgraph.

    Layers of both models are held to be the same where they write tensors of the same name: a converter that quantizes
    keeps the names of what it does not add.

    Args:
        converted: the model with its names, the float model and the samples.
        golden: the same samples in the types of the model's inputs.
        macs: of one run: of a large model fewer samples are followed.

    Raises:
        TflmBuildError: the bytes are not a TensorFlow Lite model.
    """
    model = load(converted.flatbuffer)
    layers = [_layer(subgraph, operator) for subgraph in model.subgraphs for operator in subgraph.operators or []]
    samples = min(golden.from_data, max(1, _EFFORT // max(1, macs)))
    if not samples:
        return Activations(tuple(layers), 0)
    main = model.subgraphs[0]
    written = _written(main)
    tensors = list(written.values())
    quantization = [_quantization(main.tensors[index]) for index in tensors]
    partners = _partners(main, tensors, converted)
    real = converted.samples or ()
    request = {
        "flatbuffer": converted.flatbuffer,
        "inputs": [array[:samples] for array in golden.arrays],
        "tensors": tensors,
        "scales": [scale for scale, _ in quantization],
        "zero_points": [zero_point for _, zero_point in quantization],
        "float_flatbuffer": converted.float_flatbuffer or b"",
        "float_inputs": [real[place][:samples] for place in partners.inputs],
        "float_tensors": partners.tensors,
    }
    try:
        results = run_in_child(FOLLOW_LAYERS, request)["results"]
    except TflmBuildError:  # an interpreter that does not keep all tensors of this model: nothing was seen
        return Activations(tuple(layers), 0)
    for place, numbers, scaling in zip(written, zip(*results, strict=True), quantization, strict=True):
        layers[place] = _add(layers[place], numbers, scaling)
    return Activations(tuple(layers), samples)


def _written(subgraph: Any) -> dict[int, int]:
    """Return the tensor that each operator writes first, by the operator's place; some write none."""
    outputs = ((place, indices(operator.outputs)) for place, operator in enumerate(subgraph.operators or []))
    return {place: tensors[0] for place, tensors in outputs if tensors}


def _layer(subgraph: Any, operator: Any) -> Activation:
    """Describe what is known without running the model."""
    outputs = indices(operator.outputs)
    if not outputs:
        return Activation(None)
    tensor = subgraph.tensors[outputs[0]]
    kind = tensor_type_name(tensor.type)
    scale, zero_point = _quantization(tensor)
    if not scale or kind not in {"int8", "uint8", "int16"}:
        return Activation(None)
    limits = np.iinfo(kind)
    return Activation(((limits.min - zero_point) * scale, (limits.max - zero_point) * scale))


def _quantization(tensor: Any) -> tuple[float, int]:
    """Return scale and zero point; scale 0 for a tensor that is not quantized."""
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None or not len(parameters.scale):
        return 0.0, 0
    scale, zero_points = float(parameters.scale[0]), indices(parameters.zeroPoint)
    if not (isfinite(scale) and scale > 0):
        return 0.0, 0
    return scale, zero_points[0] if zero_points else 0


@dataclass(frozen=True)
class _Partners:
    """What the float model has for each tensor that is followed, -1 for nothing; and which input goes to which."""

    tensors: list[int]
    inputs: list[int]


def _partners(main: Any, tensors: Sequence[int], converted: Converted) -> _Partners:
    """Find the tensors of the float model by their names."""
    nothing = _Partners([-1] * len(tensors), [])
    if converted.float_flatbuffer is None or converted.samples is None:
        return nothing
    other = load(converted.float_flatbuffer).subgraphs[0]
    written = _by_name(other, list(_written(other).values()))
    mine = _by_name(main, tensors)
    ends = [main.tensors[index].name for index in indices(main.inputs)]
    wanted = [other.tensors[index].name for index in indices(other.inputs)]
    if len(ends) == len(wanted) == 1:
        inputs = [0]
    elif sorted(ends) == sorted(wanted):
        inputs = [ends.index(name) for name in wanted]
    else:
        return nothing
    partner = {mine[name]: written[name] for name in mine.keys() & written.keys()}
    return _Partners([partner.get(index, -1) for index in tensors], inputs)


def _by_name(subgraph: Any, tensors: Sequence[int]) -> dict[bytes, int]:
    """Return tensors by their names, without those whose name is empty or another's too."""
    names = [subgraph.tensors[index].name or b"" for index in tensors]
    counts = Counter(names)
    return {name: index for name, index in zip(names, tensors, strict=True) if name and counts[name] == 1}


def _add(layer: Activation, numbers: Sequence[float], quantization: tuple[float, int]) -> Activation:
    """Add what running the model showed."""
    low, high, ends, signal, noise = map(float, numbers)
    if not (isfinite(low) and isfinite(high)):
        return layer
    scale, zero_point = quantization
    if scale:
        low, high = (low - zero_point) * scale, (high - zero_point) * scale
    ratio = signal / noise if noise else float("inf")
    sqnr = 10 * log10(ratio) if signal > 0 and ratio > 0 else None
    return replace(layer, seen=(low, high), at_limit=None if layer.range is None else ends, sqnr=sqnr)
