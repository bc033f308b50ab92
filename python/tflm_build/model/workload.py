# SPDX-License-Identifier: Apache-2.0
"""Count the multiply-accumulates of each layer.

A multiply-accumulate (MAC) is one multiplication of a sum of products: of a convolution, a matrix product, a recurrent
cell, a filter bank or a Fourier transform. Ops that take each element by itself (activation functions, MUL and ADD too,
requantization), pool, reduce, normalize, resize or move data have none by definition, as in published counts. So have
an LSTM's products of two states, and the addition of a bias.

The counts are those of the textbook's loops for one run of the model: taps that fall on padding, and products that
TRANSPOSE_CONV crops away, count; what a faster algorithm saves does not. Operators in a loop that counts to a constant
count once a step (`loops.py`), those of other subgraphs once, however often IF, WHILE or CALL_ONCE runs them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.errors import TflmBuildError
from tflm_build.model.graph import Graph, Operand, Operator
from tflm_build.model.types import TYPES

__all__ = ["count_macs", "model_macs", "size_of"]


@dataclass(frozen=True, eq=False)
class _Node:
    """An operator, and what its count of work needs of it."""

    operator: Operator

    @property
    def options(self) -> Any:
        """Return the operator's options."""
        return self.operator.options

    @property
    def inputs(self) -> tuple[Operand | None, ...]:
        """Return what it reads."""
        return self.operator.inputs

    def error(self, problem: str, remedy: str = "convert the model again") -> TflmBuildError:
        """Return an error that names the layer."""
        return TflmBuildError(f"layer '{self.operator.layer}' with the op {self.operator.op}: {problem}; {remedy}")

    def input(self, index: int, *, rank: int) -> tuple[int, ...]:
        """Return the shape of an input that has at least so many dimensions."""
        return self._shape("input", self.inputs, index, rank)

    def output(self, *, rank: int = 0) -> tuple[int, ...]:
        """Return the shape of the first output."""
        return self._shape("output", self.operator.outputs, 0, rank)

    def bytes(self, tensor: Operand) -> int:
        """Return the size of a tensor."""
        if tensor.bytes is None:
            msg = f"got elements of {tensor.type}; allowed: {', '.join(TYPES)}"
            raise self.error(msg)
        return tensor.bytes

    def _shape(self, kind: str, tensors: Sequence[Operand | None], index: int, rank: int) -> tuple[int, ...]:
        tensor = next(iter(tensors[index : index + 1]), None)
        if tensor is None or len(tensor.shape) < rank:
            got = "none" if tensor is None else f"the shape {tensor.shape}"
            msg = f"{kind} {index} needs {rank} dimensions or more; got {got}"
            raise self.error(msg)
        return tensor.shape


def count_macs(operator: Operator, *, lacking: bool = False) -> int:
    """Return the multiply-accumulates of an operator.

    Args:
        operator: of any subgraph.
        lacking: give 0 to an operator that TFLM lacks, instead of refusing it.

    Raises:
        TflmBuildError: the operator is unknown, or has tensors that its work cannot be computed from.
    """
    node = _Node(operator)
    for tensor in (*operator.reads, *operator.outputs):
        if any(size < 0 for size in tensor.shape):
            msg = f"got a tensor of shape {tensor.shape}; fixed sizes are needed"
            raise node.error(msg, "fix the model's input shape")
    macs = _MACS.get(operator.op, _none if lacking else None)
    if macs is None:
        msg = "no count of its work is known"
        raise node.error(msg, "replace the layer by ops that TFLM has")
    return macs(node)


def model_macs(graph: Graph) -> int:
    """Return the multiply-accumulates of a model's operators, each run once: how much work it is to run it.

    Raises:
        TflmBuildError: an operator has tensors that its work cannot be computed from.
    """
    return sum(count_macs(operator, lacking=True) for operator in graph.operators)


def size_of(operator: Operator, tensor: Operand) -> int:
    """Return the bytes of a tensor that an operator reads or writes.

    Raises:
        TflmBuildError: its elements have no fixed size.
    """
    return _Node(operator).bytes(tensor)


def _none(_node: _Node) -> int:
    return 0


def _convolution(node: _Node) -> int:
    """Weights are (output channels, height, width, input channels of a group); each output element reads one slice."""
    _, height, width, channels = node.input(1, rank=4)[:4]
    return prod(node.output()) * height * width * channels


def _depthwise(node: _Node) -> int:
    """Weights are (1, height, width, channels)."""
    _, height, width = node.input(1, rank=4)[:3]
    return prod(node.output()) * height * width


def _transposed(node: _Node) -> int:
    """Weights are (output channels, height, width, input channels); each input element is spread by one slice."""
    channels, height, width = node.input(1, rank=4)[:3]
    return prod(node.input(2, rank=4)) * height * width * channels


def _fully_connected(node: _Node) -> int:
    """Weights are (outputs, inputs)."""
    return prod(node.output()) * node.input(1, rank=2)[-1]


def _matrix_product(node: _Node) -> int:
    """Each element is a row of the left matrix, or its column if that is transposed, by one of the right."""
    left = node.input(0, rank=2)
    return prod(node.output()) * (left[-2] if getattr(node.options, "adjX", False) else left[-1])


def _svdf(node: _Node) -> int:
    """Weights are (filters, inputs) and (filters, time steps); each is used once per row of the batch."""
    return prod(node.input(0, rank=1)[:-1]) * (prod(node.input(1, rank=2)) + prod(node.input(2, rank=2)))


def _lstm(node: _Node) -> int:
    """Weights are inputs 1 to 8, and 16 to project; each is used once per step and row of the batch."""
    weights = [tensor for tensor in (*node.inputs[1:9], *node.inputs[16:17]) if tensor is not None]
    return prod(node.input(0, rank=1)[:-1]) * sum(tensor.elements for tensor in weights)


def _filter_bank(node: _Node) -> int:
    """Input 5 has a width per channel and one more; every frequency in it is multiplied by a weight and an unweight."""
    widths = next(iter(node.inputs[5:6]), None)
    if widths is None or widths.data is None or widths.type != "int16" or len(widths.data) % 2:
        msg = "input 5, the widths of the channels, needs int16 constants"
        raise node.error(msg)
    return 2 * int(np.frombuffer(widths.data, "<i2").clip(0).sum())


def _fourier(spectrum: tuple[int, ...]) -> int:
    """Count N log2 N per real transform of N points; its spectrum has N + 2 parts, real and imaginary.

    It is a complex one of N/2 points, N/4 log2(N/2) butterflies, and N/4 twiddles to part the halves. Each is one
    complex multiplication: four MACs. The log2 of other sizes than powers of two is rounded up.
    """
    points = max(spectrum[-1] - 2, 1)
    return prod(spectrum[:-1]) * points * (points - 1).bit_length()


# All ops of tflm_ops.tsv. One that is missing here is an error, never 0.
_WITHOUT: Final = """
ABS ADD ADD_N CEIL COS DIV ELU EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS
LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC MAXIMUM MINIMUM MUL NEG NOT_EQUAL PRELU RELU RELU6 ROUND
RSQRT SELECT_V2 SIN SQRT SQUARE SQUARED_DIFFERENCE SUB TANH

ARG_MAX ARG_MIN AVERAGE_POOL_2D CUMSUM L2_NORMALIZATION L2_POOL_2D LOG_SOFTMAX MAX_POOL_2D MEAN REDUCE_ALL REDUCE_MAX
REDUCE_MIN RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SOFTMAX SUM

ASSIGN_VARIABLE BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CAST CONCATENATION DEPTH_TO_SPACE DEQUANTIZE
DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP EXPAND_DIMS FILL GATHER GATHER_ND MIRROR_PAD PACK PAD PADV2 QUANTIZE
READ_VARIABLE RESHAPE REVERSE_V2 SHAPE SLICE SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE
TRANSPOSE UNPACK VAR_HANDLE ZEROS_LIKE

CALL_ONCE IF WHILE

BasicClassifier CIRCULAR_BUFFER SignalDelay SignalEnergy SignalFftAutoScale SignalFilterBankLog
SignalFilterBankSpectralSubtraction SignalFilterBankSquareRoot SignalFramer SignalOverlapAdd SignalPCAN SignalStacker
SignalWindow TFLM_DECODE TFLite_Detection_PostProcess
""".split()

_MACS: Final[dict[str, Callable[[_Node], int]]] = {
    **dict.fromkeys(_WITHOUT, _none),
    "BATCH_MATMUL": _matrix_product,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "SVDF": _svdf,
    "SignalFilterBank": _filter_bank,
    "SignalIrfft": lambda node: _fourier(node.input(0, rank=1)),
    "SignalRfft": lambda node: _fourier(node.output(rank=1)),
    "TRANSPOSE_CONV": _transposed,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
