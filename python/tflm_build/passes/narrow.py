# SPDX-License-Identifier: Apache-2.0
"""Narrow weights of 8 bits to 4, so that the layer's answers change least.

The answers of a layer are sums of products: the moments of its inputs say how far they change, in the mean of squares.
For each of some scales, weights are rounded one after the other, and what rounding one of them changes is taken back by
those that are still to come. Of these ways the best is kept, at the scale that is then best. A bias takes back what the
mean of the answers changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import integers, scaling
from tflm_build.model.flatbuffer import schema
from tflm_build.model.graph import Operand, Operator
from tflm_build.model.model import Model
from tflm_build.passes.linear import read_linear
from tflm_build.passes.model_draft import ModelDraft
from tflm_build.passes.moments import Moments

__all__ = ["Narrow", "as_rows", "narrow_layer", "narrow_model", "narrowable", "real_weights"]

_END: Final = 7
"""The largest of 4 bits; weights are symmetric, so that the smallest is -7."""

_SCALES: Final = np.linspace(0.4, 1.0, 16)
"""Scales that are tried, as shares of the one that the largest weight needs."""

_DAMPING: Final = 0.01
"""Share of the mean variance that is added to each: what was never seen may happen."""

_BIAS_LIMIT: Final = float(1 << 30)
"""The largest bias: the products that are added to it need room in int32 as well."""

_DEPTHWISE: Final = "DEPTHWISE_CONV_2D"
_BIAS: Final = 2


@dataclass(frozen=True, eq=False)
class Narrow:
    """A layer's constants with weights of 4 bits.

    Attributes:
        weights: int8 in the kernel's shape, from -7 to 7.
        scales: float32, one for each output; of FULLY_CONNECTED one for all, as its kernel takes it.
        bias: int32 (outputs,); empty where the layer has none.
    """

    weights: Array
    scales: Array
    bias: Array


def narrowable(model: Model) -> tuple[int, ...]:
    """Return the places of operators in the main subgraph whose kernels take weights of 4 bits in place of theirs.

    Weights that several operators read are not among them: they would have to be there twice.
    """
    main = model.graph.subgraphs[0]
    kernels = [operator.inputs[1].buffer for operator in main.operators if operator.inputs[1:2] and operator.inputs[1]]
    return tuple(
        place
        for place, operator in enumerate(main.operators)
        if read_linear(operator) is not None
        and operator.reads[0].type == "int8"
        and kernels.count(operator.reads[1].buffer) == 1
    )


def real_weights(operator: Operator) -> Array:
    """Return the weights (outputs, taps) as real numbers."""
    rows = as_rows(operator, _integers(operator.reads[1])).astype(np.float64)
    return rows * np.broadcast_to(operator.reads[1].scales.astype(np.float64), (len(rows),))[:, None]


def narrow_layer(operator: Operator, moments: Moments, wanted: Array) -> Narrow:
    """Find weights of 4 bits, their scales and the bias that change the answers of a layer least.

    Args:
        operator: one that `narrowable` names.
        moments: of its inputs.
        wanted: (outputs, taps) the weights that it should have, as real numbers.
    """
    bias = operator.inputs[_BIAS] if len(operator.inputs) > _BIAS else None
    step = scaling(operator.reads[0])[0]
    given = np.broadcast_to(operator.reads[1].scales.astype(np.float64), (len(wanted),))
    biases = np.zeros(len(wanted)) if bias is None else _integers(bias) * given * step
    together = operator.op == "FULLY_CONNECTED"
    largest = np.maximum(np.abs(wanted).max(axis=1) / _END, given)
    if together:
        largest = np.full(len(wanted), largest.max())
    scales = np.outer(_SCALES, largest)
    ways, left = np.zeros((len(_SCALES), *wanted.shape)), np.zeros(scales.shape)
    fitted, square = np.zeros(scales.shape), np.zeros(scales.shape)
    for part, seen in moments.products() if bias is None else moments.covariances():
        spread = _damp(seen)
        rounded = _round(wanted[:, part], scales, spread)
        ways[:, :, part] = rounded
        target = _times(wanted[None, :, part], spread)
        fitted += (rounded * target).sum(axis=2)
        square += (rounded * _times(rounded, spread)).sum(axis=2)
        left += (wanted[None, :, part] * target).sum(axis=2)
    if together:
        fitted, square, left = (
            np.repeat(each.sum(axis=1, keepdims=True), len(wanted), 1) for each in (fitted, square, left)
        )
    # At the best scale of a way, fitted / square, what is left of the squares is left - fitted ** 2 / square.
    best = np.where((fitted > 0) & (square > 0), fitted / np.where(square > 0, square, 1), scales)
    way = np.argmin(left - 2 * best * fitted + best**2 * square, axis=0)
    rows = np.arange(len(wanted))
    chosen, scale = ways[way, rows], best[way, rows]
    needed = np.abs(biases) / (step * _BIAS_LIMIT)
    scale = np.maximum(scale, needed.max() if together else needed).astype(np.float32)
    biases = biases + step * ((wanted - chosen * scale[:, None]) * moments.mean).sum(axis=1)
    whole = np.round(biases / (step * scale.astype(np.float64))).clip(-(2**31), 2**31 - 1)
    return Narrow(
        weights=_kernel(operator, chosen.astype(np.int8)),
        scales=scale[:1] if together else scale,
        bias=np.zeros(0, np.int32) if bias is None else whole.astype(np.int32),
    )


def narrow_model(model: Model, layers: Mapping[int, Narrow]) -> Model:
    """Put weights of 4 bits, with their scales and biases, into a canonical model, by the place of the operator."""
    operators = model.graph.subgraphs[0].operators
    draft = ModelDraft(model)
    for place, narrow in layers.items():
        operator, changed = operators[place], draft.operators[place]
        flat = narrow.weights.reshape(-1)
        pairs = np.append(flat, np.zeros(len(flat) % 2, np.int8)).reshape(-1, 2)  # the first one in the low half
        kernel = draft.replace_input(changed, 1, (pairs[:, 0] & 15) | (pairs[:, 1] << 4))
        kernel.shape, kernel.type = np.array(narrow.weights.shape, np.int32), schema.TensorType.INT4
        kernel.quantization = _scales(narrow.scales, 3 if operator.op == _DEPTHWISE else 0)
        if len(narrow.bias):
            bias = draft.replace_input(changed, _BIAS, narrow.bias)
            if operator.op == "FULLY_CONNECTED" or bias.quantization is not None:
                bias.quantization = _scales(narrow.scales * np.float32(operator.reads[0].scales[0]), 0)
    return draft.finish()


def _scales(scales: Array, dimension: int) -> schema.QuantizationParametersT:
    """Return symmetric quantization with these scales."""
    return schema.QuantizationParametersT(
        scale=scales.astype(np.float32),
        zeroPoint=np.zeros(len(scales), np.int64),
        quantizedDimension=dimension if len(scales) > 1 else 0,
    )


def _round(wanted: Array, scales: Array, spread: Array) -> Array:
    """Round weights one after the other.

    Args:
        wanted: (outputs, taps).
        scales: (ways, outputs).
        spread: (groups, taps, taps), of full rank.

    Returns:
        (ways, outputs, taps) whole numbers.
    """
    # How a weight that is still free best takes back a change of one before it: rows of this triangle say it.
    triangle = np.linalg.cholesky(np.linalg.inv(spread)).transpose(0, 2, 1)
    steps = wanted / scales[:, :, None]
    for tap in range(wanted.shape[1]):
        exact = steps[:, :, tap].copy()
        steps[:, :, tap] = np.clip(np.round(exact), -_END, _END)
        error = (exact - steps[:, :, tap]) / triangle[:, tap, tap]
        steps[:, :, tap + 1 :] -= error[:, :, None] * triangle[:, tap, tap + 1 :]
    return steps


def _damp(spread: Array) -> Array:
    """Add to each variance of (groups, taps, taps) a share of their mean; 1 where nothing varies at all."""
    mean = np.trace(spread, axis1=1, axis2=2) / spread.shape[-1]
    added: Array = np.where(mean > 0, _DAMPING * mean, 1.0)[:, None, None] * np.eye(spread.shape[-1])
    return spread + added


def _times(rows: Array, spread: Array) -> Array:
    """Multiply rows (ways, outputs, taps) by the matrix of their group."""
    products: Array = rows @ spread[0] if len(spread) == 1 else (rows[:, :, None, :] @ spread)[:, :, 0]
    return products


def _integers(operand: Operand) -> Array:
    """Return the integers of a constant."""
    found = integers(operand)
    assert found is not None
    return found


def as_rows(operator: Operator, elements: Array) -> Array:
    """Return a kernel's elements as (outputs, taps).

    Args:
        operator: one that `narrowable` names.
        elements: of its kernel, in any shape.
    """
    shape = operator.reads[1].shape
    return elements.reshape(-1, shape[3]).T if operator.op == _DEPTHWISE else elements.reshape(shape[0], -1)


def _kernel(operator: Operator, rows: Array) -> Array:
    """Return (outputs, taps) in the kernel's shape."""
    return (rows.T if operator.op == _DEPTHWISE else rows).reshape(operator.reads[1].shape)
