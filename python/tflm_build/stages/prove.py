# SPDX-License-Identifier: Apache-2.0
"""Compare TFLM's golden outputs with those of LiteRT's reference kernels and of the float model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tflm_build.arrays import Array, distance
from tflm_build.child.run import run_in_child
from tflm_build.child.table import RUN_LITERT
from tflm_build.errors import TflmBuildError
from tflm_build.model.graph import Graph
from tflm_build.options import Options
from tflm_build.stages.accuracy import Accuracy, work_out_accuracy
from tflm_build.stages.arena import Arrangement
from tflm_build.stages.convert import Converted
from tflm_build.stages.deaths import name_layer
from tflm_build.stages.first_difference import first_difference
from tflm_build.stages.golden import GoldenInputs

__all__ = ["Proof", "prove"]

_FLOAT_TOLERANCE: Final = 1e-5
"""Of the largest magnitude in an output: both run the same float32 algorithm and only add in another order, where
each of n terms brings at most 2^-24 of relative error; 1e-5 holds for dot products of some hundred terms."""


@dataclass(frozen=True)
class Proof:
    """How far the shipped model is from its references.

    Attributes:
        reference: per output an array (vectors, *shape): what LiteRT answered.
        tolerance: per output: largest allowed difference from it, in the element's unit.
        difference: per output: largest difference that was found.
        accuracy: against the float model and the labels; None where there is neither.
    """

    reference: tuple[Array, ...]
    tolerance: tuple[float, ...]
    difference: tuple[float, ...]
    accuracy: Accuracy | None


def prove(
    options: Options,
    graph: Graph,
    golden: GoldenInputs,
    arranged: Arrangement,
    converted: Converted,
) -> Proof:
    """Run the reference, compare, and hold the differences to their tolerances.

    Args:
        options: the tolerances.
        graph: inputs and outputs.
        golden: the inputs.
        arranged: the model as it is shipped, and TFLM's outputs.
        converted: what the float model answers, and the labels.

    Raises:
        TflmBuildError: the reference cannot run the model, or a tolerance is broken.
    """
    measured = arranged.measured
    request = {"flatbuffer": arranged.model.flatbuffer, "inputs": golden.arrays}
    try:
        reference = tuple(run_in_child(RUN_LITERT, request)["outputs"])
    except TflmBuildError as error:
        raise name_layer(error, RUN_LITERT, arranged.model, golden.arrays) from error
    tolerances, differences = [], []
    for tensor, got, wanted in zip(graph.outputs, measured.outputs, reference, strict=True):
        if got.shape != wanted.shape:
            msg = (
                f"output '{tensor.name}' has the shape {got.shape[1:]} on TFLM and {wanted.shape[1:]} on LiteRT; "
                "allowed: one shape; convert the model again"
            )
            raise TflmBuildError(msg)
        distances = distance(got, wanted)
        difference = float(distances.max())
        floating = tensor.dtype.kind == "f"
        largest = float(np.abs(np.where(np.isfinite(wanted), wanted, 0).astype(np.float64)).max())
        tolerance = _FLOAT_TOLERANCE * max(1e-6, largest) if floating else float(options.allowed_lsb)
        if not difference <= tolerance:  # a NaN is never allowed
            vector = int(np.argmax(distances.reshape(len(distances), -1).max(axis=1)))
            reason = first_difference(arranged.model, [array[vector : vector + 1] for array in golden.arrays])
            remedy = "report the model" if floating else "if the accuracy is still right, allow it with MAX_LSB"
            msg = (
                f"output '{tensor.name}' of TFLM differs from LiteRT's reference kernels by {difference:g} in golden "
                f"vector {vector}; allowed: {tolerance:g}{reason}; {remedy}"
            )
            raise TflmBuildError(msg)
        tolerances.append(tolerance)
        differences.append(difference)
    answers = [
        np.concatenate([first[: golden.from_data], rest])
        for first, rest in zip(measured.outputs, measured.further, strict=True)
    ]
    _check_labels(converted.labels, answers)
    accuracy = work_out_accuracy(graph.outputs, answers, converted.float_outputs, converted.labels)
    _hold(options, accuracy, graph)
    return Proof(reference, tuple(tolerances), tuple(differences), accuracy)


def _check_labels(labels: Array | None, answers: Sequence[Array]) -> None:
    """Refuse labels that no output stands for."""
    if labels is None or len(answers) != 1:
        return
    classes = answers[0][0].size
    if classes > 1 and not (labels.min() >= 0 and labels.max() < classes):
        msg = f"the labels are from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}; count classes from 0"
        raise TflmBuildError(msg)


def _hold(options: Options, accuracy: Accuracy | None, graph: Graph) -> None:
    """Hold the accuracy to the user's tolerances."""
    if options.max_float_error is not None:
        if accuracy is None or not accuracy.float_error:
            _lack("MAX_FLOAT_ERROR", "a float source, and data")
        else:
            _hold_float_error(options.max_float_error, accuracy, [tensor.name for tensor in graph.outputs])
    if options.min_top1 is not None:
        if accuracy is None or accuracy.top1 is None:
            _lack("MIN_TOP1", "one output that is a vector, and labels in the test data or a float source")
        elif accuracy.top1 < options.min_top1:
            before = "" if accuracy.float_top1 is None else f" (the float model: {accuracy.float_top1:.4g})"
            judge = "the labels" if accuracy.labelled else "the float model"
            msg = (
                f"MIN_TOP1: the largest output is that of {judge} in {accuracy.top1:.4g} of {accuracy.samples} "
                f"samples{before}; allowed: {options.min_top1:g} and more; calibrate with data like the test data, or "
                "try QUANTIZE int16x8"
            )
            raise TflmBuildError(msg)


def _lack(option: str, needed: str) -> None:
    """Refuse a tolerance that nothing can be held to."""
    msg = f"{option} needs {needed}; got neither; pass them, or leave {option} out"
    raise TflmBuildError(msg)


def _hold_float_error(allowed: float, accuracy: Accuracy, names: Sequence[str]) -> None:
    """Hold each output's largest difference from the float model to its tolerance."""
    for name, error, worst, sqnr in zip(names, accuracy.float_error, accuracy.worst_sample, accuracy.sqnr, strict=True):
        if not error <= allowed:
            msg = (
                f"MAX_FLOAT_ERROR: output '{name}' differs from the float model by {error:.4g} in sample {worst} of "
                f"{accuracy.samples} (SQNR {sqnr:.1f} dB); allowed: {allowed:g}; calibrate with data like the test "
                "data, or try QUANTIZE int16x8"
            )
            raise TflmBuildError(msg)
