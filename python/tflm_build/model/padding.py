# SPDX-License-Identifier: Apache-2.0
"""Where a convolution lays its kernel: how far in front of the image, and in what steps."""

from tflm_build.model.flatbuffer import schema
from tflm_build.model.graph import Operator

__all__ = ["padding_before"]


def padding_before(operator: Operator, axis: int, side: str) -> tuple[int, int, int]:
    """Return the padding in front of an image, the stride and the dilation along an axis, H or W."""
    source, kernel = operator.reads[:2]
    stride = max(1, operator.option(f"stride{side}"))
    dilation = max(1, operator.option(f"dilation{side}Factor"))
    if operator.option("padding") != schema.Padding.SAME:
        return 0, stride, dilation
    reach = (kernel.shape[axis] - 1) * dilation + 1
    missing = (operator.outputs[0].shape[axis] - 1) * stride + reach - source.shape[axis]
    return max(missing, 0) // 2, stride, dilation
