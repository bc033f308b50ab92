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
        `fault`: what is wrong with the bytes or with a shape; nothing if both are right.
    """
    try:
        interpreter = reference_interpreter(request["flatbuffer"])
        declared = {detail["index"]: detail["shape"].tolist() for detail in interpreter.get_tensor_details()}
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return {"fault": "LiteRT's own verifier refuses its offsets" if "valid Flatbuffer" in str(error) else ""}
    for detail in interpreter.get_tensor_details():
        before, after = declared.get(detail["index"]), detail["shape"].tolist()
        if before is not None and before != after:  # LiteRT adds tensors of its own
            fault = f"the tensor '{detail['name']}' has the shape {before}, where its operator gives {after}"
            return {"fault": fault}
    return {"fault": ""}
