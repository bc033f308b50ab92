# SPDX-License-Identifier: Apache-2.0
"""Compare the shapes that a model declares with those that LiteRT works out, in a child process."""

from typing import Any

from tflm_build.tasks.run_litert import reference_interpreter

__all__ = ["run"]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Let LiteRT plan a model, without running it.

    Args:
        request: `flatbuffer`.

    Returns:
        `differ`: for each tensor whose shape is another one: its index, the declared shape, and the worked out one.
    """
    try:
        interpreter = reference_interpreter(request["flatbuffer"])
        declared = {detail["index"]: detail["shape"].tolist() for detail in interpreter.get_tensor_details()}
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError):
        return {"differ": []}
    differ = []
    for detail in interpreter.get_tensor_details():
        before, after = declared.get(detail["index"]), detail["shape"].tolist()
        if before is not None and before != after:  # LiteRT adds tensors of its own
            differ.append([int(detail["index"]), before, after])
    return {"differ": differ}
