# SPDX-License-Identifier: Apache-2.0
"""Say what TFLM's kernel of an operator asks for while the model is prepared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from tflm_build.arena import cmsis_nn, esp_nn
from tflm_build.arena.layout import Layout
from tflm_build.model.graph import Operand, Operator

__all__ = ["Kernel", "Persistent", "Request", "Scratch", "Temporary", "kernels", "requests"]


class Kernel(NamedTuple):
    """A row of kernels.tsv: the structures of options and data, "-" for none, and what is asked for after them."""

    params: str
    data: str
    prepare: str


@dataclass(frozen=True)
class Persistent:
    """Bytes that stay."""

    bytes: int


@dataclass(frozen=True)
class Scratch:
    """Bytes that the kernel has while it runs; they are planned with the activations."""

    bytes: int


@dataclass(frozen=True)
class Temporary:
    """A tensor that the kernel looks at while it is prepared."""

    operand: Operand


Request = Persistent | Scratch | Temporary


@cache
def kernels() -> dict[str, Kernel]:
    """Return the kernels that are known, by op."""
    table = resources.files("tflm_build.arena").joinpath("kernels.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {op: Kernel(params, data, prepare) for op, params, data, prepare in rows}


def requests(operator: Operator, layout: Layout) -> Iterator[Request]:
    """Yield what the kernel asks for in its Prepare, in order; KeyError for an op that kernels.tsv lacks."""
    for word in kernels()[operator.op].prepare.split():
        if word in _RULES:
            yield from _RULES[word](operator, layout)
        elif word != "-":
            operands = {"i": operator.inputs, "o": operator.outputs}[word[0]]
            chosen = operands if word[1] == "*" else operands[int(word[1]) :][:1]
            yield from (Temporary(operand) for operand in chosen if operand is not None)
    for library, extra_bytes in (("cmsis-nn", cmsis_nn.extra_bytes), ("esp-nn", esp_nn.extra_bytes)):
        if library in layout.built_with:
            for size, stays in extra_bytes(operator, layout):
                yield Persistent(size) if stays else Scratch(size)


def _other_inputs(operator: Operator, _layout: Layout) -> Iterator[Request]:
    yield from (Temporary(operand) for operand in operator.reads[1:])


def _output_of_int8(operator: Operator, _layout: Layout) -> Iterator[Request]:
    if operator.reads[0].type == "int8":
        yield Temporary(operator.outputs[0])


def _output_shape(operator: Operator, _layout: Layout) -> Iterator[Request]:
    """Ask for a shape that can be written: its length, and a number a dimension."""
    yield Persistent(4 + 4 * len(operator.outputs[0].shape))


def _rank(operator: Operator, _layout: Layout) -> Iterator[Request]:
    yield Scratch(4 * len(operator.reads[0].shape))


def _by_channel(operator: Operator, _layout: Layout) -> Iterator[Request]:
    """Ask for a multiplier and a shift for each output channel, float or not."""
    channels = operator.reads[1].shape[3 if operator.op == "DEPTHWISE_CONV_2D" else 0]
    yield from [Persistent(4 * channels)] * 2


def _by_several_channels(operator: Operator, _layout: Layout) -> Iterator[Request]:
    weights = operator.reads[1]
    if len(weights.scales) > 1 and weights.type != "float32":
        yield from [Persistent(4 * len(weights.scales))] * 2


def _unpacked_weights(operator: Operator, layout: Layout) -> Iterator[Request]:
    """Ask for a byte an element of weights that have two elements a byte; CMSIS-NN's kernels read these as they are."""
    if operator.reads[1].type == "int4" and "cmsis-nn" not in layout.built_with:
        yield Scratch(operator.reads[1].elements)


def _add_n(operator: Operator, layout: Layout) -> Iterator[Request]:
    if operator.outputs[0].type == "int8":
        yield Persistent(layout.size("AddNData").bytes)
    yield Scratch(layout.pointer * len(operator.reads))


def _cumsum(operator: Operator, layout: Layout) -> Iterator[Request]:
    if operator.reads[0].type == "int8":
        yield Persistent(layout.size("CumsumData").bytes)


def _log_softmax(operator: Operator, layout: Layout) -> Iterator[Request]:
    if operator.reads[0].type == "int8":
        yield Persistent(layout.size("LogSoftmaxData").bytes)


def _embedding_lookup(_operator: Operator, layout: Layout) -> Iterator[Request]:
    yield Persistent(layout.size("EmbeddingLookupData").bytes)


def _softmax_tables(operator: Operator, _layout: Layout) -> Iterator[Request]:
    """Ask for the tables of exp(x) and 1 / (1 + x): 513 numbers of 16 bits each."""
    if operator.reads[0].type == "int16":
        yield from [Persistent(2 * 513)] * 2


def _batch_matmul(operator: Operator, layout: Layout) -> Iterator[Request]:
    """Ask for copies of what is transposed: the left matrix if it has to be, the right one unless it has to be."""
    left, right = operator.reads[:2]
    if left.type in {"int8", "int16"}:
        yield Persistent(layout.size("BatchMatMulQuantization").bytes)
    for operand, copied in ((left, operator.option("adjX")), (right, not operator.option("adjY"))):
        if copied:
            yield Persistent(layout.size("EvalTensor").bytes)
            yield Persistent(4 + 4 * len(operand.shape))
            yield Persistent(_bytes(operand))
    yield from _output_shape(operator, layout)


def _sums(operator: Operator, _layout: Layout) -> Iterator[Request]:
    if operator.reads[0].type in {"int8", "int16"}:
        yield Scratch(4 * operator.outputs[0].elements)


def _axes(operator: Operator, layout: Layout) -> Iterator[Request]:
    yield from _rank(operator, layout)
    yield Scratch(4 * operator.reads[1].elements)


def _svdf(operator: Operator, _layout: Layout) -> Iterator[Request]:
    batch, filters = operator.reads[0].shape[0], operator.reads[1].shape[0]
    yield Scratch(4 * batch * filters)
    if operator.reads[0].type == "int8":
        yield Scratch(4 * batch * (filters // operator.option("rank")))


def _lstm(operator: Operator, _layout: Layout) -> Iterator[Request]:
    """Ask for four gates: each has the elements of the output state, as wide as those of the cell state."""
    output_state, cell_state = operator.inputs[18], operator.inputs[19]
    if output_state is not None and cell_state is not None:
        yield from [Scratch(_bytes(cell_state))] * 4


def _transpose_conv(operator: Operator, layout: Layout) -> Iterator[Request]:
    output = operator.outputs[0]
    if operator.reads[2].type == "float32":
        return
    if "cmsis-nn" in layout.built_with and output.type == "int8":
        yield from (Scratch(size) for size in cmsis_nn.transpose_conv_bytes(operator, layout))
    else:
        yield Scratch(output.elements * (8 if output.type == "int16" else 4))
    for operand in (operator.reads[2], *operator.reads[1:2], *operator.reads[3:4], output):
        yield Temporary(operand)
    if output.type == "int16" and operator.reads[3:4] and operator.reads[3].type == "int16":
        yield Scratch(8 * operator.reads[3].elements)


def _variable(operator: Operator, _layout: Layout) -> Iterator[Request]:
    """Ask for the variable's memory; `replay.py` leaves it out where another operator had it."""
    yield Persistent(_bytes(operator.reads[1]))


def _bytes(operand: Operand) -> int:
    """Return a tensor's bytes."""
    assert operand.bytes is not None
    return operand.bytes


_RULES: Final[dict[str, Callable[[Operator, Layout], Iterator[Request]]]] = {
    rule.__name__[1:]: rule
    for rule in (
        _add_n, _axes, _batch_matmul, _by_channel, _by_several_channels, _cumsum, _embedding_lookup, _log_softmax,
        _lstm, _other_inputs, _output_of_int8, _output_shape, _rank, _softmax_tables, _sums, _svdf, _transpose_conv,
        _unpacked_weights, _variable,
    )
}  # fmt: skip
