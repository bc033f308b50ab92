# SPDX-License-Identifier: Apache-2.0
"""Describe a source of a model that nothing was built of yet."""

from pathlib import Path

from tflm_build.arena.targets import arenas_by_target
from tflm_build.describe.description import ArenaOnTarget, Description, read_description
from tflm_build.errors import TflmBuildError
from tflm_build.manifest.schema import describe_model
from tflm_build.model.layers import describe_layers
from tflm_build.model.model import Model
from tflm_build.model.ops import check_ops, kernels
from tflm_build.model.state import find_state
from tflm_build.model.structure import account
from tflm_build.options import Options
from tflm_build.passes.shrink import describe_shrinking, shrink_model
from tflm_build.source.read import Source, read_source
from tflm_build.stages.convert import convert, open_flatbuffer
from tflm_build.stages.measure import INTERPRETER_SIZE
from tflm_build.stages.rewrite import rewrite_model

__all__ = ["describe_source"]


def describe_source(path: str) -> Description:
    """Describe what the option SRC takes, as it is.

    Raises:
        TflmBuildError: it cannot be read or converted.
    """
    source = read_source(path)
    model = _convert(source)
    graph = model.graph
    counts: dict[str, int] = {}
    for operator in graph.operators:
        counts[operator.op] = counts.get(operator.op, 0) + 1
    content = {
        "name": Path(source.name).stem,
        "source": {"kind": source.kind, "bytes": source.size},
        "model": {"bytes": len(model.flatbuffer), "quantization": graph.quantization},
        "ops": [{"op": op, "count": counts[op], "method": kernels().get(op)} for op in sorted(counts)],
        **describe_model(
            graph.inputs,
            graph.outputs,
            describe_layers(graph, lacking=True),
            describe_shrinking(model, shrink_model(model)),
            account(model.flatbuffer),
            find_state(graph),
        ),
    }
    arenas = tuple(
        ArenaOnTarget(each.target, each.kernels, each.bytes + INTERPRETER_SIZE) for each in arenas_by_target(model)
    )
    return read_description(content, refusal=_refusal(model), arenas=arenas, built=None)


def _convert(source: Source) -> Model:
    """Convert a source as it is."""
    if source.kind == "tflite":
        return open_flatbuffer(source.data)
    options = Options(name="model", src=source.location)
    return convert(options, source, {"CALIBRATION": None, "TEST_DATA": None}).model


def _refusal(model: Model) -> str | None:
    """Return why a model cannot be compiled for TFLM, in other ops if need be; None: no reason is known."""
    try:
        if not {operator.op for operator in model.graph.operators} <= kernels().keys():
            model = rewrite_model(model, None, keep_names=False).model
        check_ops(model.graph)
    except TflmBuildError as error:
        return str(error)
    return None
