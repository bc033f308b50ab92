# SPDX-License-Identifier: Apache-2.0
"""Compute an RSQRT of int16 from real numbers: LiteRT's is up to thousands of steps away, TFLM's at most three.

`tests/python/test_own_references.py` compares it with TFLM.
"""

from dataclasses import dataclass

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import element_limits, scaling
from tflm_build.model.graph import Operator

__all__ = ["ReciprocalRoot", "read_reciprocal_root"]


@dataclass(frozen=True)
class ReciprocalRoot:
    """Parameters of a layer.

    Attributes:
        scales: of input and output.
        zero_points: of input and output.
        limits: smallest and largest element of the output.
    """

    scales: tuple[float, float]
    zero_points: tuple[int, int]
    limits: tuple[int, int]

    def answer(self, elements: Array) -> Array:
        """Return the output's elements as int64, in the shape of the input's; the largest for what is not above 0."""
        real = (elements.astype(np.float64) - self.zero_points[0]) * self.scales[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            roots = np.where(real > 0, np.round(1 / np.sqrt(real) / self.scales[1]), np.inf)
        answer: Array = np.clip(roots + self.zero_points[1], *self.limits).astype(np.int64)
        return answer


def read_reciprocal_root(operator: Operator) -> ReciprocalRoot | None:
    """Read the parameters of an operator; None for one that LiteRT computes."""
    if operator.op != "RSQRT" or not operator.reads or not operator.outputs or operator.outputs[0].type != "int16":
        return None
    source, target = operator.reads[0], operator.outputs[0]
    if not len(source.scales) or not len(target.scales):
        return None
    (step, zero), (target_step, target_zero) = scaling(source), scaling(target)
    return ReciprocalRoot((step, target_step), (zero, target_zero), element_limits(target, 0))
