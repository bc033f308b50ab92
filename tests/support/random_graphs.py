# SPDX-License-Identifier: Apache-2.0
"""Make random integer models whose channels are in part dead, constant, one step from constant, or read by nothing."""

from typing import Any

import numpy as np

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Array

__all__ = ["random_graph", "random_inputs"]

SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3


class _Graph:
    """A model that grows by layers; a value is a tensor's place."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.RandomState(seed)
        self.dtype = "int16" if self.chance(0.2) else "int8"
        self.limit = int(np.iinfo(self.dtype).max)
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []

    def chance(self, share: float) -> bool:
        return bool(self.random.random_sample() < share)

    def number(self, low: int, high: int) -> int:
        return int(self.random.randint(low, high + 1))

    def add(self, *fields: Any, **more: Any) -> int:
        self.tensors.append(Tensor(f"t{len(self.tensors)}", *fields, **more))
        return len(self.tensors) - 1

    def activation(self, shape: tuple[int, ...], scale: float) -> int:
        zero = 0 if self.dtype == "int16" else self.number(-128, 127)
        return self.add(shape, self.dtype, float(np.float32(scale)), zero)

    def alike(self, value: int, shape: tuple[int, ...]) -> int:
        return self.add(shape, self.dtype, self.tensors[value].scale, self.tensors[value].zero_point)

    def constant(self, dtype: str, content: Any) -> int:
        array = np.asarray(content, dtype)
        return self.add(array.shape, dtype, data=array)

    def write(self, code: str, options: str, inputs: tuple[int, ...], output: int, **settings: Any) -> int:
        self.ops.append(Op(code, options, inputs, (output,), settings))
        return output

    def weigh(self, value: int, shape: tuple[int, ...], axis: int) -> tuple[int, int, float]:
        """Make weights and bias, and the output's scale: half of the channels live, others are of another kind."""
        source, outputs = self.tensors[value], shape[axis]
        weights = self.random.randint(-127, 128, shape).astype(np.int64)
        reads = weights.size // outputs
        many = self.chance(0.7)
        scales = self.random.uniform(0.002, 0.02, outputs if many else 1).astype(np.float32)
        step = source.scale * scales.astype(np.float64)
        output = float(np.float32(step.mean() * 70 * reads**0.5 * self.random.choice([0.2, 1, 4])))
        bias = self.random.randint(-2000, 2000, outputs) * (self.limit // 127)
        rows = np.moveaxis(weights, axis, 0)
        for channel in range(outputs):
            kind = self.random.choice(["live", "dead", "constant", "nearly", "far"], p=[0.5, 0.15, 0.15, 0.15, 0.05])
            factor = step[channel % len(step)] / output
            if kind == "dead":
                bias[channel] = -int(260 * self.limit / factor / 100) - 1
            elif kind in {"constant", "nearly"}:
                rows[channel] = 0
            if kind == "nearly":
                # One weight, and a bias by which only elements near an end of the range change the result.
                row = rows[channel].reshape(-1)
                row[self.number(0, len(row) - 1)] = self.random.choice([-1, 1])
                edge = (self.number(-60, 60) + 0.5) / factor
                bias[channel] = int(edge) - self.random.choice([-1, 1]) * self.number(0, 2 * self.limit)
            elif kind == "far":
                bias[channel] = self.random.choice([-1, 1]) * self.number(1 << 30, (1 << 31) - 1)
        if self.chance(0.5):
            for gone in range(weights.shape[-1]):
                if self.chance(0.3) and axis != len(shape) - 1:
                    weights[..., gone] = 0
        kernel = self.add(
            shape,
            "int8",
            tuple(map(float, scales)),
            data=weights.astype(np.int8),
            axis=axis if many else 0,
        )
        wide = self.dtype == "int16" and (axis == 3 or self.chance(0.7))
        kind = "int64" if wide else "int32"
        bias = np.clip(bias, -(1 << 31), (1 << 31) - 1)
        added = self.add((outputs,), kind, tuple(map(float, step)), data=bias.astype(kind))
        return kernel, added, output

    def convolve(self, value: int, *, depthwise: bool, padded: bool = False) -> int:
        _, height, width, channels = self.tensors[value].shape
        padding = SAME if self.chance(0.6) and not padded else VALID
        top = 4 if padding == SAME else min(height, 3)
        side = 4 if padding == SAME else min(width, 3)
        rows, columns, stride = self.number(1, top), self.number(1, side), self.number(1, 2)
        multiplier = self.number(1, 2)
        outputs = channels * multiplier if depthwise else self.number(1, 6)
        shape = (1, rows, columns, outputs) if depthwise else (outputs, rows, columns, channels)
        kernel, bias, scale = self.weigh(value, shape, 3 if depthwise else 0)
        sizes = [
            -(-size // stride) if padding == SAME else (size - taps) // stride + 1
            for size, taps in ((height, rows), (width, columns))
        ]
        output = self.activation((1, *sizes, outputs), scale)
        settings: dict[str, Any] = {
            "padding": padding, "strideH": stride, "strideW": stride, "dilationHFactor": 1, "dilationWFactor": 1,
            "fusedActivationFunction": int(self.random.choice([NONE, RELU, RELU, RELU6])),
        }  # fmt: skip
        if depthwise:
            settings["depthMultiplier"] = multiplier
        code, options = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
        return self.write(code, options, (value, kernel, bias), output, **settings)

    def dense(self, value: int) -> int:
        source, outputs = self.tensors[value], self.number(1, 6)
        columns = int(np.prod(source.shape))
        kernel, bias, scale = self.weigh(value, (outputs, columns), 0)
        output = self.activation((1, outputs), scale)
        activation = int(self.random.choice([NONE, RELU]))
        return self.write(
            "FULLY_CONNECTED", "FullyConnectedOptions", (value, kernel, bias), output,
            fusedActivationFunction=activation, weightsFormat=0, keepNumDims=False,
        )  # fmt: skip

    def combine(self, value: int) -> int:
        """Add, subtract or multiply: a constant a channel, the value itself, or another layer of its shape."""
        source = self.tensors[value]
        code = str(self.random.choice(["ADD", "SUB", "MUL"]))
        other = value
        if self.chance(0.5):
            shape = source.shape[-1:] if self.chance(0.7) else (1,)
            data = self.random.randint(-100, 101, shape).astype(self.dtype)
            other = self.add(shape, self.dtype, source.scale, data=data)
        elif self.chance(0.7):
            other = self.convolve_alike(value)
        scale = source.scale * (float(self.random.choice([1, 3])) if code != "MUL" else 0.02)
        output = self.activation(source.shape, scale)
        options = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[code]
        settings = {} if code == "MUL" else {"potScaleInt16": False}
        activation = int(self.random.choice([NONE, RELU]))
        return self.write(code, options, (value, other), output, fusedActivationFunction=activation, **settings)

    def convolve_alike(self, value: int) -> int:
        channels = self.tensors[value].shape[-1]
        kernel, bias, _ = self.weigh(value, (channels, 1, 1, channels), 0)
        output = self.activation(self.tensors[value].shape, self.tensors[value].scale * 2)
        return self.write(
            "CONV_2D", "Conv2DOptions", (value, kernel, bias), output, padding=SAME, strideH=1, strideW=1,
            dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=RELU,
        )  # fmt: skip

    def join(self, value: int) -> int:
        source = self.tensors[value]
        axis = self.number(1, 3)
        shape = [*source.shape]
        shape[axis] *= 2
        other = self.write(
            "MAX_POOL_2D", "Pool2DOptions", (value,), self.alike(value, source.shape), padding=SAME, strideH=1,
            strideW=1, filterHeight=2, filterWidth=2, fusedActivationFunction=NONE,
        )  # fmt: skip
        output = self.alike(value, tuple(shape))
        return self.write("CONCATENATION", "ConcatenationOptions", (value, other), output, axis=axis,
                          fusedActivationFunction=NONE)  # fmt: skip

    def curve(self, value: int) -> int:
        """Apply a function to each element alone: with another factor below zero, or a curve."""
        source = self.tensors[value]
        wide = ["LEAKY_RELU", "TANH", "LOGISTIC"]
        code = str(self.random.choice(wide if self.dtype == "int16" else [*wide, "LEAKY_RELU", "PRELU", "HARD_SWISH"]))
        inputs: tuple[int, ...] = (value,)
        settings = {"alpha": float(self.random.choice([0.1, 0.7, 1.5]))}
        scale, zero = {"TANH": (1 / (self.limit + 1), 0), "LOGISTIC": (1 / 256, -128)}.get(code, (0.0, 0))
        if self.dtype == "int16" and scale:
            scale, zero = 1 / 32768, 0
        if code == "PRELU":
            slopes = self.random.randint(-100, 101, (1, 1, source.shape[-1] if self.chance(0.7) else 1))
            zero_point = int(self.random.choice([0, 3]))
            inputs = (value, self.add(slopes.shape, "int8", 0.01, zero_point, data=slopes.astype(np.int8)))
        output = (
            self.add(source.shape, self.dtype, scale, zero)
            if scale
            else self.activation(source.shape, source.scale * float(self.random.choice([0.7, 1, 2])))
        )
        options = {"LEAKY_RELU": "LeakyReluOptions", "HARD_SWISH": "HardSwishOptions"}.get(code, "")
        return self.write(code, options, inputs, output, **(settings if code == "LEAKY_RELU" else {}))

    def choose(self, value: int) -> int:
        """Take the larger or the smaller of elements: of a constant, or of another layer in the same scale."""
        source = self.tensors[value]
        shape = source.shape[-1:] if self.chance(0.7) else (1,)
        content = self.random.randint(-128, 128, shape).astype(np.int8)
        other = self.add(shape, "int8", source.scale, source.zero_point, data=content)
        code = str(self.random.choice(["MAXIMUM", "MINIMUM"]))
        return self.write(code, "MaximumMinimumOptions", (value, other), self.alike(value, source.shape))

    def cut(self, value: int) -> int:
        """Take some rows of an image, and all channels."""
        _, height, width, channels = self.tensors[value].shape
        rows = self.number(1, height)
        first = self.number(0, height - rows)
        output = self.alike(value, (1, rows, width, channels))
        if self.chance(0.5):
            begin, size = (self.constant("int32", words) for words in ([0, first, 0, 0], [1, rows, width, -1]))
            return self.write("SLICE", "SliceOptions", (value, begin, size), output)
        masks = {"beginMask": 8, "endMask": 8} if self.chance(0.5) else {}
        ends = ([0, first, 0, 0], [1, first + rows, width, channels], [1, 1, 1, 1])
        constants = tuple(self.constant("int32", words) for words in ends)
        return self.write("STRIDED_SLICE", "StridedSliceOptions", (value, *constants), output, **masks)

    def pool(self, value: int) -> int:
        _, height, width, channels = self.tensors[value].shape
        code = str(self.random.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"]))
        output = self.alike(value, (1, -(-height // 2), -(-width // 2), channels))
        return self.write(
            code, "Pool2DOptions", (value,), output, padding=SAME, strideH=2, strideW=2, filterHeight=2,
            filterWidth=2, fusedActivationFunction=int(self.random.choice([NONE, RELU])),
        )  # fmt: skip

    def pad(self, value: int) -> int:
        _, height, width, channels = self.tensors[value].shape
        sides = self.random.randint(0, 2, (2, 2))
        padded = (1, height + int(sides[0].sum()), width + int(sides[1].sum()), channels)
        paddings = self.constant("int32", [[0, 0], *sides.tolist(), [0, 0]])
        return self.convolve(
            self.write("PAD", "PadOptions", (value, paddings), self.alike(value, padded)), depthwise=self.chance(0.5),
            padded=self.chance(0.8),
        )  # fmt: skip

    def rescale(self, value: int) -> int:
        source = self.tensors[value]
        code, options = ("QUANTIZE", "QuantizeOptions") if self.chance(0.5) else ("RELU", "")
        scale = source.scale * float(self.random.choice([0.7, 1, 1.5]))
        return self.write(code, options, (value,), self.activation(source.shape, scale))

    def resize(self, value: int) -> int:
        _, height, width, channels = self.tensors[value].shape
        size = self.constant("int32", [2 * height, 2 * width])
        return self.write(
            "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", (value, size),
            self.alike(value, (1, 2 * height, 2 * width, channels)),
        )  # fmt: skip

    def end(self, value: int) -> int:
        """Pool or flatten, and add a dense layer; or leave an image."""
        source = self.tensors[value]
        if self.chance(0.4):
            axes = self.constant("int32", [1, 2])
            output = self.activation((1, source.shape[-1]), source.scale)
            code = "MEAN"
            if self.chance(0.5):
                output = self.alike(value, (1, source.shape[-1]))
                code = str(self.random.choice(["MEAN", "REDUCE_MAX"] if self.dtype == "int8" else ["MEAN"]))
            value = self.write(code, "ReducerOptions", (value, axes), output, keepDims=False)
        elif self.chance(0.7):
            shape = (1, int(np.prod(source.shape)))
            value = self.write(
                "RESHAPE", "ReshapeOptions", (value, self.constant("int32", shape)), self.alike(value, shape)
            )
        return self.dense(value) if self.chance(0.9) else value


def random_graph(seed: int) -> bytes:
    """Return a model of up to a dozen layers that TFLM runs."""
    graph = _Graph(seed)
    size = (1, graph.number(1, 5), graph.number(1, 5), graph.number(1, 4))
    first = value = graph.activation(size, 0.02 / (graph.limit // 127))
    for _ in range(graph.number(2, 5)):
        layers = [graph.combine, graph.join, graph.pool, graph.pad, graph.curve, graph.cut]
        if graph.dtype == "int8":
            layers += [graph.rescale, graph.resize, graph.choose]
        if graph.chance(0.6):
            value = graph.convolve(value, depthwise=graph.chance(0.4))
        else:
            value = layers[graph.number(0, len(layers) - 1)](value)
    value = graph.end(value)
    return flatbuffer(Model("random", graph.tensors, graph.ops, (first,), (value,), 0))


def random_inputs(shape: tuple[int, ...], dtype: Any, seed: int, count: int) -> Array:
    """Return vectors: both ends of the range, mixtures of them, and any elements."""
    generator, limits = np.random.RandomState(seed), np.iinfo(dtype)
    found = [np.full(shape, limits.min), np.full(shape, limits.max)]
    while len(found) < count:
        mixed = generator.choice([limits.min, limits.max], shape)
        found.append(mixed if len(found) % 2 else generator.randint(limits.min, limits.max + 1, shape))
    return np.array(found[:count]).astype(dtype)
