# SPDX-License-Identifier: Apache-2.0
"""Compare TFLM's golden outputs with those of LiteRT's reference kernels and of the float model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tflm_build.child import Task, run_in_child
from tflm_build.errors import TflmBuildError
from tflm_build.golden import GoldenInputs, dequantize
from tflm_build.graph import Graph
from tflm_build.measure import Measurement

__all__ = ["Proof", "prove"]

Array = np.ndarray[Any, Any]

_REFERENCE: Final = Task("tflm_build.run_litert", "LiteRT", seconds=600, gigabytes=8)

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
        float_error: per output: largest difference from the float model, in real numbers; empty without one.
    """

    reference: tuple[Array, ...]
    tolerance: tuple[float, ...]
    difference: tuple[float, ...]
    float_error: tuple[float, ...]


def prove(
    flatbuffer: bytes,
    graph: Graph,
    golden: GoldenInputs,
    measured: Measurement,
    float_outputs: Sequence[Array] | None,
    allowed_lsb: int,
) -> Proof:
    """Run the reference and compare.

    Args:
        flatbuffer: the canonical model.
        graph: its inputs and outputs.
        golden: the inputs.
        measured: TFLM's outputs.
        float_outputs: per output what the float model answers to the vectors that come from data.
        allowed_lsb: largest allowed difference of integer outputs, in steps.

    Raises:
        TflmBuildError: the reference cannot run the model, or a difference is not allowed.
    """
    reference = tuple(run_in_child(_REFERENCE, {"flatbuffer": flatbuffer, "inputs": golden.arrays})["outputs"])
    tolerances, differences = [], []
    for tensor, got, wanted in zip(graph.outputs, measured.outputs, reference, strict=True):
        distance = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
        difference = float(distance.max())
        if tensor.dtype.kind == "f":
            tolerance = _FLOAT_TOLERANCE * max(1e-6, float(np.abs(wanted).max()))
        else:
            tolerance = float(allowed_lsb)
        if not difference <= tolerance:  # a NaN is never allowed
            vector = int(np.argmax(distance.reshape(len(distance), -1).max(axis=1)))
            msg = (
                f"output '{tensor.name}' of TFLM differs from LiteRT's reference kernels by {difference:g} in golden "
                f"vector {vector}; allowed: {tolerance:g}; if the accuracy is still right, allow it with MAX_LSB"
            )
            raise TflmBuildError(msg)
        tolerances.append(tolerance)
        differences.append(difference)
    errors = []
    for tensor, got, wanted in zip(graph.outputs, measured.outputs, float_outputs or (), strict=False):
        real = dequantize(got[: golden.from_data], tensor)
        errors.append(float(np.abs(real.astype(np.float64) - wanted.reshape(real.shape)).max()))
    return Proof(reference, tuple(tolerances), tuple(differences), tuple(errors))
