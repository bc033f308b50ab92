# SPDX-License-Identifier: Apache-2.0
"""Choose, for an op, the TFLM kernel that computes with the model's types alone: it takes less flash."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from tflm_build.model.graph import Operator

__all__ = ["TypedKernel", "typed_kernel"]

# What all the operators of an op compute with, as `_signature` spells it, and the kernel's name after the op's.
_INTEGERS: Final = {"int8": "INT8", "int16": "INT16"}
_WEIGHTS: Final = {"int8": "INT8", "int16 int8 int16": "INT16", "int8 int4 int8": "INT4"}
_INT8: Final = {"int8": "INT8"}
_KERNELS: Final = {
    "ADD": _INTEGERS,
    "AVERAGE_POOL_2D": _INTEGERS,
    "BATCH_MATMUL": _INTEGERS,
    "CONV_2D": _WEIGHTS,
    "DEPTHWISE_CONV_2D": _WEIGHTS,
    "FULLY_CONNECTED": _WEIGHTS,
    "MAXIMUM": _INT8,
    "MAX_POOL_2D": _INTEGERS,
    "MINIMUM": _INT8,
    "MUL": _INT8,
    "PAD": _INT8,
    "SOFTMAX": {"int8": "INT8", "int8 int16": "INT8_INT16", "int16": "INT16"},
    "SVDF": {"int8 int16 int8": "INT8"},
    "TRANSPOSE": _INT8,
    "TRANSPOSE_CONV": _INT8,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": {"int8 int16 int8": "INT8", "int16 int8 int16": "INT16"},
}

# In tensorflow/lite/micro/kernels/, where the resolver's header does not include it in every TFLM that has the kernel.
# Two are left out, for they define what may be defined only once: those of BATCH_MATMUL and TRANSPOSE_CONV.
_HEADERS: Final = {
    "MAXIMUM": "maximum_minimum.h",
    "MINIMUM": "maximum_minimum.h",
    "MUL": "mul.h",
    "PAD": "pad.h",
    "SVDF": "svdf.h",
    "TRANSPOSE": "transpose.h",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "unidirectional_sequence_lstm.h",
}


class TypedKernel(NamedTuple):
    """A kernel that some TFLM have beside the general one.

    Attributes:
        register: the function of TFLM that returns its registration.
        header: what has to be included for it beside the resolver, in tensorflow/lite/micro/kernels/; "" for nothing.
    """

    register: str
    header: str


def typed_kernel(op: str, operators: Iterable[Operator]) -> TypedKernel | None:
    """Return the kernel for all operators of an op, or None where only the general one computes with their types."""
    signatures = {_signature(operator) for operator in operators}
    variant = _KERNELS.get(op, {}).get(signatures.pop()) if len(signatures) == 1 else None
    return None if variant is None else TypedKernel(f"Register_{op}_{variant}", _HEADERS.get(op, ""))


def _signature(operator: Operator) -> str:
    """Return the element types of what is read and written, repetitions left out; so are biases, shapes and axes."""
    types: list[str] = []
    for operand in (*operator.reads, *operator.outputs):
        if operand.type not in {"int32", "int64", *types[-1:]}:
            types.append(operand.type)
    return " ".join(types)
