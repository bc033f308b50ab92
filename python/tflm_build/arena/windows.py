# SPDX-License-Identifier: Apache-2.0
"""Read the shapes of a convolution as kernel libraries speak of them."""

from dataclasses import dataclass

from tflm_build.model.graph import Operator
from tflm_build.model.padding import padding_before

__all__ = ["Window", "window_of"]


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
    down, across = padding_before(operator, 1, "H"), padding_before(operator, 2, "W")
    return Window(
        batch=batch,
        input=(given[0], given[1]),
        output=(output[0], output[1]),
        channels=channels,
        outputs=outputs,
        height=height,
        width=width,
        stride=(down[1], across[1]),
        padding=(down[0], across[0]),
        dilated=max(down[2], across[2]) > 1,
        grouped=operator.op == "CONV_2D" and operator.reads[1].shape[3] != channels,
    )
