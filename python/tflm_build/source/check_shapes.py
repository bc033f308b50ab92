# SPDX-License-Identifier: Apache-2.0
"""Refuse a model whose tensors do not have the shapes that its operators give them.

TFLM believes the shapes that a file declares, and reads and writes beyond a tensor whose shape is a lie. LiteRT works
them out from the inputs on.
"""

from typing import Any, Final

from tflm_build.child import Task, run_in_child
from tflm_build.errors import TflmBuildError
from tflm_build.tasks.run_litert import reference_interpreter

__all__ = ["run", "verify_shapes"]

_LITERT: Final = Task("tflm_build.source.check_shapes", "LiteRT", seconds=20, gigabytes=8)


def verify_shapes(flatbuffer: bytes) -> None:
    """Compare the declared shapes with those that LiteRT works out, in a child process.

    A model that LiteRT does not accept passes here: later stages can say better what is wrong with it.

    Args:
        flatbuffer: a model that `verify` has accepted.

    Raises:
        TflmBuildError: a shape differs, LiteRT's verifier refuses an offset, or the model kills LiteRT.
    """
    fault = run_in_child(_LITERT, {"flatbuffer": flatbuffer})["fault"]
    if fault:
        msg = f"the source is not a valid TensorFlow Lite model: {fault}; convert it again"
        raise TflmBuildError(msg)


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
