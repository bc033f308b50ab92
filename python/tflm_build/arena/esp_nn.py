# SPDX-License-Identifier: Apache-2.0
"""Say what TFLM's kernels ask for besides where they are those of ESP-NN: scratch memory by the library's formulas.

The formulas are what `esp_nn_get_conv_scratch_size_*`, `esp_nn_get_depthwise_conv_scratch_size_*` and
`esp_nn_get_softmax_scratch_size_opt` of github.com/espressif/esp-nn answered in the first half of 2026; their versions
differ, and the ones here are those that ask for most.
"""

from collections.abc import Iterator
from typing import Final

from tflm_build.arena.layout import Layout, round_up
from tflm_build.arena.windows import Window, window_of
from tflm_build.model.graph import Operator

__all__ = ["extra_bytes"]

_SPARE: Final = 32  # for alignment
_CACHE: Final = 48 * 1024  # more than this is worked on in tiles
_INPUT_CACHE: Final = 40 * 1024
_LANES: Final = 16  # elements that a vector instruction takes


def extra_bytes(operator: Operator, layout: Layout) -> Iterator[tuple[int, bool]]:
    """Yield bytes, and whether they stay: none does.

    Args:
        operator: whose kernel is prepared.
        layout: built with esp-nn, and esp32s3 or esp32p4 where the chip has vector instructions.
    """
    if not operator.reads or operator.reads[0].type != "int8":
        return
    if operator.op == "SOFTMAX":
        yield 4 * operator.reads[0].shape[-1], False
    elif operator.op == "CONV_2D" and "esp32s3" in layout.built_with:
        yield _convolution_s3(window_of(operator)), False
    elif operator.op == "CONV_2D" and "esp32p4" in layout.built_with:
        yield _convolution_p4(window_of(operator)), False
    elif operator.op == "DEPTHWISE_CONV_2D" and "esp32s3" in layout.built_with:
        yield _depthwise_s3(window_of(operator)), False


def _is_pointwise(window: Window) -> bool:
    return (window.height, window.width) == (1, 1) and not any(window.padding) and window.stride == (1, 1)


def _pointwise(window: Window) -> int:
    """Return the bytes for a filter, and an input, whose channels are filled up to eight."""
    area = window.input[0] * window.input[1]
    channels = round_up(window.channels, 8)
    turned = 16 * channels if area >= 8 else 0  # noqa: PLR2004 - eight at a time
    return (area * channels if window.channels % 8 else 0) + channels * window.outputs + turned + _SPARE


def _beyond(window: Window) -> tuple[int, int]:
    """Return how far the windows reach below and right of the input, as the library counts it."""
    sizes = zip(window.output, window.stride, (window.height, window.width), window.input, strict=True)
    down, across = (max(0, output * stride + size - 1 - given) for output, stride, size, given in sizes)
    return down, across


def _padded(window: Window) -> int:
    """Return the elements of the input with its padding on all sides."""
    height, width = (given + 2 * pad for given, pad in zip(window.input, window.padding, strict=True))
    return height * width * window.channels


def _convolution_s3(window: Window) -> int:
    """Return the bytes of a convolution on the ESP32-S3: it copies the padded input, and the filter in aligned rows."""
    if _is_pointwise(window):
        return _pointwise(window)
    row, taps = window.width * window.channels, window.height * window.width
    sums = 4 * window.outputs
    if row < _LANES <= taps * window.channels:
        columns = round_up(taps * window.channels, _LANES)
        return sums + _LANES + window.outputs * columns + _LANES + columns + _SPARE
    size = taps * round_up(window.channels, _LANES) * window.outputs
    size += round_up(row, _LANES) * window.height * window.outputs + sums + _SPARE
    if any(window.padding):
        size += _padded(window)
    below, right = _beyond(window)
    if below or right:
        size += (window.input[0] + below) * (window.input[1] + right) * window.channels
    return size


def _convolution_p4(window: Window) -> int:
    """Return the bytes of a convolution on the ESP32-P4."""
    sums, taps = 4 * window.outputs, window.height * window.width
    if _is_pointwise(window):
        return sums + _LANES * window.outputs + 2 * _SPARE if window.channels < _LANES else _pointwise(window)
    if not any(window.padding) and window.width * window.channels >= _LANES:
        return taps * round_up(window.channels, _LANES) * window.outputs + _SPARE + sums
    if taps * window.channels >= _LANES:
        return sums + taps * window.channels + _SPARE
    channels = round_up(-(-_LANES // window.width), _LANES)
    padded = _padded(window) // window.channels * max(channels, window.channels)
    return padded + taps * channels * window.outputs + _SPARE + sums


def _depthwise_s3(window: Window) -> int:
    """Return the bytes of a depthwise convolution on the ESP32-S3: filter and input in 16 bits, or padded in 8."""
    area, taps = window.input[0] * window.input[1], window.height * window.width
    filters = taps * window.outputs
    multiple = window.outputs // window.channels
    if multiple == 1 and window.channels % 8 == 0:
        if (window.height, window.width) != (3, 3):
            whole = 2 * (filters + area * window.channels)
            rows = 2 * (filters + window.input[1] * window.height * window.channels)
            return (whole if whole <= _CACHE else rows) + _SPARE
        below, right = _beyond(window)
        width, height = (window.input[1] + max(2 * window.padding[1], right)), window.input[0]
        height += max(2 * window.padding[0], below)
        if window.channels % _LANES == 0:
            return filters + width * height * window.channels + _LANES
        return _filled_up(window, height, width)
    if multiple == 1 and window.channels > 3:  # noqa: PLR2004 - as the library decides
        channels = round_up(window.channels, 8)
        parts = (2 * taps * channels, 2 * area * channels, window.output[0] * window.output[1] * channels)
        return sum(round_up(part, 16) for part in parts) + 12 * channels + 16
    return 2 * (filters + area * window.channels) + _SPARE if multiple % 4 == 0 else _SPARE


def _filled_up(window: Window, height: int, width: int) -> int:
    """Return the larger of two ways: the channels filled up to 16, or all in 16 bits."""
    channels, filters = round_up(window.channels, _LANES), 9 * window.channels
    pads = (below + 2 * pad for below, pad in zip(_beyond(window), window.padding, strict=True))
    rows, columns = (given + pad for given, pad in zip(window.input, pads, strict=True))
    area = max(rows * columns, height * width) + window.output[0] * window.output[1]
    plain = 2 * (filters + window.input[0] * window.input[1] * window.channels) + _SPARE
    return max(plain, 9 * channels + area * channels + 12 * channels + 64)
