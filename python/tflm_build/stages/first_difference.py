# SPDX-License-Identifier: Apache-2.0
"""Find the layer where TFLM and LiteRT's reference kernels part: the reason behind a difference of their outputs."""

from collections.abc import Sequence

from tflm_build.arrays import Array, distance
from tflm_build.child.run import run_in_child
from tflm_build.child.table import RUN_LITERT, RUN_TFLM
from tflm_build.errors import TflmBuildError
from tflm_build.model.model import Model

__all__ = ["first_difference"]


def first_difference(model: Model, vector: Sequence[Array]) -> str:
    """Run one vector on both interpreters and compare what every operator writes, in order.

    Args:
        model: as it is shipped.
        vector: per input an array (1, *shape).

    Returns:
        A clause for an error message; empty where nothing can be said.
    """
    graph = model.graph
    if len(graph.subgraphs) != 1:
        return ""
    written = [operator.outputs[0].place for operator in graph.operators]
    request = {"flatbuffer": model.flatbuffer, "inputs": list(vector), "trace": written}
    try:
        traces = [run_in_child(task, request)["trace"] for task in (RUN_TFLM, RUN_LITERT)]
    except TflmBuildError:
        return ""
    for operator, mine, theirs in zip(graph.operators, *traces, strict=True):
        difference = distance(mine.reshape(-1), theirs.reshape(-1)).max()
        if difference > 0:
            return f"; they part at layer '{operator.layer}' ({operator.op}) by {difference:g}"
    return ""
