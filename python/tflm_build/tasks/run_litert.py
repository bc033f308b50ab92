# SPDX-License-Identifier: Apache-2.0
"""Run a model on LiteRT's reference kernels, in a child process: the check that does not share TFLM's code."""

from typing import Any

import numpy as np

__all__ = ["reference_interpreter", "run"]


def reference_interpreter(flatbuffer: bytes, *, keep_tensors: bool = False) -> Any:
    """Open a model on LiteRT's reference kernels, with nothing allocated yet.

    Args:
        flatbuffer: the model.
        keep_tensors: leave all tensors as they were written, to be read after a run.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    return Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=keep_tensors,
        num_threads=1,
    )


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a model on vectors.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (vectors, *shape); `trace`, if one vector is to be followed:
            the tensors to report.

    Returns:
        `outputs`: per output an array (vectors, *shape); or `trace`: the tensors.
    """
    interpreter = reference_interpreter(request["flatbuffer"], keep_tensors="trace" in request)
    interpreter.allocate_tensors()
    places = [detail["index"] for detail in interpreter.get_input_details()]
    results = [detail["index"] for detail in interpreter.get_output_details()]
    outputs: list[list[Any]] = [[] for _ in results]
    for vector in zip(*request["inputs"], strict=True):
        for place, value in zip(places, vector, strict=True):
            interpreter.set_tensor(place, value)
        interpreter.invoke()
        for collected, result in zip(outputs, results, strict=True):
            collected.append(interpreter.get_tensor(result))
    if "trace" in request:
        return {"trace": [interpreter.get_tensor(index) for index in request["trace"]]}
    return {"outputs": [np.stack(collected) for collected in outputs]}
