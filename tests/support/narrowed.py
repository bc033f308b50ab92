# SPDX-License-Identifier: Apache-2.0
"""A small int8 model with a layer of each kind that takes weights of 4 bits, and data for it."""

from typing import Any

import numpy as np

from support.hand_made import Model, Op, Tensor, flatbuffer

SAME, VALID, RELU = 0, 1, 1
SHAPE = (1, 8, 8, 3)
CLASSES = 4


class _Layers:
    """A model that grows layer by layer; scales are such that elements fill their type."""

    def __init__(self) -> None:
        self.random = np.random.RandomState(5)
        self.tensors = [Tensor("image", SHAPE, "int8", 0.02, 3)]
        self.ops: list[Op] = []

    def add(self, *fields: Any, **more: Any) -> int:
        self.tensors.append(Tensor(f"t{len(self.tensors)}", *fields, **more))
        return len(self.tensors) - 1

    def layer(self, op: str, kind: str, shape: tuple[int, ...], output: tuple[int, ...], **settings: Any) -> None:
        """Add a layer with random weights of a scale each, or of FULLY_CONNECTED one for all."""
        source, axis = self.tensors[-1], 3 if op == "DEPTHWISE_CONV_2D" else 0
        place, outputs = len(self.tensors) - 1, shape[axis]
        weights = np.clip(self.random.standard_normal(shape) * 40, -127, 127).astype(np.int8)
        scales = self.random.uniform(0.004, 0.012, outputs if axis or len(shape) > 2 else 1).astype(np.float32)
        many = tuple(map(float, scales)) if len(scales) > 1 else float(scales[0])
        reads = weights.size / outputs
        step = float(np.float32(source.scale * scales.mean() * 40 * 60 * reads**0.5 / 100))
        bias = self.random.randint(-300, 300, outputs).astype(np.int32)
        biases = tuple(float(np.float32(source.scale) * scale) for scale in scales)
        kernel = self.add(shape, "int8", many, data=weights, axis=axis)
        added = self.add((outputs,), "int32", biases if len(biases) > 1 else biases[0], data=bias)
        result = self.add(output, "int8", step, -20)
        self.ops.append(Op(op, kind, (place, kernel, added), (result,), settings))

    def end(self) -> bytes:
        """Add a SOFTMAX."""
        place = len(self.tensors) - 1
        result = self.add((1, CLASSES), "int8", 1 / 256, -128)
        self.ops.append(Op("SOFTMAX", "SoftmaxOptions", (place,), (result,), {"beta": 1.0}))
        return flatbuffer(Model("m", self.tensors, self.ops, (0,), (result,), 0))


def small_cnn() -> bytes:
    """Return CONV_2D with padding and strides, DEPTHWISE_CONV_2D of two outputs each, CONV_2D, FULLY_CONNECTED."""
    layers = _Layers()
    moves = {"strideH": 1, "strideW": 1, "padding": SAME, "fusedActivationFunction": RELU}
    moves |= {"dilationHFactor": 1, "dilationWFactor": 1}
    layers.layer("CONV_2D", "Conv2DOptions", (8, 3, 3, 3), (1, 4, 4, 8), **moves | {"strideH": 2, "strideW": 2})
    layers.layer(
        "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", (1, 3, 3, 16), (1, 4, 4, 16), **moves, depthMultiplier=2
    )
    layers.layer(
        "CONV_2D",
        "Conv2DOptions",
        (9, 2, 2, 16),
        (1, 2, 2, 9),
        **moves | {"padding": VALID, "dilationHFactor": 2, "dilationWFactor": 2},
    )
    place = len(layers.tensors) - 1
    flat = layers.add((1, 36), "int8", layers.tensors[place].scale, layers.tensors[place].zero_point)
    layers.ops.append(Op("RESHAPE", "ReshapeOptions", (place,), (flat,), {"newShape": [1, 36]}))
    layers.layer("FULLY_CONNECTED", "FullyConnectedOptions", (CLASSES, 36), (1, CLASSES))
    return layers.end()


def data(seed: int, count: int) -> np.ndarray[Any, Any]:
    """Return smooth images, whose neighbours are alike as they are in real ones."""
    random = np.random.RandomState(seed)
    coarse = random.uniform(-1.8, 1.8, (count, 3, 3, 3))
    grown = np.repeat(np.repeat(coarse, 3, axis=1), 3, axis=2)[:, :8, :8]
    return (grown + random.uniform(-0.3, 0.3, (count, *SHAPE[1:]))).astype(np.float32)
