# SPDX-License-Identifier: Apache-2.0
"""Make inputs that a proof needs beside real ones: random elements, and such that drive channels to their ends."""

from collections.abc import Sequence

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.fixed_point import scaling
from tflm_build.model.graph import Graph, Operand, Operator
from tflm_build.model.padding import padding_before
from tflm_build.model.types import TYPES
from tflm_build.model.values import Tensor
from tflm_build.passes.linear import Linear, read_linear

__all__ = ["driving_inputs"]

_INTEGERS = frozenset({"int8", "int16"})


def driving_inputs(graph: Graph, count: int) -> tuple[Array, ...]:
    """Return vectors: half of them random, half such that channels of the first layers reach their ends.

    Args:
        graph: the model.
        count: of the vectors.

    Returns:
        Per input an array (vectors, *shape) in the tensor's type.
    """
    generator = np.random.RandomState(1)
    main = graph.subgraphs[0]
    return tuple(
        _vectors(tensor, _first_layer(main.operators, place), count, generator)
        for tensor, place in zip(graph.inputs, main.inputs, strict=True)
    )


def _first_layer(operators: Sequence[Operator], place: int) -> tuple[Operator, Linear] | None:
    """Return the first layer that reads an input, behind a QUANTIZE or not."""
    for operator in operators:
        if any(operand.place == place for operand in operator.reads[:1]):
            linear = read_linear(operator)
            if linear is not None:
                return operator, linear
            if operator.op == "QUANTIZE" and operator.outputs[0].type in _INTEGERS:
                return _first_layer(operators, operator.outputs[0].place)
    return None


def _vectors(
    tensor: Tensor, layer: tuple[Operator, Linear] | None, count: int, generator: np.random.RandomState
) -> Array:
    """Return vectors for one input."""
    driven = 0 if layer is None else count // 2
    found = [_random(tensor, place, generator) for place in range(count - driven)]
    if layer is not None:
        operator, linear = layer
        source = operator.reads[0]
        outputs = len(linear.bias) // max(1, linear.multiplier and source.shape[-1])
        for place in range(driven):
            channel = int(place // 2 * outputs / max(1, driven // 2)) % max(1, outputs)
            elements = _drive(operator, linear, channel, upwards=place % 2 == 0)
            scale, zero = scaling(source)
            real = tensor.type == "float32"
            found.append((scale * (elements - zero) if real else elements).reshape(tensor.shape))
    return np.array(found).reshape(-1, *tensor.shape).astype(tensor.dtype)


def _random(tensor: Tensor, place: int, generator: np.random.RandomState) -> Array:
    """Draw a vector: of all elements, or of the ends alone."""
    if tensor.type not in _INTEGERS | {"uint8"}:
        high = 128 * (tensor.step or 1 / 128)
        return generator.uniform(-high, high, tensor.shape) if tensor.type == "float32" else np.zeros(tensor.shape)
    low, high = TYPES[tensor.type].zero_points
    return generator.choice([low, high], tensor.shape) if place % 2 else generator.randint(low, high + 1, tensor.shape)


def _drive(operator: Operator, linear: Linear, channel: int, *, upwards: bool) -> Array:
    """Return elements for which a channel, or of DEPTHWISE_CONV_2D one for each input, has its largest or least sum.

    The pattern that one result needs is repeated over the image, so that one result meets it.
    """
    source: Operand = operator.reads[0]
    low, high = TYPES[source.type].zero_points
    weights = linear.weights[channel]
    if linear.multiplier:
        chosen = np.arange(source.shape[-1]) * linear.multiplier + channel
        weights = linear.weights[chosen, :, 0].T
    pattern = np.where((weights > 0) == upwards, high, low)
    if operator.op == "FULLY_CONNECTED":
        rows = source.elements // pattern.size
        return np.tile(pattern.reshape(-1), rows)
    kernel = operator.reads[1]
    image = pattern.reshape(*kernel.shape[1:3], source.shape[-1])
    for axis, side in ((1, "H"), (2, "W")):
        before, stride, dilation = padding_before(operator, axis, side)
        start = operator.outputs[0].shape[axis] // 2 * stride - before
        taps = (np.arange(source.shape[axis]) - start) // dilation % kernel.shape[axis]
        image = np.take(image, taps, axis=axis - 1)
    return np.broadcast_to(image, source.shape)
