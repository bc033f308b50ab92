# SPDX-License-Identifier: Apache-2.0
"""The work of each layer, against loops that do what the op does and count their products.

What a loop answers is compared with LiteRT's reference kernel, so that it is the op that is counted.
"""

import copy
from itertools import product
from typing import Any

import numpy as np
import pytest

from support import ROOT
from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Array, litert_outputs
from tflm_build.errors import TflmBuildError
from tflm_build.model import workload
from tflm_build.model.flatbuffer import load, store
from tflm_build.model.layers import describe_layers
from tflm_build.model.values import Layer
from tflm_build.passes.canonical import canonicalize

VALID = 1


class Products:
    """Adds products, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def dot(self, left: Any, right: Any) -> Any:
        total = 0.0
        for one, other in zip(np.ravel(left), np.ravel(right), strict=True):
            total += one * other
            self.count += 1
        return total

    def rotate(self, value: complex, angle: float) -> complex:
        """Multiply by a twiddle: four real products, each added to another."""
        factor = np.exp(1j * angle)
        self.count += 4
        return complex(value * factor)


def numbers(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def one_op(op: str, options: str, inputs: list[Any], output: tuple[int, ...], x: int = 0, **settings: Any) -> bytes:
    """Make a model of one op: `x` is the model's input, the other arrays are constants, a tuple is a variable."""
    tensors: list[Tensor] = []
    indices = []
    for place, value in enumerate(inputs):
        indices.append(-1 if value is None else len(tensors))
        if isinstance(value, tuple):
            tensors.append(Tensor(f"state {place}", value, "float32", variable=True))
        elif value is not None:
            data = None if place == x else value
            tensors.append(Tensor(f"input {place}", value.shape, value.dtype.name, data=data))
    tensors.append(Tensor("layer", output, "float32"))
    last = len(tensors) - 1
    operator = Op(op, options, tuple(indices), (last,), settings)
    return flatbuffer(Model("m", tensors, [operator], (indices[x],), (last,), 0))


def works(model: bytes) -> tuple[Layer, ...]:
    return describe_layers(canonicalize(model).graph)


def costs(work: Layer) -> tuple[int, int, int, int]:
    return work.macs, work.parameters, work.weight_bytes, work.activation_bytes


def check(model: bytes, x: Array, expected: Array, products: Products) -> Layer:
    """Hold the loop against the kernel, then the count against the loop's."""
    assert np.allclose(litert_outputs(model, [x])[0], expected, atol=1e-5)
    (work,) = works(model)
    assert work.macs == products.count > 0
    assert work.layer == "layer"
    return work


def test_conv_2d() -> None:
    x, weights, bias = numbers(1, 5, 5, 4), numbers(6, 3, 3, 2), numbers(6)  # two groups of two channels
    products, expected, padded = Products(), np.zeros((1, 3, 3, 6)), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for row, column, channel in product(range(3), range(3), range(6)):
        group = slice(0, 2) if channel < 3 else slice(2, 4)
        window = padded[0, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3, group]
        expected[0, row, column, channel] = products.dot(window, weights[channel]) + bias[channel]
    model = one_op("CONV_2D", "Conv2DOptions", [x, weights, bias], (1, 3, 3, 6), strideW=2, strideH=2)
    work = check(model, x, expected, products)
    assert (work.parameters, work.weight_bytes) == (6 * 3 * 3 * 2 + 6, 4 * (6 * 3 * 3 * 2 + 6))
    assert work.activation_bytes == 4 * (5 * 5 * 4 + 3 * 3 * 6)


def test_depthwise_conv_2d() -> None:
    x, weights, bias = numbers(1, 5, 4, 3), numbers(1, 3, 2, 6), numbers(6)
    products, expected = Products(), np.zeros((1, 3, 3, 6))
    for row, column, channel in product(range(3), range(3), range(6)):
        window = x[0, row : row + 3, column : column + 2, channel // 2]
        expected[0, row, column, channel] = products.dot(window, weights[0, ..., channel]) + bias[channel]
    settings = {"padding": VALID, "strideW": 1, "strideH": 1, "depthMultiplier": 2}
    model = one_op("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", [x, weights, bias], (1, 3, 3, 6), **settings)
    check(model, x, expected, products)


def test_transpose_conv() -> None:
    x, weights = numbers(1, 3, 2, 4), numbers(5, 3, 3, 4)
    products, expected = Products(), np.zeros((1, 7, 5, 5))
    for row, column, down, right, channel in product(range(3), range(2), range(3), range(3), range(5)):
        expected[0, 2 * row + down, 2 * column + right, channel] += products.dot(
            x[0, row, column], weights[channel, down, right]
        )
    inputs = [np.array([1, 7, 5, 5], np.int32), weights, x]
    settings = {"padding": VALID, "strideW": 2, "strideH": 2}
    work = check(
        one_op("TRANSPOSE_CONV", "TransposeConvOptions", inputs, (1, 7, 5, 5), 2, **settings), x, expected, products
    )
    assert work.parameters == 4 + 5 * 3 * 3 * 4


def test_fully_connected() -> None:
    x, weights = numbers(2, 3, 5), numbers(4, 5)
    products = Products()
    expected = np.array([[[products.dot(row, weight) for weight in weights] for row in batch] for batch in x])
    model = one_op("FULLY_CONNECTED", "FullyConnectedOptions", [x, weights, None], (2, 3, 4), keepNumDims=True)
    check(model, x, expected, products)


@pytest.mark.parametrize(("adj_x", "adj_y"), list(product((False, True), repeat=2)))
def test_batch_matmul(adj_x: bool, adj_y: bool) -> None:  # noqa: FBT001 - parameters of a test
    x = numbers(2, 5, 3) if adj_x else numbers(2, 3, 5)
    y = numbers(2, 4, 5) if adj_y else numbers(2, 5, 4)
    left, right = (x.swapaxes(1, 2) if adj_x else x), (y if adj_y else y.swapaxes(1, 2))
    products = Products()
    expected = np.array(
        [[[products.dot(a, b) for b in columns] for a in rows] for rows, columns in zip(left, right, strict=True)]
    )
    check(
        one_op("BATCH_MATMUL", "BatchMatMulOptions", [x, y], (2, 3, 4), adjX=adj_x, adjY=adj_y), x, expected, products
    )


def test_svdf() -> None:
    x, features, times, bias = numbers(2, 5), numbers(6, 5), numbers(6, 4), numbers(3)  # three units of rank two
    products, expected = Products(), np.zeros((2, 3))
    for row, channel in product(range(2), range(6)):
        state = [0, 0, 0, products.dot(x[row], features[channel])]
        expected[row, channel // 2] += products.dot(state, times[channel])
    model = one_op("SVDF", "SVDFOptions", [x, features, times, bias, (2, 4 * 6)], (2, 3), rank=2)
    work = check(model, x, expected + bias, products)
    assert work.activation_bytes == 4 * (2 * 5 + 2 * 4 * 6 + 2 * 3)


def test_unidirectional_sequence_lstm() -> None:
    batch, steps, size, cells = 2, 3, 4, 5
    x = numbers(batch, steps, size)
    ours, recurrent = [numbers(cells, size) + gate for gate in range(4)], [numbers(cells, cells) - 0.1] * 4
    bias = [numbers(cells)] * 4
    products, expected = Products(), np.zeros((batch, steps, cells))
    for row in range(batch):
        hidden = cell = np.zeros(cells)
        for step in range(steps):
            sums = [
                np.array(
                    [products.dot(x[row, step], w) + products.dot(hidden, r) + b for w, r, b in zip(*gate, strict=True)]
                )
                for gate in zip(ours, recurrent, bias, strict=True)
            ]
            enter, forget, leave = (1 / (1 + np.exp(-sums[gate])) for gate in (0, 1, 3))
            cell = forget * cell + enter * np.tanh(sums[2])
            hidden = expected[row, step] = leave * np.tanh(cell)
    inputs = [x, *ours, *recurrent, *[None] * 3, *bias, None, None, (batch, cells), (batch, cells), *[None] * 4]
    options = "UnidirectionalSequenceLSTMOptions"
    model = one_op("UNIDIRECTIONAL_SEQUENCE_LSTM", options, inputs, expected.shape, fusedActivationFunction=4)
    check(model, x, expected, products)


def butterflies(values: Array, products: Products) -> Array:
    """Transform by the textbook's radix 2."""
    size = len(values)
    if size == 1:
        return values
    even, odd = butterflies(values[::2], products), butterflies(values[1::2], products)
    turned = np.array([products.rotate(value, -2 * np.pi * k / size) for k, value in enumerate(odd)])
    return np.concatenate([even + turned, even - turned])


@pytest.mark.parametrize("points", [4, 16, 512])
def test_fourier_transforms(points: int) -> None:
    x, products, half = numbers(points), Products(), points // 2
    packed = butterflies(x[::2] + 1j * x[1::2], products)
    spectrum = np.zeros(half + 1, complex)
    for k in range(half // 2):  # one twiddle for two of the results, which mirror each other
        even, odd = (packed[k] + packed[-k].conj()) / 2, (packed[k] - packed[-k].conj()) / 2j
        turned = products.rotate(odd, -2 * np.pi * k / points)
        spectrum[k], spectrum[half - k] = even + turned, (even - turned).conj()
    spectrum[half // 2] = packed[half // 2].conj()
    assert np.allclose(spectrum, np.fft.rfft(x), atol=1e-4)

    (forth,) = works(one_op("SignalRfft", "", [numbers(3, points)], (3, points + 2)))
    (back,) = works(one_op("SignalIrfft", "", [numbers(3, points + 2)], (3, points)))
    assert forth.macs == back.macs == 3 * products.count


def test_filter_bank() -> None:
    widths = np.array([1, 2, -1, 3], np.int16)  # of three channels after a scratch one; a loop of -1 is none
    starts, weights = np.array([0, 1, 3, 3], np.int16), np.arange(6, dtype=np.int16)
    products, spectrum = Products(), numbers(9)
    for start, width in zip(starts, widths, strict=True):
        products.dot(spectrum[start : start + width], weights[start : start + width])  # into this channel,
        products.dot(spectrum[start : start + width], weights[start : start + width])  # and into the next
    (work,) = works(one_op("SignalFilterBank", "", [spectrum, weights, weights, starts, starts, widths], (3,)))
    assert work.macs == products.count == 12
    # Equal constants are one: 6 weights and 4 starts of two bytes count once.
    assert (work.parameters, work.weight_bytes) == (6 + 6 + 4 + 4 + 4, 2 * (6 + 4 + 4))


def test_every_op_of_the_table_is_counted() -> None:
    table = (ROOT / "python" / "tflm_build" / "model" / "tflm_ops.tsv").read_text().splitlines()
    assert set(workload._MACS) == {line.split("\t")[0] for line in table if not line.startswith("#")}
    assert len(set(workload._WITHOUT)) == len(workload._WITHOUT)


def test_an_elementwise_op_has_no_macs_but_bytes() -> None:
    (work,) = works(one_op("MUL", "MulOptions", [numbers(2, 3), numbers(3)], (2, 3)))
    assert (work.op, work.layer, *costs(work)) == ("MUL", "layer", 0, 3, 12, 4 * 12)


def two_layers(weights: list[Array]) -> bytes:
    tensors = [Tensor(name, (1, 5), "int8") for name in ("in", "first", "second")]
    tensors += [Tensor(f"weights {index}", value.shape, "int8", data=value) for index, value in enumerate(weights)]
    read = (3, 3 if len(weights) == 1 else 4)
    ops = [Op("FULLY_CONNECTED", "FullyConnectedOptions", (index, read[index], -1), (index + 1,)) for index in (0, 1)]
    return flatbuffer(Model("m", tensors, ops, (0,), (2,), 0))


@pytest.mark.parametrize("tensors", [1, 2])
def test_shared_weights_have_their_bytes_at_the_first_reader(tensors: int) -> None:
    first, second = works(two_layers([np.arange(25, dtype=np.int8).reshape(5, 5)] * tensors))
    assert (first.op, first.layer, *costs(first)) == ("FULLY_CONNECTED", "first", 25, 25, 25, 10)
    assert (second.op, second.layer, *costs(second)) == ("FULLY_CONNECTED", "second", 25, 25, 0, 10)


def test_the_operators_of_every_subgraph_count_once() -> None:
    model = load(two_layers([np.arange(25, dtype=np.int8).reshape(5, 5)]))
    model.subgraphs.append(copy.deepcopy(model.subgraphs[0]))
    assert [(work.macs, work.weight_bytes) for work in works(store(model))] == [(25, 25), (25, 0), (25, 0), (25, 0)]


def test_four_bits_are_half_a_byte() -> None:
    tensors = [Tensor("in", (3, 3), "int8"), Tensor("half", (9,), "int4"), Tensor("out", (3, 3), "int8")]
    operators = [Op("RESHAPE", "", (0,), (1,)), Op("RESHAPE", "", (1,), (2,))]
    assert [work.activation_bytes for work in works(flatbuffer(Model("m", tensors, operators, (0,), (2,), 0)))] == [
        9 + 5,
        5 + 9,
    ]


@pytest.mark.parametrize(
    ("op", "shapes", "dtype", "message"),
    [
        ("POW", [(2,)], "float32", "layer 'layer' with the op POW: no count of its work is known"),
        ("frobnicate", [(2,)], "float32", "layer 'layer' with the op frobnicate: no count"),
        ("RELU", [(2,)], "string", "layer 'between' with the op RELU: got elements of string; allowed: bfloat16, bool"),
        ("RELU", [(1, -1)], "int8", r"layer 'between' with the op RELU: got a tensor of shape \(1, -1\); fixed sizes"),
        ("CONV_2D", [(1, 4, 4, 3)], "int8", "input 1 needs 4 dimensions or more; got none"),
        ("CONV_2D", [(1, 4, 4, 3), (3, 3)], "int8", r"input 1 needs 4 dimensions or more; got the shape \(3, 3\)"),
        ("SignalFilterBank", [(1,)] * 6, "int16", "input 5, the widths of the channels, needs int16 constants"),
    ],
)
def test_what_cannot_be_counted_is_an_error(op: str, shapes: list[Any], dtype: str, message: str) -> None:
    tensors = [Tensor("layer", (2,), "int8"), Tensor("between", shapes[0], dtype), Tensor("x", (2,), "int8")]
    tensors += [Tensor("t", shape, dtype) for shape in shapes]
    first = Op("RELU", "", (2,), (1,))
    model = Model("m", tensors, [first, Op(op, "", (1, *range(4, len(tensors))), (0,))], (2,), (0,), 0)
    with pytest.raises(TflmBuildError, match=message):
        works(flatbuffer(model))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 0), (0, 0, 0, 0), (-2, 1, 1, 1), (2**31 - 1,) * 9])
def test_odd_shapes_raise_nothing_unexpected(shape: tuple[int, ...]) -> None:
    for op, count in product(workload._MACS, (0, 1, 6, 24)):
        tensors = [Tensor("layer", shape, "float32"), Tensor("odd", (1,), "int16", data=np.zeros(3, np.int8))]
        tensors.append(Tensor("x", (2,), "int8"))
        model = load(
            flatbuffer(Model("m", tensors, [Op(op, "", (0, *[1] * count), (0,) * (count > 0))], (2,), (2,), 0))
        )
        model.subgraphs[0].tensors[0].shape = None if shape == () else model.subgraphs[0].tensors[0].shape
        model.subgraphs[0].operators[0].inputs = None if count == 0 else model.subgraphs[0].operators[0].inputs
        try:
            works(store(model))
        except TflmBuildError as error:
            assert op in str(error)  # noqa: PT017 - most of them pass
