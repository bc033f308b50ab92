# SPDX-License-Identifier: Apache-2.0
"""Refuse a model whose tensors do not have the shapes that its operators give them.

TFLM believes the shapes that a file declares, and reads and writes beyond a tensor whose shape is a lie. LiteRT works
them out from the inputs on.
"""

from tflm_build.child.run import run_in_child
from tflm_build.child.table import CHECK_SHAPES
from tflm_build.errors import TflmBuildError

__all__ = ["check_shapes"]


def check_shapes(flatbuffer: bytes) -> None:
    """Compare the declared shapes with those that LiteRT works out, in a child process.

    A model that LiteRT does not accept passes here: later stages can say better what is wrong with it.

    Args:
        flatbuffer: a model that `check_flatbuffer` has accepted.

    Raises:
        TflmBuildError: a shape differs, LiteRT's verifier refuses an offset, or the model kills LiteRT.
    """
    fault = run_in_child(CHECK_SHAPES, {"flatbuffer": flatbuffer})["fault"]
    if fault:
        msg = f"the source is not a valid TensorFlow Lite model: {fault}; convert it again"
        raise TflmBuildError(msg)
