# SPDX-License-Identifier: Apache-2.0
"""Unpack compressed weights as upstream defines TFLM_DECODE: LiteRT has no such op.

An operand of packed bytes is followed by one that begins with 16 bytes: the kind, of which 0 is a table of values, its
version, and from the fifth on the version of tables, the channels' axis (15: none) with the bits of an index, and the
elements of a table. Behind them lie the tables, one or one per channel. The indices are packed without gaps, the most
significant bit first. `tests/python/test_repair.py` compares it with TFLM.
"""

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.graph import Operand, Operator
from tflm_build.model.types import TYPES

__all__ = ["read_decode"]

_HEAD = 16
_ONE_TABLE = 15


def read_decode(operator: Operator) -> list[Array] | None:
    """Return what an operator writes, an array of the output's shape each; None for other operators and kinds."""
    if operator.op != "TFLM_DECODE":
        return None
    pairs = zip(operator.reads[::2], operator.reads[1::2], operator.outputs, strict=False)
    unpacked = [_look_up(*pair) for pair in pairs]
    found = [array for array in unpacked if array is not None]
    return found if len(found) == len(operator.outputs) else None


def _look_up(packed: Operand, described: Operand, output: Operand) -> Array | None:
    """Look the elements up in the tables of values; None where it is packed otherwise."""
    dtype = TYPES[output.type].dtype if output.type in TYPES else None
    if packed.data is None or described.data is None or dtype is None:
        return None
    head, values = bytes(described.data)[:_HEAD], bytes(described.data)[_HEAD:]
    if len(head) < _HEAD or (head[0], head[1], head[4]) != (0, 1, 1):
        return None
    axis, bits, stride = head[5] >> 4, head[5] & 7, head[6]
    flags = np.unpackbits(np.frombuffer(bytes(packed.data), np.uint8))
    channels = 1 if axis == _ONE_TABLE else output.shape[axis] if axis < len(output.shape) else 0
    sizes = (bits, stride, channels)
    if not all(sizes) or len(flags) < output.elements * bits or len(values) < stride * channels * dtype.itemsize:
        return None
    indices = flags[: output.elements * bits].reshape(-1, bits) @ (1 << np.arange(bits)[::-1])
    tables: Array = np.frombuffer(values, dtype)[: stride * channels].reshape(channels, stride)
    if indices.max(initial=0) >= stride:
        return None
    place = 0 if channels == 1 else np.indices(output.shape)[axis].reshape(-1)
    elements: Array = tables[place, indices].reshape(output.shape)
    return elements
