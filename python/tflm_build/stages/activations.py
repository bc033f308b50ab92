# SPDX-License-Identifier: Apache-2.0
"""Describe what each layer writes: its range, how much of it is used, and where quantization loses accuracy."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, log10
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.child.run import run_in_child
from tflm_build.child.table import FOLLOW_LAYERS
from tflm_build.errors import TflmBuildError
from tflm_build.model.effort import affordable_runs
from tflm_build.model.graph import Operand, Operator
from tflm_build.model.model import Model
from tflm_build.stages.convert import Converted
from tflm_build.stages.golden import GoldenInputs

__all__ = ["Activation", "Activations", "describe_activations", "float_order"]

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


def describe_activations(
    model: Model, converted: Converted, golden: GoldenInputs, removed: Mapping[int, Array], macs: int
) -> Activations:
    """Describe all layers, and follow golden inputs that are samples of the data through those of the main subgraph.

    Layers of both models count as the same where they write tensors of the same name: a converter that quantizes
    keeps the names of what it does not add.

    Args:
        model: that is shipped, with the names that it had when it was converted.
        converted: the float model and the samples.
        golden: the same samples in the types of the model's inputs.
        removed: by the place of an operator: which channels went of what it wrote.
        macs: of one run: of a large model fewer samples are followed.
    """
    graph = model.graph
    layers = [_layer(operator) for operator in graph.operators]
    samples = affordable_runs(_EFFORT, macs, fewest=1, most=golden.from_data)
    if not samples:
        return Activations(tuple(layers), 0)
    writers = {place: operator for place, operator in enumerate(graph.subgraphs[0].operators) if operator.outputs}
    written = [operator.outputs[0] for operator in writers.values()]
    tensors = [operand.place for operand in written]
    quantization = [_quantization(operand) for operand in written]
    counterparts = _pair_up(tensors, model, converted)
    real = converted.samples or ()
    request = {
        "flatbuffer": model.flatbuffer,
        "inputs": [array[:samples] for array in golden.arrays],
        "tensors": tensors,
        "scales": [scale for scale, _ in quantization],
        "zero_points": [zero_point for _, zero_point in quantization],
        "float_flatbuffer": b"" if converted.float_model is None else converted.float_model.flatbuffer,
        "float_inputs": [real[place][:samples] for place in counterparts.inputs],
        "float_tensors": counterparts.tensors,
        "kept": [~removed.get(place, np.zeros(0, bool)) for place in writers],
    }
    try:
        results = run_in_child(FOLLOW_LAYERS, request)["results"]
    except TflmBuildError:  # an interpreter that does not keep all tensors of this model: nothing was seen
        return Activations(tuple(layers), 0)
    for place, numbers, scaling in zip(writers, zip(*results, strict=True), quantization, strict=True):
        layers[place] = _add(layers[place], numbers, scaling)
    return Activations(tuple(layers), samples)


def _layer(operator: Operator) -> Activation:
    """Describe what is known without running the model."""
    if not operator.outputs:
        return Activation(None)
    operand = operator.outputs[0]
    scale, zero_point = _quantization(operand)
    if not scale or operand.type not in {"int8", "uint8", "int16"}:
        return Activation(None)
    limits = np.iinfo(operand.type)
    return Activation(((limits.min - zero_point) * scale, (limits.max - zero_point) * scale))


def _quantization(operand: Operand) -> tuple[float, int]:
    """Return scale and zero point; scale 0 for a tensor that is not quantized."""
    scale = float(operand.scales[0]) if len(operand.scales) else 0.0
    if not (isfinite(scale) and scale > 0):
        return 0.0, 0
    return scale, int(operand.zero_points[0]) if len(operand.zero_points) else 0


@dataclass(frozen=True)
class _Counterparts:
    """What the float model has for each tensor that is followed, -1 for nothing; and which input goes to which."""

    tensors: list[int]
    inputs: list[int]


def float_order(converted: Converted) -> list[int] | None:
    """Return which of the model's inputs stands where in the float model; None where that is not known."""
    other = converted.float_model
    if other is None or converted.samples is None:
        return None
    mine, theirs = (each.graph.subgraphs[0].inputs for each in (converted.model, other))
    ends = [converted.model.tensors[0][index] for index in mine]
    wanted = [other.tensors[0][index] for index in theirs]
    if len(ends) == len(wanted) == 1:
        return [0]
    return [ends.index(name) for name in wanted] if sorted(ends) == sorted(wanted) else None


def _pair_up(tensors: Sequence[int], model: Model, converted: Converted) -> _Counterparts:
    """Find the tensors of the float model by their names."""
    inputs, other = float_order(converted), converted.float_model
    if inputs is None or other is None:
        return _Counterparts([-1] * len(tensors), [])
    followed = _by_name(model, tensors)
    operators = other.graph.subgraphs[0].operators
    written = _by_name(other, [operator.outputs[0].place for operator in operators if operator.outputs])
    counterpart = {followed[name]: written[name] for name in followed.keys() & written.keys()}
    return _Counterparts([counterpart.get(index, -1) for index in tensors], inputs)


def _by_name(model: Model, tensors: Sequence[int]) -> dict[str, int]:
    """Return tensors by their names, without those whose name is empty or another's too."""
    names = [model.tensors[0][index] for index in tensors]
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
