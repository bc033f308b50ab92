# SPDX-License-Identifier: Apache-2.0
"""Name the layer that an interpreter refuses or dies in, and the likely reason: the same for TFLM and LiteRT."""

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.child.run import run_in_child
from tflm_build.child.table import Task
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import store
from tflm_build.model.graph import Operand, Operator
from tflm_build.model.model import Model

__all__ = ["naming_layers"]

_NODE: Final = re.compile(r"Node \w+ \(number (\d+)\)|[Nn]ode number (\d+) \(")
_DIED: Final = "was ended by SIG"


@contextmanager
def naming_layers(task: Task, model: Model, vector: Sequence[Array] | None = None) -> Iterator[None]:
    """Say in which layer an interpreter refused a model, or died, before what is raised.

    A death leaves no words, so the model's prefixes are run: the first that dies ends with the layer.

    Args:
        task: the one that raises: RUN_TFLM, COMPARE_LAYERS or CHECK_SHAPES.
        model: canonical.
        vector: per input an array (vectors, *shape), of which the first is run; None: zeros.

    Raises:
        TflmBuildError: with the layer in front and the likely reason behind, where they can be found.
    """
    try:
        yield
    except TflmBuildError as error:
        place = _place(error, task, model, vector)
        operators = model.graph.subgraphs[0].operators
        if place is None or place >= len(operators):
            raise
        operator = operators[place]
        msg = f"layer '{operator.layer}' ({operator.op}): {error.marked}{_reason(operator)}"
        raise TflmBuildError(msg, error.trace) from error


def _place(error: TflmBuildError, task: Task, model: Model, vector: Sequence[Array] | None) -> int | None:
    """Return the place of the operator that an error is about; None where it says nothing."""
    node = _NODE.search(str(error))
    if node is not None:
        return int(node[1] or node[2])
    if _DIED not in str(error):
        return None
    if vector is None:
        vector = [np.zeros((1, *tensor.shape), tensor.dtype) for tensor in model.graph.inputs]
    return _first_death(task, model, [array[:1] for array in vector])


def _first_death(task: Task, model: Model, vector: Sequence[Array]) -> int:
    """Return the place of the operator at the end of the shortest prefix that dies; the count of all if none does."""
    low, high = 0, len(model.graph.subgraphs[0].operators) + 1  # a prefix of `low` works
    while high - low > 1:
        middle = (low + high) // 2
        if _dies(task, *_prefix(model, middle), vector):
            high = middle
        else:
            low = middle
    return low


def _dies(task: Task, flatbuffer: bytes, output_count: int, vector: Sequence[Array]) -> bool:
    """Say whether a model kills its interpreter."""
    try:
        run_in_child(task, {"flatbuffer": flatbuffer, "inputs": list(vector), "output_count": output_count})
    except TflmBuildError as error:
        return _DIED in str(error)
    return False


def _prefix(model: Model, count: int) -> tuple[bytes, int]:
    """Return the model that ends after so many operators of its first subgraph, and how many outputs it has."""
    tree = copy.copy(model.tree)
    main = copy.copy(tree.subgraphs[0])
    tree.subgraphs, tree.metadata = [main, *tree.subgraphs[1:]], None
    tree.buffers = list(tree.buffers)
    main.operators = main.operators[:count]
    written = [operator.outputs for operator in main.operators if operator.outputs is not None]
    main.outputs = written[-1] if written else main.inputs
    return store(tree), len(main.outputs)


def _reason(operator: Operator) -> str:
    """Say what about an operator is known to end interpreters; nothing if that is not it."""
    scales = [_scale(operand) for operand in operator.reads]
    if not scales or not operator.outputs:
        return ""
    if operator.op in {"ADD", "SUB"} and all(scales) and _scale(operator.outputs[0]):
        fewer, output = 15 if operator.outputs[0].type == "int16" else 20, _scale(operator.outputs[0])
        if 2 * max(scales) >= output * 2**fewer:
            return (
                f"; its output has the scale {output:.3g}, too small for its inputs' {max(scales):.3g}: they cancel "
                "out in the calibration data; take the layer out, or calibrate with data in which they do not"
            )
    if operator.op == "SOFTMAX" and scales[0]:
        beta = float(getattr(operator.options, "beta", 1.0))
        if operator.reads[0].type in {"int8", "uint8"} and 0 < scales[0] * beta * 2**26 <= 1:
            return (
                f"; its input has the scale {scales[0]:.3g}, and needs more than {2**-26 / beta:.3g}: all that it "
                "reads is close to 0, as in a deep network that was never trained; convert a trained model"
            )
    return ""


def _scale(operand: Operand) -> float:
    """Return the scale of a tensor; 0 if it is not quantized."""
    return float(operand.scales[0]) if len(operand.scales) else 0.0
