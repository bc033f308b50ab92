# SPDX-License-Identifier: Apache-2.0
"""Find the layer where TFLM and LiteRT's reference kernels part: the reason behind a difference of their outputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tflm_build.child.run import run_in_child
from tflm_build.child.table import RUN_LITERT, RUN_TFLM
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import load
from tflm_build.model.graph import Graph
from tflm_build.stages.arena import Arrangement

__all__ = ["first_difference"]

Array = np.ndarray[Any, Any]


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
        traces = [run_in_child(task, request)["trace"] for task in (RUN_TFLM, RUN_LITERT)]
    except TflmBuildError:
        return ""
    for operator, mine, theirs in zip(graph.operators, *traces, strict=True):
        difference = np.abs(mine.astype(np.float64).reshape(-1) - theirs.astype(np.float64).reshape(-1)).max()
        if difference > 0:
            return f"; they part at layer '{operator.layer}' ({operator.op}) by {difference:g}"
    return ""
