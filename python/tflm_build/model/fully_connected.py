# SPDX-License-Identifier: Apache-2.0
"""Compute a quantized FULLY_CONNECTED as TFLM rounds it, which is not how LiteRT does.

All write `real = scale * (element - zero point)`, so the sum of products is multiplied by
`input scale * weight scale / output scale`, held as a fraction and a power of two. The rounding differs:

| elements | bias | TFLM | LiteRT's reference kernels |
| --- | --- | --- | --- |
| int8 | int32 or none | fraction of 31 bits; rounds after it, and again after the power of two | once, 31 bits |
| int16 | int32 | the same | once, 31 bits |
| int16 | int64 or none | fraction of 15 bits; rounds once | once, 31 bits |

Found by running random layers on both, as `tests/python/test_own_references.py` does.
"""

from dataclasses import dataclass

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import (
    element_limits,
    integers,
    multiply_rounding_once,
    multiply_rounding_twice,
    scaling,
)
from tflm_build.model.graph import Operator

__all__ = ["FullyConnected", "read_fully_connected"]


@dataclass(frozen=True)
class FullyConnected:
    """Parameters of a layer.

    Attributes:
        weights: integers (outputs, inputs).
        weights_zero_point: of all weights.
        bias: integers (outputs,); None where there is none.
        input: scale and zero point.
        weight_scales: one, or one for each output.
        output: scale and zero point.
        limits: smallest and largest element that the activation function and the output's type allow.
        wide: whether the sum has 64 bits.
    """

    weights: Array
    weights_zero_point: int
    bias: Array | None
    input: tuple[float, int]
    weight_scales: Array
    output: tuple[float, int]
    limits: tuple[int, int]
    wide: bool

    def answer(self, elements: Array) -> Array:
        """Return the output's elements (vectors, rows, outputs) as int64 for vectors of any shape (vectors, ...)."""
        rows = elements.reshape(len(elements), -1, self.weights.shape[1])
        # As float64, which numpy multiplies fast: a sum of such products is far under its 53 bits.
        real = (rows.astype(np.float64) - self.input[1]) @ (self.weights.astype(np.float64) - self.weights_zero_point).T
        sums = real.astype(np.int64)
        if self.bias is not None:
            sums = sums + self.bias.astype(np.int64)
        rescale = multiply_rounding_once if self.wide else multiply_rounding_twice
        factor = self.input[0] * self.weight_scales.astype(np.float64) / self.output[0]
        answers: Array = np.clip(rescale(sums, factor) + self.output[1], *self.limits)
        return answers


def read_fully_connected(operator: Operator) -> FullyConnected | None:
    """Read the parameters of an operator; None for one that TFLM and LiteRT round alike, or that does not fit."""
    if operator.op != "FULLY_CONNECTED" or operator.outputs[0].type not in {"int8", "int16"}:
        return None
    source, kernel, bias = (*operator.inputs, None)[:3]
    if source is None or kernel is None or (bias is not None and not bias.constant):
        return None
    weights = integers(kernel)
    if weights is None or len(kernel.shape) != 2 or source.elements % kernel.shape[1]:  # noqa: PLR2004 - a matrix
        return None
    output = operator.outputs[0]
    if not all(len(operand.scales) for operand in (source, kernel, output)):
        return None
    return FullyConnected(
        weights=weights.reshape(kernel.shape),
        weights_zero_point=scaling(kernel)[1],
        bias=None if bias is None else integers(bias),
        input=scaling(source),
        weight_scales=kernel.scales,
        output=scaling(output),
        limits=element_limits(output, operator.option("fusedActivationFunction")),
        wide=output.type == "int16" and (bias is None or bias.type == "int64"),
    )
