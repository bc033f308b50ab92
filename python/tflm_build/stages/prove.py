# SPDX-License-Identifier: Apache-2.0
"""Compare the model on TFLM with independent references, layer by layer, and with the float model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np

from tflm_build.arrays import Array, distance
from tflm_build.child.run import run_in_child
from tflm_build.child.table import ANSWER, COMPARE_LAYERS, RUN_TFLM
from tflm_build.errors import TflmBuildError
from tflm_build.model.effort import affordable_runs
from tflm_build.model.graph import Graph
from tflm_build.model.model import Model
from tflm_build.model.state import find_state
from tflm_build.model.workload import model_macs
from tflm_build.options import Options
from tflm_build.stages.accuracy import Accuracy, work_out_accuracy
from tflm_build.stages.arena import PlannedModel
from tflm_build.stages.convert import Converted
from tflm_build.stages.deaths import naming_layers
from tflm_build.stages.golden import GoldenInputs
from tflm_build.stages.prove_layers import FLOAT_TOLERANCE, LayerProof, prove_layers

__all__ = ["Proof", "lack", "prove"]

_NEEDED: Final = {
    "MAX_LSB": "a model that LiteRT runs",
    "MAX_FLOAT_ERROR": "a float source, and data",
    "MIN_SQNR": "a float source, and data",
    "MIN_TOP1": "one output that is a vector, and labels in the test data or a float source",
}
"""What each tolerance applies to."""


_EFFORT: Final = 250_000_000
"""Multiply-accumulates that the golden vectors which layers are compared on may take, a third of a second on TFLM:
counted, so that every machine compares the same ones. In a large model each has that many more elements."""

_FEWEST: Final = 2
"""Vectors that are compared of a model of any size."""


@dataclass(frozen=True)
class Proof:
    """How far the shipped model is from its references.

    Attributes:
        layers: of the main subgraph, in order.
        vectors: the first of the golden vectors, on which layers and the whole model are compared.
        difference: per output: the largest difference of the whole model from LiteRT; in steps for integers and for
            real numbers that are dequantized integers, else in real numbers. Empty where LiteRT does not run the model.
        tolerance: per output: how far firmware may be from the golden outputs, in the element's unit: 0 for integers,
            for float32 what compilers may round otherwise.
        answers: per output an array (samples, *shape): what TFLM answered to the samples of the data.
        accuracy: against the float model and the labels; None where there is neither.
    """

    layers: tuple[LayerProof, ...]
    vectors: int
    difference: tuple[float, ...]
    tolerance: tuple[float, ...]
    answers: tuple[Array, ...]
    accuracy: Accuracy | None

    @property
    def not_compared(self) -> tuple[str, ...]:
        """The layers that nothing could be compared with."""
        return tuple(layer.layer for layer in self.layers if layer.reference is None)


def prove(
    options: Options,
    graph: Graph,
    golden: GoldenInputs,
    arranged: PlannedModel,
    converted: Converted,
) -> Proof:
    """Compare layer by layer and end to end, and check the differences against their tolerances.

    Args:
        options: the tolerances.
        graph: inputs, outputs and layers.
        golden: the inputs.
        arranged: the model as it is shipped, and TFLM's outputs.
        converted: what the float model answers, and the labels.

    Raises:
        TflmBuildError: a tolerance is broken, or a layer reads memory that nobody wrote.
    """
    measured = arranged.measured
    vectors = affordable_runs(_EFFORT, model_macs(graph), fewest=_FEWEST, most=golden.count)
    inputs, answers = ([array[:vectors] for array in arrays] for arrays in (golden.arrays, measured.outputs))
    with naming_layers(RUN_TFLM, arranged.model, golden.arrays):
        request = {"flatbuffer": arranged.model.flatbuffer, "inputs": inputs, "answers": answers}
        compared = run_in_child(COMPARE_LAYERS, request)
    layers = prove_layers(graph, compared["layers"], options.max_lsb or 0)
    difference = _difference(options, graph, answers, compared.get("outputs"))
    tolerance = tuple(
        FLOAT_TOLERANCE * float(np.abs(np.where(np.isfinite(output), output, 0)).max(initial=1e-6))
        if output.dtype.kind == "f"
        else 0.0
        for output in measured.outputs
    )
    samples = _answer_samples(arranged.model, golden, measured.outputs)
    _check_labels(converted.labels, samples)
    accuracy = work_out_accuracy(graph.outputs, samples, converted.float_outputs, converted.labels)
    _hold(options, accuracy, graph)
    return Proof(layers, vectors, difference, tolerance, samples, accuracy)


def _answer_samples(model: Model, golden: GoldenInputs, outputs: Sequence[Array]) -> tuple[Array, ...]:
    """Return per output an array (samples, *shape): what TFLM answers to all samples of the data."""
    first = tuple(output[: golden.from_data] for output in outputs)
    if not len(golden.further[0]):
        return first
    kept = find_state(model.graph).kept  # then an answer depends on the vectors before
    pairs = zip(golden.arrays, golden.further, strict=True)
    request = {
        "flatbuffer": model.flatbuffer,
        "inputs": [np.concatenate(pair) for pair in pairs] if kept else list(golden.further),
        "outputs": len(outputs),
        "in_order": kept,
    }
    with naming_layers(RUN_TFLM, model, golden.further):
        rest = run_in_child(ANSWER, request)["outputs"]
    behind = golden.count if kept else 0
    return tuple(np.concatenate([one, other[behind:]]) for one, other in zip(first, rest, strict=True))


def _difference(
    options: Options, graph: Graph, outputs: Sequence[Array], reference: Sequence[Array] | None
) -> tuple[float, ...]:
    """Compare the whole model with LiteRT, and check MAX_LSB where it is set."""
    if reference is None:
        if options.max_lsb is not None:
            lack("MAX_LSB")
        return ()
    found = []
    for tensor, got, wanted in zip(graph.outputs, outputs, reference, strict=True):
        if got.shape != wanted.shape:
            msg = (
                f"output '{tensor.name}' has the shape {got.shape[1:]}, and {wanted.shape[1:]} on LiteRT; "
                "allowed: one shape; convert the model again"
            )
            raise TflmBuildError(msg)
        far = distance(got, wanted) / (tensor.step or 1.0)
        difference = float(far.max(initial=0.0))
        steps = tensor.step > 0 or tensor.dtype.kind != "f"
        # A dequantized step is a product of floats, so that it is only nearly whole.
        difference = round(difference, 3) if steps else difference
        if options.max_lsb is not None and steps and difference > options.max_lsb:
            vector = int(np.argmax(far.reshape(len(far), -1).max(axis=1)))
            msg = (
                f"output '{tensor.name}' differs from LiteRT's by {difference:g} steps in golden vector "
                f"{vector}; allowed by `MAX_LSB`: {options.max_lsb}; each layer is within its tolerance on equal "
                "inputs, so roundings add up; raise `MAX_LSB` or leave it out"
            )
            raise TflmBuildError(msg)
        found.append(difference)
    return tuple(found)


def _check_labels(labels: Array | None, answers: Sequence[Array]) -> None:
    """Refuse labels that no output stands for."""
    if labels is None or len(answers) != 1:
        return
    classes = answers[0][0].size
    if classes > 1 and not (labels.min() >= 0 and labels.max() < classes):
        msg = f"the labels are from {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}; count classes from 0"
        raise TflmBuildError(msg)


def _hold(options: Options, accuracy: Accuracy | None, graph: Graph) -> None:
    """Check the accuracy against the user's tolerances."""
    if options.max_float_error is not None:
        if accuracy is None or not accuracy.float_error:
            lack("MAX_FLOAT_ERROR")
        else:
            _hold_float_error(options.max_float_error, accuracy, [tensor.name for tensor in graph.outputs])
    if options.min_top1 is not None:
        if accuracy is None or accuracy.top1 is None:
            lack("MIN_TOP1")
        elif accuracy.top1 < options.min_top1:
            before = "" if accuracy.float_top1 is None else f" (the float model: {accuracy.float_top1:.4g})"
            judge = "the labels" if accuracy.labelled else "the float model"
            msg = (
                f"`MIN_TOP1`: the largest output is that of {judge} in {accuracy.top1:.4g} of {accuracy.samples} "
                f"samples{before}; allowed: {options.min_top1:g} and more; calibrate with data like the test data, or "
                "try `QUANTIZE` int16x8"
            )
            raise TflmBuildError(msg)


def lack(option: str) -> NoReturn:
    """Refuse a tolerance that applies to nothing.

    Raises:
        TflmBuildError: always.
    """
    msg = f"`{option}` needs {_NEEDED[option]}; got none; pass it, or leave `{option}` out"
    raise TflmBuildError(msg)


def _hold_float_error(allowed: float, accuracy: Accuracy, names: Sequence[str]) -> None:
    """Check each output's largest difference from the float model against its tolerance."""
    for name, error, worst, sqnr in zip(names, accuracy.float_error, accuracy.worst_sample, accuracy.sqnr, strict=True):
        if not error <= allowed:
            msg = (
                f"`MAX_FLOAT_ERROR`: output '{name}' differs from the float model by {error:.4g} in sample {worst} of "
                f"{accuracy.samples} (SQNR {sqnr:.1f} dB); allowed: {allowed:g}; calibrate with data like the test "
                "data, or try `QUANTIZE` int16x8"
            )
            raise TflmBuildError(msg)
