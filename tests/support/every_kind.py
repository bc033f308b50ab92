# SPDX-License-Identifier: Apache-2.0
"""Small models of every kind that the product builds, made by hand, for tests that change them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from support.hand_made import Model, Op, Tensor, flatbuffer, schema
from support.mutations import cnn, dense
from tflm_build.model.cells import gru
from tflm_build.model.cells import lstm as lstm_step
from tflm_build.model.flatbuffer import load, store
from tflm_build.model.recurrent import LstmWeights, Recurrent
from tflm_build.passes.splice import Place, splice

__all__ = ["MODELS"]

FULLY_CONNECTED = {"weightsFormat": 0, "keepNumDims": False, "fusedActivationFunction": 0}


def whole(dtype: str, *shape: int) -> Any:
    limits = np.iinfo(dtype)
    return np.random.default_rng(sum(shape)).integers(limits.min + 1, limits.max, shape, dtype)


def real(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def float_chain() -> bytes:
    tensors = [
        Tensor("x", (1, 4), "float32"),
        Tensor("w", (3, 4), "float32", data=real(3, 4)),
        Tensor("b", (3,), "float32", data=real(3)),
        Tensor("h", (1, 3), "float32"),
        Tensor("y", (1, 3), "float32"),
    ]
    ops = [
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 2), (3,), FULLY_CONNECTED),
        Op("LOGISTIC", "", (3,), (4,)),
    ]
    return flatbuffer(Model("float", tensors, ops, (0,), (4,), 0))


def quantized(activation: str, weights: str, bias: str) -> bytes:
    """Make a dense layer between QUANTIZE and DEQUANTIZE."""
    data = whole("int8", 8, 2) if weights == "int4" else whole("int8", 8, 4)
    tensors = [
        Tensor("x", (1, 4), "float32"),
        Tensor("q", (1, 4), activation, 0.02),
        Tensor("w", (8, 4), weights, 0.01, 0, data),
        Tensor("b", (8,), bias, 0.0002, 0, np.arange(8, dtype=bias) * 100),
        Tensor("h", (1, 8), activation, 0.05),
        Tensor("y", (1, 8), "float32"),
    ]
    ops = [
        Op("QUANTIZE", "QuantizeOptions", (0,), (1,)),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (1, 2, 3), (4,), FULLY_CONNECTED),
        Op("DEQUANTIZE", "DequantizeOptions", (4,), (5,)),
    ]
    return flatbuffer(Model("quantized", tensors, ops, (0,), (5,), 0))


def pair() -> bytes:
    """Make a model of two inputs and two outputs."""
    tensors = [Tensor(name, (1, 5), "float32") for name in ("a", "b", "sum", "product")]
    ops = [Op("ADD", "AddOptions", (0, 1), (2,)), Op("MUL", "MulOptions", (0, 1), (3,))]
    return flatbuffer(Model("pair", tensors, ops, (0, 1), (2, 3), 0))


def svdf() -> bytes:
    tensors = [
        Tensor("x", (1, 6), "int8", 0.02, 4),
        Tensor("features", (16, 6), "int8", 0.01, 0, whole("int8", 16, 6)),
        Tensor("time", (16, 5), "int16", 0.01, 0, whole("int16", 16, 5)),
        Tensor("bias", (8,), "int32", 0.0001, 0, np.arange(8, dtype=np.int32)),
        Tensor("state", (1, 80), "int16", 0.01, variable=True),
        Tensor("y", (1, 8), "int8", 0.1, -20),
    ]
    op = Op("SVDF", "SVDFOptions", (0, 1, 2, 3, 4), (5,), {"rank": 2, "fusedActivationFunction": 0})
    return flatbuffer(Model("svdf", tensors, [op], (0,), (5,), 0))


def lstm() -> bytes:
    shapes = [(3, 2)] * 4 + [(3, 3)] * 4 + [(3,)] * 4
    tensors = [Tensor("x", (1, 4, 2), "float32")]
    tensors += [Tensor(f"w{place}", shape, "float32", data=real(*shape)) for place, shape in enumerate(shapes)]
    tensors += [Tensor(name, (1, 3), "float32", variable=True) for name in ("output state", "cell state")]
    tensors.append(Tensor("y", (1, 4, 3), "float32"))
    inputs = (*range(9), -1, -1, -1, *range(9, 13), -1, -1, 13, 14, -1, -1, -1, -1)
    settings = {"fusedActivationFunction": schema.ActivationFunctionType.TANH, "timeMajor": False}
    op = Op("UNIDIRECTIONAL_SEQUENCE_LSTM", "UnidirectionalSequenceLSTMOptions", inputs, (15,), settings)
    return flatbuffer(Model("lstm", tensors, [op], (0,), (15,), 0))


def recurrent(*, fused: bool) -> bytes:
    """Make what an int8 LSTM of Keras becomes, whose state each run clears, or a GRU, as a loop of one step."""
    units, gates = 3, 4 if fused else 3
    kernel, across, bias = real(2, units * gates), real(units, units * gates), real(units * gates)
    step = (
        lstm_step(kernel, across, bias, "tanh", "sigmoid")
        if fused
        else gru(kernel, across, bias, "tanh", "sigmoid", reset_after=False)
    )
    layer = Recurrent(
        layer="recurrent", batch=1, steps=4, features=2, units=units, states=gates - 2 if fused else 1, stateful=False,
        rows=4, step=step, fused=LstmWeights(kernel, across, bias) if fused else None,
    )  # fmt: skip
    _, layer = layer.follow(real(8, 1, 4, 2))
    tensors = [Tensor("x", (1, 4, 2), "int8", 1 / 128), Tensor("h", (1, 4, 3), "int8", 1 / 128)]
    tensors += [tensors[0]._replace(name="read"), tensors[1]._replace(name="y")]
    ops = [Op("ABS", "", (0,), (2,)), Op("ABS", "", (1,), (3,))]
    return splice(flatbuffer(Model("recurrent", tensors, ops, (0, 1), (3, 2), 0)), [layer], [Place(1, 1)])


def custom() -> bytes:
    tensors = [Tensor("x", (16,), "int16"), Tensor("scaled", (16,), "int16"), Tensor("bits", (), "int32")]
    return flatbuffer(Model("custom", tensors, [Op("SignalFftAutoScale", "", (0,), (1, 2))], (0,), (1, 2), 0))


def counter(first: float = 0.0) -> bytes:
    """Make a model that adds its inputs up, in a variable that another subgraph sets to its first values once."""
    names = {"container": b"", "sharedName": b"sum"}
    handle = Tensor("handle", (1,), "resource")
    main = [handle, Tensor("x", (1, 4), "float32"), Tensor("old", (1, 4), "float32"), Tensor("y", (1, 4), "float32")]
    values = Tensor("values", (1, 4), "float32", data=np.full((1, 4), first, np.float32))
    make = Op("VAR_HANDLE", "VarHandleOptions", (), (0,), names)
    write = "AssignVariableOptions"
    ops = [
        Op("CALL_ONCE", "CallOnceOptions", (), (), {"initSubgraphIndex": 1}),
        make,
        Op("READ_VARIABLE", "ReadVariableOptions", (0,), (2,)),
        Op("ADD", "AddOptions", (1, 2), (3,)),
        Op("ASSIGN_VARIABLE", write, (0, 3), ()),
    ]
    once = Model("once", [handle, values], [make, Op("ASSIGN_VARIABLE", write, (0, 1), ())], (), (), 0)
    return together(Model("counter", main, ops, (1,), (3,), 0), once)


def branch() -> bytes:
    """Make a model that doubles its input, or takes its square."""
    tensors = [Tensor("which", (1,), "bool"), Tensor("x", (1, 4), "float32"), Tensor("y", (1, 4), "float32")]
    choose = Op("IF", "IfOptions", (0, 1), (2,), {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2})
    return together(
        Model("branch", tensors, [choose], (0, 1), (2,), 0),
        Model("double", tensors[1:], [Op("ADD", "AddOptions", (0, 0), (1,))], (0,), (1,), 0),
        Model("square", tensors[1:], [Op("MUL", "MulOptions", (0, 0), (1,))], (0,), (1,), 0),
    )


def loop() -> bytes:
    """Make a model that counts from its input to three."""
    limit = Tensor("limit", (1,), "int32", data=np.array([3], np.int32))
    one = Tensor("one", (1,), "int32", data=np.array([1], np.int32))
    tensors = [Tensor("zero", (1,), "int32", data=np.array([0], np.int32)), Tensor("x", (1,), "int32")]
    count, after = Tensor("count", (1,), "int32"), Tensor("after", (1,), "int32")
    value, larger = Tensor("value", (1,), "int32"), Tensor("larger", (1,), "int32")
    tensors += [after, larger]
    repeat = Op("WHILE", "WhileOptions", (0, 1), (2, 3), {"condSubgraphIndex": 1, "bodySubgraphIndex": 2})
    less = Op("LESS", "LessOptions", (0, 2), (3,))
    add = [Op("ADD", "AddOptions", (0, 2), (3,)), Op("ADD", "AddOptions", (1, 2), (4,))]
    return together(
        Model("loop", tensors, [repeat], (1,), (3,), 0),
        Model("cond", [count, value, limit, Tensor("more", (1,), "bool")], [less], (0, 1), (3,), 0),
        Model("body", [count, value, one, after, larger], add, (0, 1), (3, 4), 0),
    )


def planned() -> bytes:
    """Make a model whose metadata place two of its tensors in the arena."""
    tree = load(dense())
    plan = np.array([1, 0, 6, -1, -1, -1, 0, -1, -1], np.int32)
    tree.buffers.append(schema.BufferT(data=plan.view(np.uint8)))
    tree.metadata = [schema.MetadataT(name=b"OfflineMemoryAllocation", buffer=len(tree.buffers) - 1)]
    return bytes(store(tree))


def together(main: Model, *others: Model) -> bytes:
    """Make one model of several subgraphs."""
    trees = [load(flatbuffer(model)) for model in (main, *others)]
    tree = trees[0]
    for other in trees[1:]:
        (subgraph,) = other.subgraphs
        for tensor in subgraph.tensors:
            tensor.buffer += len(tree.buffers) if tensor.buffer else 0
        for operator in subgraph.operators:
            operator.opcodeIndex += len(tree.operatorCodes)
        tree.buffers += other.buffers
        tree.operatorCodes += other.operatorCodes
        tree.subgraphs.append(subgraph)
    return bytes(store(tree))


MODELS: dict[str, Callable[[], bytes]] = {
    "dense": dense,
    "cnn": cnn,
    "float32": float_chain,
    "int8, float io": lambda: quantized("int8", "int8", "int32"),
    "int16x8": lambda: quantized("int16", "int8", "int64"),
    "int4 weights": lambda: quantized("int8", "int4", "int32"),
    "two inputs and outputs": pair,
    "svdf": svdf,
    "lstm": lstm,
    "lstm, cleared": lambda: recurrent(fused=True),
    "gru, as a loop": lambda: recurrent(fused=False),
    "custom op": custom,
    "variable": counter,
    "if": branch,
    "while": loop,
    "planned": planned,
}
