# SPDX-License-Identifier: Apache-2.0
"""Measure on the real TFLM interpreter what a model needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tflm_build.child import Task, run_in_child
from tflm_build.golden import GoldenInputs
from tflm_build.graph import Graph

__all__ = ["Measurement", "measure"]

Array = np.ndarray[Any, Any]

_INTERPRETER: Final = Task("tflm_build.run_tflm", "TFLM", seconds=600, gigabytes=4)


@dataclass(frozen=True)
class Measurement:
    """What TFLM needed and answered.

    Attributes:
        smallest_arena: bytes; one step of 16 less does not work, for this interpreter on a 64-bit host.
        outputs: per output an array (vectors, *shape): the golden outputs.
        versions: of the interpreter.
    """

    smallest_arena: int
    outputs: tuple[Array, ...]
    versions: Mapping[str, str]


def measure(flatbuffer: bytes, graph: Graph, golden: GoldenInputs) -> Measurement:
    """Allocate and invoke a model on TFLM, and bisect the size of its arena.

    Raises:
        TflmBuildError: TFLM does not run the model; its own reason is quoted.
    """
    request = {"flatbuffer": flatbuffer, "inputs": golden.arrays, "output_count": len(graph.outputs)}
    answer = run_in_child(_INTERPRETER, request)
    return Measurement(answer["arena"], tuple(answer["outputs"]), answer["versions"])
