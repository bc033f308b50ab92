# SPDX-License-Identifier: Apache-2.0
"""Change a model's object tree so that it still computes what it did: what other writers do otherwise."""

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from support.hand_made import schema

__all__ = ["HARMLESS", "Change", "Find", "any_operator", "any_quantization", "any_subgraph", "any_tensor", "to"]

Change = Callable[[random.Random, Any], None]
Find = Callable[[random.Random, Any], Any]


def any_subgraph(generator: random.Random, tree: Any) -> Any:
    return generator.choice(tree.subgraphs)


def any_tensor(generator: random.Random, tree: Any) -> Any:
    return generator.choice(any_subgraph(generator, tree).tensors)


def any_operator(generator: random.Random, tree: Any) -> Any:
    return generator.choice(any_subgraph(generator, tree).operators)


def any_quantization(generator: random.Random, tree: Any) -> Any:
    tensors = [tensor for subgraph in tree.subgraphs for tensor in subgraph.tensors]
    return generator.choice([entry.quantization for entry in tensors if entry.quantization is not None])


def to(find: Find, field: str, *values: Any) -> Change:
    """Set a field to one of some values."""

    def change(generator: random.Random, tree: Any) -> None:
        table = find(generator, tree)
        assert hasattr(table, field), field
        setattr(table, field, copy.deepcopy(generator.choice(values)))

    return change


def rename(generator: random.Random, tree: Any) -> None:
    names = (None, b"", b"x", b"\xff\xfe", b"a;b/c", b"n" * 300, "größe".encode(), b'"\\\n', b"%s{}")
    any_tensor(generator, tree).name = generator.choice(names)


def sign(generator: random.Random, tree: Any) -> None:
    main = tree.subgraphs[0]
    ends = [
        [schema.TensorMapT(name=f"{kind}{i}".encode(), tensorIndex=i) for i in places]
        for kind, places in (("in", main.inputs), ("out", main.outputs))
    ]
    key = generator.choice((b"serving_default", b"", None))
    tree.signatureDefs = [schema.SignatureDefT(inputs=ends[0], outputs=ends[1], signatureKey=key)]


def add_metadata(generator: random.Random, tree: Any) -> None:
    tree.buffers.append(schema.BufferT(data=np.frombuffer(generator.randbytes(9), np.uint8)))
    entry = schema.MetadataT(name=generator.choice((b"min_runtime_version", b"", None)), buffer=len(tree.buffers) - 1)
    tree.metadata = [*(tree.metadata or []), entry]


def add_buffer(generator: random.Random, tree: Any) -> None:
    data = generator.choice((None, np.zeros(0, np.uint8), np.frombuffer(generator.randbytes(100), np.uint8)))
    tree.buffers.append(schema.BufferT(data=data))


def copy_buffers(_generator: random.Random, tree: Any) -> None:
    """Give every tensor a buffer of its own."""
    for subgraph in tree.subgraphs:
        for tensor in subgraph.tensors:
            tree.buffers.append(copy.deepcopy(tree.buffers[tensor.buffer]))
            tensor.buffer = len(tree.buffers) - 1


def shuffle_buffers(generator: random.Random, tree: Any) -> None:
    order = list(range(1, len(tree.buffers)))
    generator.shuffle(order)
    order = [0, *order]
    tree.buffers = [tree.buffers[place] for place in order]
    tables = [tensor for subgraph in tree.subgraphs for tensor in subgraph.tensors] + (tree.metadata or [])
    for table in tables:
        table.buffer = order.index(table.buffer)


def shuffle_codes(generator: random.Random, tree: Any) -> None:
    order = list(range(len(tree.operatorCodes)))
    generator.shuffle(order)
    tree.operatorCodes = [tree.operatorCodes[place] for place in order]
    for subgraph in tree.subgraphs:
        for operator in subgraph.operators:
            operator.opcodeIndex = order.index(operator.opcodeIndex)


def add_code(generator: random.Random, tree: Any) -> None:
    tree.operatorCodes.append(copy.deepcopy(generator.choice(tree.operatorCodes)))


def add_unused_tensors(generator: random.Random, tree: Any) -> None:
    """Add tensors that nothing reads or writes; a plan of the memory counts them."""
    if any(entry.name == b"OfflineMemoryAllocation" for entry in tree.metadata or []):
        raise ValueError
    subgraph = any_subgraph(generator, tree)
    tensor = copy.deepcopy(generator.choice([entry for entry in subgraph.tensors if not entry.isVariable]))
    subgraph.tensors += [copy.copy(tensor) for _ in range(generator.choice((1, 2, 50)))]


def calibrate(generator: random.Random, tree: Any) -> None:
    parameters = any_quantization(generator, tree)
    parameters.min, parameters.max = [-1.0] * generator.choice((1, 3)), [float("nan")]


def batch(generator: random.Random, tree: Any) -> None:
    """Say that the batch was free, as converters do."""
    tensor = any_tensor(generator, tree)
    tensor.shapeSignature = [-1, *list(tensor.shape)[1:]]


def add_empty_quantization(generator: random.Random, tree: Any) -> None:
    tensor = any_tensor(generator, tree)
    if tensor.quantization is not None:
        raise ValueError
    tensor.quantization = schema.QuantizationParametersT()


HARMLESS: dict[str, Change] = {
    "name of a tensor": rename,
    "name of a subgraph": to(any_subgraph, "name", None, b"", b"main", b"\xff"),
    "description": lambda generator, tree: setattr(tree, "description", generator.choice((None, b"", b"\xff", b"d"))),
    "signature": sign,
    "metadata": add_metadata,
    "metadata buffer": lambda generator, tree: setattr(tree, "metadataBuffer", [generator.choice((0, 1, 99))]),
    "debug metadata": to(any_operator, "debugMetadataIndex", 0, 3, 1 << 20),
    "unused buffer": add_buffer,
    "a buffer for each tensor": copy_buffers,
    "order of buffers": shuffle_buffers,
    "order of operator codes": shuffle_codes,
    "unused operator code": add_code,
    "unused tensors": add_unused_tensors,
    "calibration ranges": calibrate,
    "free batch": batch,
    "rank known": to(any_tensor, "hasRank", 0, 1),
    "empty quantization": add_empty_quantization,
}
