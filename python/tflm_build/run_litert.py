# SPDX-License-Identifier: Apache-2.0
"""Run a model on LiteRT's reference kernels, in a child process: the check that does not share TFLM's code."""

from typing import Any

import numpy as np

__all__ = ["run"]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a model on vectors.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (vectors, *shape); `trace`, if one vector is to be followed:
            the tensors to report.

    Returns:
        `outputs`: per output an array (vectors, *shape); or `trace`: the tensors.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=request["flatbuffer"],
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors="trace" in request,
        num_threads=1,
    )
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
