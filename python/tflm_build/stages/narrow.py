# SPDX-License-Identifier: Apache-2.0
"""Give layers weights of 4 bits, and measure what that leaves of the answers."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.child.run import run_in_child
from tflm_build.child.table import FIT_WEIGHTS
from tflm_build.errors import TflmBuildError
from tflm_build.model.graph import Operator
from tflm_build.model.model import Model
from tflm_build.model.values import NarrowedLayer, Narrowing, NarrowStep
from tflm_build.model.workload import model_macs
from tflm_build.options import Options
from tflm_build.passes.moments import count_taps
from tflm_build.passes.narrow import Narrow, as_rows, narrow_model, narrowable, real_weights
from tflm_build.stages.convert import Converted
from tflm_build.stages.golden import GoldenInputs, quantize
from tflm_build.stages.judge import Judge
from tflm_build.stages.prove import lack
from tflm_build.stages.search import Search

__all__ = ["narrow", "wanted_weights"]

_EFFORT: Final = 4_000_000_000
"""Multiply-accumulates that fitting may take, some seconds: counted, so that every machine fits to the same samples."""

_JUDGED: Final = 1_000_000_000
"""Multiply-accumulates that judging a model once may take."""


def narrow(
    options: Options,
    converted: Converted,
    model: Model,
    golden: GoldenInputs,
    part: Callable[[float], None],
    *,
    test_data: bool,
) -> tuple[Model, Narrowing | None]:
    """Give weights of 4 bits to layers as WEIGHT_TYPE says, and hold what is left to MIN_SQNR.

    Args:
        options: what the user decided.
        converted: the float model, the samples, and those that weights are fitted to.
        model: canonical, of integers.
        golden: the samples in the types of the model's inputs.
        part: is told what share of a search is done.
        test_data: whether these are test data.

    Returns:
        The model; and what was measured, None where neither of the options asks for it.

    Raises:
        TflmBuildError: nothing is there that could be narrowed or compared, or less is left than allowed.
    """
    if options.weight_type == "int8" and options.min_sqnr is None:
        return model, None
    judge = _judge(options, converted, model, golden)
    layers = {} if options.weight_type == "int8" else _fit(converted, model)
    steps: list[NarrowStep] = []
    searched = 0
    if options.weight_type == "auto":
        search = Search(options, model, layers)
        quick = Judge(converted, model, golden, search.most)
        chosen, searched = search.run(quick, part), quick.samples
        layers, steps = {place: layers[place] for place in sorted(chosen)}, search.steps
    narrowed = narrow_model(model, layers)
    verdict = judge(narrowed)
    if options.min_sqnr is not None and verdict.sqnr < options.min_sqnr:
        remedy = "lower it, or set `WEIGHT_TYPE` to int8" if layers else "calibrate with data like the test data"
        msg = (
            f"`MIN_SQNR`: the model has {verdict.sqnr:.1f} dB against {judge.who} on {judge.samples} samples; allowed: "
            f"{options.min_sqnr:g} and more; {remedy}"
        )
        raise TflmBuildError(msg)
    operators = model.graph.subgraphs[0].operators
    return narrowed, Narrowing(
        bytes=(len(model.flatbuffer), len(narrowed.flatbuffer)),
        judge=judge.who,
        samples=judge.samples,
        test_data=test_data,
        sqnr_db=verdict.sqnr if np.isfinite(verdict.sqnr) else None,
        top1=verdict.top1,
        layers=tuple(
            NarrowedLayer(operators[place].layer, operators[place].op, operators[place].reads[1].elements)
            for place in layers
        ),
        steps=tuple(steps),
        searched=searched,
    )


def _judge(options: Options, converted: Converted, model: Model, golden: GoldenInputs) -> Judge:
    """Return who judges, on as many samples as the model's size allows."""
    if converted.samples is None or (options.weight_type == "int8" and converted.float_outputs is None):
        lack("MIN_SQNR")
    return Judge(converted, model, golden, max(1, _JUDGED // max(1, model_macs(model.graph))))


def _fit(converted: Converted, model: Model) -> Mapping[int, Narrow]:
    """Fit the weights of all layers that can have 4 bits."""
    places = narrowable(model)
    if not places:
        msg = (
            "the model has no CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED of int8 with weights of its own, which are "
            "what `WEIGHT_TYPE` narrows; leave `WEIGHT_TYPE` out"
        )
        raise TflmBuildError(msg)
    operators = [model.graph.subgraphs[0].operators[place] for place in places]
    inputs = [
        quantize(array, tensor).reshape(-1, *tensor.shape)
        for array, tensor in zip(converted.fitted or (), model.graph.inputs, strict=True)
    ]
    count = max(1, _EFFORT // (model_macs(model.graph) + sum(map(_work, operators))))
    real = _float_weights(converted)
    request = {
        "flatbuffer": model.flatbuffer,
        "inputs": [array[:count] for array in inputs],
        "places": list(places),
        "wanted": [
            wanted_weights(operator, real.get(model.tensors[0][operator.reads[1].place])) for operator in operators
        ],
    }
    answer = run_in_child(FIT_WEIGHTS, request)
    found = zip(answer["weights"], answer["scales"], answer["biases"], strict=True)
    return {place: Narrow(*layer) for place, layer in zip(places, found, strict=True)}


def _work(operator: Operator) -> int:
    """Return the multiply-accumulates that a layer's moments take for a sample."""
    taps, together = count_taps(operator)
    output = operator.outputs[0]
    results = output.elements // (1 if operator.op == "DEPTHWISE_CONV_2D" else output.shape[-1])
    return results * taps * together


def _float_weights(converted: Converted) -> dict[str, Array]:
    """Return the constants of the float model by their names."""
    model = converted.float_model
    if model is None:
        return {}
    operands = model.graph.subgraphs[0].operands
    return {
        model.tensors[0][operand.place]: operand.array.reshape(operand.shape)
        for operand in operands
        if operand.type == "float32" and operand.array is not None
    }


def wanted_weights(operator: Operator, real: Array | None) -> Array:
    """Return the float model's weights where those of 8 bits are rounded from them, else these.

    Args:
        operator: one whose weights can have 4 bits.
        real: what the float model has under that name; None: nothing.

    Returns:
        (outputs, taps) real numbers.
    """
    given = real_weights(operator)
    kernel = operator.reads[1]
    if real is None or real.shape != kernel.shape:
        return given
    rows = as_rows(operator, real).astype(np.float64)
    steps = np.broadcast_to(kernel.scales.astype(np.float64), (len(rows),))[:, None]
    return rows if (np.abs(rows - given) <= steps).all() else given
