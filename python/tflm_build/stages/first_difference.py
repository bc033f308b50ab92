# SPDX-License-Identifier: Apache-2.0
"""Find the layer where TFLM and LiteRT's reference kernels part: the reason behind a difference of their outputs."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tflm_build.child import Task, run_in_child
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import load
from tflm_build.model.graph import Graph
from tflm_build.stages.arena import Arrangement

__all__ = ["first_difference"]

Array = np.ndarray[Any, Any]

_TFLM: Final = Task("tflm_build.tasks.run_tflm", "TFLM", seconds=120, gigabytes=4)
_LITERT: Final = Task("tflm_build.tasks.run_litert", "LiteRT", seconds=120, gigabytes=8)


def first_difference(arranged: Arrangement, graph: Graph, vector: Sequence[Array]) -> str:
    """Run one vector on both interpreters and compare what every operator writes, in order.

    Args:
        arranged: the model.
        graph: the names of its layers.
        vector: per input an array (1, *shape).

    Returns:
        A clause for an error message; empty where nothing can be said.
    """
    model = load(arranged.flatbuffer)
    if len(model.subgraphs) != 1:
        return ""
    written = [int(operator.outputs[0]) for operator in model.subgraphs[0].operators]
    request = {"flatbuffer": arranged.flatbuffer, "inputs": list(vector), "trace": written}
    try:
        traces = [run_in_child(task, request)["trace"] for task in (_TFLM, _LITERT)]
    except TflmBuildError:
        return ""
    for operator, mine, theirs in zip(graph.operators, *traces, strict=True):
        difference = np.abs(mine.astype(np.float64).reshape(-1) - theirs.astype(np.float64).reshape(-1)).max()
        if difference > 0:
            return f"; they part at layer '{operator.layer}' ({operator.op}) by {difference:g}"
    return ""
