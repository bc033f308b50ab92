# SPDX-License-Identifier: Apache-2.0
"""Say what TFLM's kernels ask for besides where they are those of CMSIS-NN: scratch memory by the library's formulas.

The formulas are what the functions `arm_*_get_buffer_size*` of github.com/ARM-software/CMSIS-NN answered in March 2026,
and for what they left to others what older ones did; where two versions or compilers differ, the larger. What is asked
for, and when, is in github.com/tensorflow/tflite-micro, tensorflow/lite/micro/kernels/cmsis_nn/.
"""

from collections.abc import Iterator
from typing import Final

from tflm_build.arena.layout import Layout, round_up
from tflm_build.arena.windows import Window, window_of
from tflm_build.model.graph import Operator

__all__ = ["extra_bytes", "transpose_conv_bytes"]

_DEPTHWISE_BLOCK: Final = 124  # channels that the vector kernel takes at a time
_REVERSIBLE: Final = 16  # input channels above which a transposed convolution is run backwards


def extra_bytes(operator: Operator, layout: Layout) -> Iterator[tuple[int, bool]]:
    """Yield bytes, and whether they stay; else they are scratch memory.

    Args:
        operator: whose kernel is prepared.
        layout: built with cmsis-nn, and dsp or mve where the core has these instructions.
    """
    if operator.reads and operator.reads[0].type in {"int8", "int16"}:
        yield from _EXTRA.get(operator.op, _nothing)(operator, layout)


def transpose_conv_bytes(operator: Operator, layout: Layout) -> Iterator[int]:
    """Yield the scratch memory of an int8 TRANSPOSE_CONV, which has other needs than the reference kernel."""
    given, weights, output = operator.reads[2].shape, operator.reads[1].shape, operator.outputs[0].shape
    height, width, channels = weights[1], weights[2], given[3]
    stride_height, stride_width = operator.option("strideH"), operator.option("strideW")
    if max(stride_height, stride_width) <= 2 and channels > _REVERSIBLE:  # noqa: PLR2004 - as the library decides
        yield _columns(height * width * channels, layout, wide=False)
        yield height * width * channels * output[3]
    else:
        row = (given[2] - 1) * stride_width + max(width, stride_height)
        yield 4 * row * output[3] * max(height, stride_height)
        yield 0


def _convolution(window: Window, layout: Layout, *, wide: bool) -> int:
    """Return the bytes for columns of the input; a kernel of one by one element needs none, or two rows."""
    if not wide and window.pointwise:
        return 4 * window.channels if "dsp" in layout.built_with else 0
    return _columns(window.height * window.width * window.channels, layout, wide=wide)


def _columns(elements: int, layout: Layout, *, wide: bool) -> int:
    """Return the bytes for the columns that a kernel works on at a time."""
    if "mve" in layout.built_with:
        return 8 * round_up(elements, 8) if wide else 4 * round_up(elements, 16)
    return 4 * elements if wide else 4 * round_up(elements, 4)


def _depthwise(window: Window, layout: Layout, *, wide: bool) -> int:
    """Return the bytes of a depthwise convolution."""
    taps, vector = window.height * window.width, "mve" in layout.built_with
    if not vector and "dsp" not in layout.built_with:
        return 0
    if wide:
        return 8 * taps * window.channels + 8 if vector else 2 * taps * window.channels
    if vector and window.channels == 1 and window.outputs > 1:
        return _columns(taps, layout, wide=False) + taps * window.outputs
    if window.channels != window.outputs or window.dilated or window.batch != 1:
        return 0
    if vector:
        return 4 * _DEPTHWISE_BLOCK * taps
    small = (window.height, window.width) == (3, 3) and max(window.padding) <= 1
    return 0 if small else 2 * taps * window.channels


def _nothing(_operator: Operator, _layout: Layout) -> Iterator[tuple[int, bool]]:
    yield from ()


def _is_wide(operator: Operator) -> bool:
    return operator.reads[0].type == "int16"


def _of_convolution(operator: Operator, layout: Layout) -> Iterator[tuple[int, bool]]:
    """Yield what is asked for; for weights of 4 bits some versions of TFLM ask as if they had 8."""
    convolve, window = _convolution if operator.op == "CONV_2D" else _depthwise, window_of(operator)
    size = convolve(window, layout, wide=_is_wide(operator))
    if operator.reads[1].type == "int4":
        size = max(size, _of_four_bits(operator.op, window))
    if size:
        yield size, False


def _of_four_bits(op: str, window: Window) -> int:
    """Return the bytes of a convolution whose weights have 4 bits, on every processor alike: columns of 16 bits."""
    taps = window.height * window.width
    if op == "CONV_2D":
        return 0 if window.pointwise else 4 * taps * window.channels
    return 2 * taps * window.channels if window.channels == window.outputs and not window.dilated else 0


def _of_average(operator: Operator, layout: Layout) -> Iterator[tuple[int, bool]]:
    if "dsp" in layout.built_with:
        yield 4 * operator.reads[0].shape[-1], False


def _of_dense(operator: Operator, layout: Layout) -> Iterator[tuple[int, bool]]:
    outputs = operator.outputs[0].shape[-1]
    if _is_wide(operator):
        return
    if len(operator.outputs[0].shape) > 2:  # noqa: PLR2004 - it may run as a convolution, with a scale each
        yield from [(4 * outputs, True)] * 2
    if "mve" in layout.built_with:
        yield 4 * outputs, True


def _of_product(operator: Operator, layout: Layout) -> Iterator[tuple[int, bool]]:
    if "mve" in layout.built_with and not _is_wide(operator):
        yield 4 * operator.outputs[0].shape[-1], False


def _of_svdf(operator: Operator, layout: Layout) -> Iterator[tuple[int, bool]]:
    if "mve" in layout.built_with:
        yield 4 * operator.reads[1].shape[0], True


def _of_lstm(operator: Operator, _layout: Layout) -> Iterator[tuple[int, bool]]:
    """Yield sums of the weights of four gates, of the input's and of the state's."""
    state = operator.inputs[18]
    if state is not None:
        yield from [(state.shape[-1] * (8 if _is_wide(operator) else 4), True)] * 8


_EXTRA: Final = {
    "AVERAGE_POOL_2D": _of_average,
    "BATCH_MATMUL": _of_product,
    "CONV_2D": _of_convolution,
    "DEPTHWISE_CONV_2D": _of_convolution,
    "FULLY_CONNECTED": _of_dense,
    "SVDF": _of_svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _of_lstm,
}
