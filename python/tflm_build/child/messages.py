# SPDX-License-Identifier: Apache-2.0
"""Write and read the messages between a process and its child.

A message is a dict of lists of numpy arrays, of bytes, and of values that JSON knows. It travels as an .npz file, which
is read without pickle.
"""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["Message", "pack", "unpack"]

Message = dict[str, Any]


def pack(message: Mapping[str, Any]) -> bytes:
    """Write a message as .npz: arrays as they are, all else as JSON beside them."""
    arrays: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for key, value in message.items():
        if isinstance(value, bytes):
            arrays[f"bytes:{key}"] = np.frombuffer(value, np.uint8)
        elif isinstance(value, list | tuple) and value and all(isinstance(item, np.ndarray) for item in value):
            for index, item in enumerate(value):
                arrays[f"list:{key}:{index:06d}"] = item
        else:
            values[key] = value
    arrays["values"] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def unpack(data: bytes) -> Message:
    """Read what `pack` wrote."""
    message: Message = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        for entry in arrays.files:
            kind, _, key = entry.partition(":")
            if kind == "bytes":
                message[key] = arrays[entry].tobytes()
            elif kind == "list":
                message.setdefault(key.rpartition(":")[0], []).append(arrays[entry])
            else:
                message.update(json.loads(arrays["values"].tobytes()))
    return message
