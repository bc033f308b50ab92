# SPDX-License-Identifier: Apache-2.0
"""Read the shapes of a convolution as kernel libraries speak of them."""

from dataclasses import dataclass
from typing import Final

from tflm_build.model.graph import Operator

__all__ = ["Window", "window_of"]

_SAME: Final = 0  # of the schema's Padding


@dataclass(frozen=True)
class Window:
    """A convolution.

    Attributes:
        batch: of the input.
        input: its height and width.
        output: its height and width.
        channels: of the input.
        outputs: channels of the output.
        height, width: of the kernel.
        stride: down and across.
        padding: above and left of the input.
        dilated: whether the kernel's elements lie apart.
        grouped: whether each reads some of the input's channels only.
    """

    batch: int
    input: tuple[int, int]
    output: tuple[int, int]
    channels: int
    outputs: int
    height: int
    width: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilated: bool
    grouped: bool

    @property
    def pointwise(self) -> bool:
        """Whether the kernel is one element."""
        return (self.height, self.width) == (1, 1) and not any(self.padding) and not self.dilated and not self.grouped


def window_of(operator: Operator) -> Window:
    """Read CONV_2D or DEPTHWISE_CONV_2D; IndexError where a shape has less than four dimensions."""
    batch, *given, channels = operator.reads[0].shape
    height, width = operator.reads[1].shape[1], operator.reads[1].shape[2]
    _, *output, outputs = operator.outputs[0].shape
    stride = operator.option("strideH"), operator.option("strideW")
    dilation = operator.option("dilationHFactor"), operator.option("dilationWFactor")
    padding = [
        max(0, (output[axis] - 1) * stride[axis] + (size - 1) * dilation[axis] + 1 - given[axis]) // 2
        if operator.option("padding") == _SAME
        else 0
        for axis, size in enumerate((height, width))
    ]
    return Window(
        batch=batch,
        input=(given[0], given[1]),
        output=(output[0], output[1]),
        channels=channels,
        outputs=outputs,
        height=height,
        width=width,
        stride=stride,
        padding=(padding[0], padding[1]),
        dilated=max(dilation) > 1,
        grouped=operator.op == "CONV_2D" and operator.reads[1].shape[3] != channels,
    )
