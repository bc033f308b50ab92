# SPDX-License-Identifier: Apache-2.0
"""Which kernels are asked for by the types of a model."""

import numpy as np
import pytest

from tflm_build.model.graph import Operand, Operator
from tflm_build.model.typed_kernels import typed_kernel


def operator(op: str, reads: str, writes: str) -> Operator:
    """Make an operator from the names of its types."""
    none = np.zeros(0)
    inputs, outputs = (
        tuple(Operand(0, kind, (1,), 0, None, none, none, variable=False) for kind in text.split())
        for text in (reads, writes)
    )
    return Operator(op, "layer", None, inputs, outputs)


@pytest.mark.parametrize(("op", "reads", "writes", "kernel"), [
    ("CONV_2D", "int8 int8 int32", "int8", "INT8"),
    ("CONV_2D", "int16 int8 int64", "int16", "INT16"),
    ("CONV_2D", "int8 int4 int32", "int8", "INT4"),
    ("CONV_2D", "float32 float32 float32", "float32", None),
    ("DEPTHWISE_CONV_2D", "int8 int8 int32", "int8", "INT8"),
    ("FULLY_CONNECTED", "int8 int8", "int8", "INT8"),
    ("FULLY_CONNECTED", "int8 int8", "int16", None),
    ("SOFTMAX", "int8", "int8", "INT8"),
    ("SOFTMAX", "int8", "int16", "INT8_INT16"),
    ("SOFTMAX", "int16", "int16", "INT16"),
    ("ADD", "int8 int8", "int8", "INT8"),
    ("ADD", "int32 int32", "int32", None),
    ("PAD", "int8 int32", "int8", "INT8"),
    ("SVDF", "int8 int8 int16 int32 int16", "int8", "INT8"),
    ("SVDF", "int8 int8 int8 int32 int8", "int8", None),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int8 " * 9 + "int32 int32 int32 int32 int8 int16", "int8", "INT8"),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int16" + " int8" * 8 + " int64 int64 int64 int64 int16 int16", "int16", "INT16"),
    ("RESHAPE", "int8 int32", "int8", None),
])  # fmt: skip
def test_kernel_of_an_operator(op: str, reads: str, writes: str, kernel: str | None) -> None:
    found = typed_kernel(op, [operator(op, reads, writes)])
    assert (None if found is None else found.register) == (None if kernel is None else f"Register_{op}_{kernel}")


def test_kernel_of_all_operators() -> None:
    """Ask for the general kernel where two places differ."""
    small, wide = operator("ADD", "int8 int8", "int8"), operator("ADD", "int16 int16", "int16")
    found = typed_kernel("ADD", [small, small])
    assert found is not None
    assert found.register == "Register_ADD_INT8"
    assert typed_kernel("ADD", [small, wide]) is None
