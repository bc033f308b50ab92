# SPDX-License-Identifier: Apache-2.0
"""Find what makes a model that builds doubtful, and warn of it: the user decides."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.graph import Graph
from tflm_build.model.values import Narrowing, Shrinkage, Tensor
from tflm_build.stages.accuracy import Accuracy
from tflm_build.stages.activations import Activations
from tflm_build.stages.prove import Proof

__all__ = ["doubts"]

_LOW_SQNR: Final = 20.0
"""dB: the noise of quantization is then a tenth of the signal; int8 models that work have 30 to 50."""

_IDEAL_SQNR: Final = 50.0
"""dB: of 8 bits that are used in full: what a layer behind the inputs can have lost is counted from here."""

_FEW_STEPS: Final = 4
"""Steps: a feature that varies by fewer is hardly more than a switch to the model."""

_DEAD: Final = 1 / 3
"""Share of all channels: with fewer, any network trains."""

_SHOWN: Final = 3  # layers that are named; the manifest has all
_FEW_SAMPLES: Final = 8  # too few to show a spread
_MANY_FEATURES: Final = 256  # in a flat input: more are samples of one signal, not features


def doubts(
    graph: Graph,
    samples: Sequence[Array] | None,
    proof: Proof,
    activations: Activations,
    shrinkage: Shrinkage,
    narrowing: Narrowing | None = None,
) -> tuple[str, ...]:
    """Return warnings.

    Args:
        graph: inputs, outputs and layers.
        samples: per input an array (samples, *shape) of real numbers or of the tensor's integers; None: there is none.
        proof: what was compared, and what TFLM answered to the samples.
        activations: where the float model's numbers are lost.
        shrinkage: which channels never change.
        narrowing: which weights have 4 bits, and what that was judged on.
    """
    found = [*_not_compared(proof), *_left_in_float(graph), *_low_sqnr(graph, proof.accuracy, activations)]
    found += _dead(graph, shrinkage)
    if narrowing is not None and narrowing.layers and not narrowing.test_data:
        found.append(
            f"weights of 4 bits are judged on {narrowing.samples} samples that they were fitted to; pass other ones as "
            "`TEST_DATA`"
        )
    if samples is not None:
        found += _alike(samples, proof.answers)
        for tensor, array in zip(graph.inputs, samples, strict=True):
            found += _one_scale(tensor, array)
    return tuple(f"warning: {doubt}" for doubt in found)


def _not_compared(proof: Proof) -> Iterable[str]:
    """Warn of layers that were compared with nothing."""
    names = proof.not_compared
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield (
            f"{len(names)} of {len(proof.layers)} layers are not compared with any reference: "
            f"{', '.join(names[:_SHOWN])}{more}"
        )


def _left_in_float(graph: Graph) -> Iterable[str]:
    """Warn of layers that a quantizer left to real numbers, between a DEQUANTIZE and a QUANTIZE."""
    operators = graph.subgraphs[0].operators
    left = [
        operator.op
        for operator in operators
        if operator.op.isupper()  # no custom op
        and operator.op not in {"DEQUANTIZE", "QUANTIZE"}
        and {operand.type for operand in operator.reads[:1]} == {"float32"}
        and {operand.type for operand in operator.outputs} == {"float32"}
    ]
    if left and graph.quantization != "none":
        yield (
            f"{len(left)} of {len(operators)} layers compute in float32, for they are not quantized: "
            f"{', '.join(sorted(set(left)))}; they take more arena, and time on a chip without floating "
            "point; replace these layers"
        )


def _low_sqnr(graph: Graph, accuracy: Accuracy | None, activations: Activations) -> Iterable[str]:
    """Warn of outputs that quantization left little of, and name the layer that loses most."""
    if accuracy is None or not accuracy.sqnr or min(accuracy.sqnr) >= _LOW_SQNR:
        return
    lowest = min(accuracy.sqnr)
    output = graph.outputs[accuracy.sqnr.index(lowest)].name
    known: dict[int, float] = {}
    falls: list[tuple[float, str]] = []
    for operator, layer in zip(graph.subgraphs[0].operators, activations.layers, strict=False):
        before = min([_IDEAL_SQNR, *(known.get(operand.place, _IDEAL_SQNR) for operand in operator.reads)])
        after = before if layer.sqnr is None else min(layer.sqnr, _IDEAL_SQNR)
        known.update({operand.place: after for operand in operator.outputs})
        falls.append((before - after, f"'{operator.layer}' ({operator.op}), from {before:.1f} to {after:.1f} dB"))
    fall, layer_text = max(falls, default=(0.0, ""))
    where = f"; most is lost in layer {layer_text}" if fall > 0 else ""
    yield (
        f"output '{output}' has an SQNR of {lowest:.1f} dB against the float model, under {_LOW_SQNR:g}: quantization "
        f"makes it another model{where}; calibrate with data like the test data, or try `QUANTIZE` int16x8"
    )


def _dead(graph: Graph, shrinkage: Shrinkage) -> Iterable[str]:
    """Warn of a model that trained many channels for nothing, or was calibrated on too little."""
    constant = sum(layer.constant for layer in shrinkage.layers)
    left = sum(operand.shape[-1] for operator in graph.operators for operand in operator.outputs if operand.shape)
    channels = left + shrinkage.channels
    if constant and constant >= _DEAD * channels:
        yield (
            f"{constant:,} of {channels:,} channels that layers write hold one value whatever the input is, and are "
            "removed; they are dead in training too, unless the calibration data lacks a part of the range: train with "
            "fewer channels, a smaller learning rate or less weight decay"
        )


def _alike(samples: Sequence[Array], answers: Sequence[Array]) -> Iterable[str]:
    """Warn of a model that answers different samples alike."""
    differ = any(len(array) > 1 and bool(np.any(array != array[:1])) for array in samples)
    if differ and all(bool(np.all(answer == answer[:1])) for answer in answers):
        yield (f"all answers to {len(samples[0])} different samples are alike; check the scale of the data")


def _one_scale(tensor: Tensor, array: Array) -> Iterable[str]:
    """Warn of features of an input that its one scale leaves few steps."""
    step = (1.0 if array.dtype.kind in "iu" else tensor.scale) or tensor.step
    flat = array.ndim <= 2  # noqa: PLR2004 - (samples, features)
    rows = array.reshape(len(array), -1) if flat else array.reshape(-1, array.shape[-1])
    if not step or len(array) < _FEW_SAMPLES or (flat and rows.shape[1] > _MANY_FEATURES):
        return
    spread = rows.max(axis=0).astype(np.float64) - rows.min(axis=0)
    weak = np.flatnonzero((spread > 0) & (spread < _FEW_STEPS * step))
    if len(weak):
        first = int(weak[0])
        yield (
            f"input '{tensor.name}' has one scale, a step of {step:.3g}, for features of very different ranges: "
            f"{len(weak)} of {len(spread)} vary by fewer than {_FEW_STEPS} steps, the first is {first}, by "
            f"{spread[first]:.3g}; scale the features alike before training"
        )
