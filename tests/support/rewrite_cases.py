# SPDX-License-Identifier: Apache-2.0
"""Small models that are rewritten in ops that TFLM has, and what they become."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from support.hand_made import Model, Op, Tensor, flatbuffer, schema

__all__ = ["CASES", "Case", "divided", "made"]

GENERATOR = np.random.default_rng(3)
INT32 = {"outType": schema.TensorType.INT32}


class Case(NamedTuple):
    """A model, the ops that it becomes, and those of the rest of it."""

    tensors: list[Tensor]
    ops: list[Op]
    becomes: str
    inputs: int = 1
    elements: tuple[int, int] = (-100, 100)


def ints(*values: Any) -> Any:
    return np.array(values, np.int32)


def held(name: str, values: Any) -> Tensor:
    return Tensor(name, values.shape, str(values.dtype), data=values)


def floats(*shape: int) -> Tensor:
    return Tensor(f"f{shape}", shape, "float32")


def alone(
    op: str, options: str, source: Tensor, target: Tensor, *others: Tensor, becomes: str, **settings: Any
) -> Case:
    """Make a model of one operator whose input is negated before and whose output is negated behind."""
    tensors = [source, source._replace(name="a"), *others, target._replace(name="b"), target._replace(name="c")]
    last = len(tensors) - 1
    middle = Op(op, options, (1, *range(2, 2 + len(others))), (last - 1,), settings)
    return Case(tensors, [Op("ABS", "", (0,), (1,)), middle, Op("ABS", "", (last - 1,), (last,))], becomes)


def pair(first: Op, second: Op, shapes: Sequence[tuple[int, ...]], *others: Tensor, becomes: str) -> Case:
    tensors = [floats(*shape)._replace(name=f"t{place}") for place, shape in enumerate(shapes)]
    return Case([*tensors, *others], [first, second, Op("ABS", "", (2,), (3,))], becomes)


def quantized(name: str, scale: float = 0.5, zero_point: int = 3) -> Tensor:
    return Tensor(name, (1, 4), "int8", scale, zero_point)


def upsampling(kind: str) -> Case:
    """Make what Keras' UpSampling2D becomes."""
    scale = 0.0 if kind in {"float32", "int32"} else 0.25
    shapes = [(1, 3, 5, 2), (1, 3, 1, 5, 2), (1, 3, 2, 5, 2), (1, 6, 5, 1, 2), (1, 6, 5, 3, 2), (1, 6, 15, 2)]
    tensors = [Tensor(f"t{place}", shape, kind, scale) for place, shape in enumerate(shapes)]
    constants = [ints(*shapes[1]), ints(1, 1, 2, 1, 1), ints(*shapes[3]), ints(1, 1, 1, 3, 1), ints(*shapes[5])]
    tensors += [held(f"c{place}", values) for place, values in enumerate(constants)]
    ops = [
        Op(op, options, (place, 6 + place), (place + 1,))
        for place, (op, options) in enumerate([("RESHAPE", "ReshapeOptions"), ("TILE", "TileOptions")] * 2)
    ]
    becomes = "CONCATENATION RESHAPE CONCATENATION RESHAPE" if kind == "int32" else "RESIZE_NEAREST_NEIGHBOR"
    ops.append(Op("RESHAPE", "ReshapeOptions", (4, 10), (5,)))
    return Case(tensors, ops, f"RESHAPE {becomes}" if kind == "int32" else becomes)


def embedding() -> Case:
    """Make what Keras 3 makes of an index, which may count from the end."""
    tensors = [
        Tensor("x", (1, 6), "int32"), held("zero", ints(0).reshape(())), held("size", ints(20).reshape(())),
        Tensor("negative", (1, 6), "bool"), Tensor("shifted", (1, 6), "int32"), Tensor("index", (1, 6), "int32"),
        held("table", GENERATOR.uniform(-1, 1, (20, 3)).astype("f")), floats(1, 6, 3),
    ]  # fmt: skip
    ops = [
        Op("LESS", "LessOptions", (0, 1), (3,)),
        Op("ADD", "AddOptions", (0, 2), (4,)),
        Op("SELECT", "SelectOptions", (3, 4, 0), (5,)),
        Op("GATHER", "GatherOptions", (6, 5), (7,)),
    ]
    return Case(tensors, ops, "LESS CAST MUL ADD GATHER", elements=(-20, 19))


def select(kind: str, condition: tuple[int, ...], becomes: str) -> Case:
    scale = 0.5 if kind in {"int8", "int16"} else 0.0
    shapes = [Tensor(name, (3, 2), kind, scale) for name in ("a", "b", "y")]
    return Case(
        [Tensor("c", condition, "bool"), *shapes], [Op("SELECT", "SelectOptions", (0, 1, 2), (3,))], becomes, inputs=3
    )


def flattening() -> Case:
    """Make Flatten as a converter writes it whose batch is free; the shape is asked of dequantized numbers."""
    tensors = [
        Tensor("x", (1, 2, 3), "int8", 0.5), floats(1, 2, 3), Tensor("shape", (3,), "int32"), Tensor("n", (), "int32"),
        held("begin", ints(0)), held("end", ints(1)), held("rest", ints(6).reshape(())), Tensor("to", (2,), "int32"),
        Tensor("y", (1, 6), "int8", 0.5),
    ]  # fmt: skip
    ops = [
        Op("DEQUANTIZE", "DequantizeOptions", (0,), (1,)),
        Op("SHAPE", "ShapeOptions", (1,), (2,), INT32),
        Op("STRIDED_SLICE", "StridedSliceOptions", (2, 4, 5, 5), (3,), {"shrinkAxisMask": 1}),
        Op("PACK", "PackOptions", (3, 6), (7,), {"valuesCount": 2, "axis": 0}),
        Op("RESHAPE", "ReshapeOptions", (0, 7), (8,)),
    ]
    return Case(tensors, ops, "RESHAPE")


def reduced(op: str, kind: str, axes: Any, target: tuple[int, ...], becomes: str, scale: float = 0.0) -> Case:
    """Make a reduction; of truth values it asks which numbers are above 90."""
    shape = (8, 3, 4)
    reduce = Op(op, "ReducerOptions", (0, 2), (3,), {"keepDims": len(target) == len(shape)})
    tensors = [Tensor("x", shape, kind, scale), Tensor("a", shape, kind, scale), held("axes", axes)]
    tensors.append(Tensor("y", target, kind, scale))
    if kind != "bool":
        return Case(tensors, [reduce], becomes)
    tensors = [Tensor("x", shape, "int32"), *tensors[1:], held("limit", ints(90))]
    above = Op("GREATER", "GreaterOptions", (0, 4), (1,))
    return Case(tensors, [above, reduce._replace(inputs=(1, 2))], f"GREATER {becomes}")


def gathered(places: Any, becomes: str) -> Case:
    tensors = [
        Tensor("x", (2, 6, 3), "int16", 0.5),
        held("places", places),
        Tensor("y", (2, len(places), 3), "int16", 0.5),
    ]
    return Case(tensors, [Op("GATHER", "GatherOptions", (0, 1), (2,), {"axis": 1})], becomes)


def sliced(begin: Any, end: Any, target: tuple[int, ...], becomes: str, **settings: Any) -> Case:
    """Take a part of a tensor of five axes."""
    ones = held("by", np.ones(5, np.int32))
    tensors = [floats(1, 4, 3, 4, 2), floats(*target)._replace(name="y"), held("from", begin), held("to", end), ones]
    return Case(tensors, [Op("STRIDED_SLICE", "StridedSliceOptions", (0, 2, 3, 4), (1,), settings)], becomes)


TWICE = [(1, 2, 3), (1, 3, 2), (1, 2, 3), (1, 2, 3)]


def unpacked_truths() -> Case:
    """Make what Keras does with the mask of a sequence; nobody asks for the truth in the middle."""
    tensors = [Tensor("x", (2, 3), "float32"), held("zero", np.zeros(1, np.float32)), Tensor("a", (2, 3), "bool")]
    tensors += [Tensor(name, (2,), "bool") for name in "bcde"]
    unpack = Op("UNPACK", "UnpackOptions", (2,), (3, 4, 5), {"axis": -1, "num": 3})
    operators = [Op("GREATER", "", (0, 1), (2,)), unpack, Op("LOGICAL_AND", "", (3, 5), (6,))]
    return Case(tensors, operators, "GREATER SLICE RESHAPE SLICE RESHAPE LOGICAL_AND")


def divided(op: str, parts: int) -> bytes:
    """Make a model that divides (2, 6) into three, and adds the first ones.

    Args:
        op: SPLIT, SPLIT_V or UNPACK.
        parts: that somebody reads: 2 or 3.
    """
    source = Tensor("x", (2, 6) if op != "UNPACK" else (2, 3, 2), "float32")
    axis, sizes = held("axis", np.array(1, np.int32)), held("sizes", ints(2, 2, 2))
    tensors = [source, axis, sizes, *(Tensor(name, (2, 2), "float32") for name in "abcde")]
    inputs = {"SPLIT": (1, 0), "SPLIT_V": (0, 2, 1), "UNPACK": (0,)}[op]
    settings = {"axis": 1, "num": 3} if op == "UNPACK" else {"numSplits": 3}
    options = {"SPLIT": "SplitOptions", "SPLIT_V": "SplitVOptions", "UNPACK": "UnpackOptions"}[op]
    operators = [Op(op, options, inputs, (3, 4, 5), settings), Op("ADD", "AddOptions", (3, 5), (6,))]
    operators += [Op("ADD", "AddOptions", (6, 4), (7,))] if parts == 3 else []
    return flatbuffer(Model("m", tensors, operators, (0,), operators[-1].outputs, 0))


CASES = {
    "fold: shapes": flattening(),
    "fold: float16 weights": Case(
        [floats(1, 4), held("w16", GENERATOR.uniform(-1, 1, (3, 4)).astype("e")), floats(3, 4), floats(1, 3)],
        [
            Op("DEQUANTIZE", "DequantizeOptions", (1,), (2,)),
            Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 2, -1), (3,)),
        ],
        "FULLY_CONNECTED",
    ),
    "fold: a large constant stays an operator": Case(
        [floats(1, 400), held("size", ints(1, 400)), held("value", np.ones((), "f")), floats(1, 400), floats(1, 400)],
        [Op("FILL", "FillOptions", (1, 2), (3,)), Op("ADD", "AddOptions", (0, 3), (4,))],
        "FILL ADD",
    ),
    "embedding": embedding(),
    "select int32, broadcast": Case(
        [Tensor("c", (2, 1), "bool"), Tensor("a", (1,), "int32"), Tensor("b", (2, 30), "int32"),
         Tensor("y", (2, 30), "int32")],
        [Op("SELECT_V2", "SelectV2Options", (0, 1, 2), (3,))], "CAST LOGICAL_NOT CAST MUL MUL ADD", inputs=3,
    ),
    "select by what is constant": Case(
        [floats(2, 3), held("all", np.ones((2, 3), "?")), held("zeros", np.zeros((2, 3), "f")),
         floats(2, 3)._replace(name="h"), floats(2, 3)._replace(name="y")],
        [Op("SELECT", "SelectOptions", (1, 0, 2), (3,)), Op("ABS", "", (3,), (4,))], "ABS",
    ),
    "select rows by what is constant": Case(
        [floats(2, 3), held("rows", np.array([True, False])), held("zeros", np.zeros((2, 3), "f")),
         floats(2, 3)._replace(name="y")],
        [Op("SELECT", "SelectOptions", (1, 0, 2), (3,))], "SELECT_V2",
    ),
    "select float32": select("float32", (3, 2), "SELECT_V2"),
    "select int8": select("int8", (3, 2), "SELECT_V2"),
    "select int16": select("int16", (3, 2), "SELECT_V2"),
    "select int32": select("int32", (3, 2), "CAST LOGICAL_NOT CAST MUL MUL ADD"),
    "unpack truths": unpacked_truths(),
    "select rows": select("float32", (3,), "RESHAPE SELECT_V2"),
    "upsampling float32": upsampling("float32"),
    "upsampling int8": upsampling("int8"),
    "upsampling int16": upsampling("int16"),
    "upsampling int32": upsampling("int32"),
    "tile both ways": alone(
        "TILE", "TileOptions", floats(2, 3), floats(4, 9), held("n", ints(2, 3)),
        becomes="ABS CONCATENATION CONCATENATION ABS",
    ),
    "tile many times": alone(
        "TILE", "TileOptions", floats(2, 3), floats(24, 3), held("n", ints(12, 1)),
        becomes="ABS RESHAPE RESIZE_NEAREST_NEIGHBOR RESHAPE ABS",
    ),
    "any": reduced("REDUCE_ANY", "bool", ints(1, 2), (8,), "LOGICAL_NOT REDUCE_ALL LOGICAL_NOT"),
    "any, axes kept": reduced("REDUCE_ANY", "bool", ints(2, 1), (8, 1, 1), "LOGICAL_NOT REDUCE_ALL LOGICAL_NOT"),
    "largest int16": reduced("REDUCE_MAX", "int16", ints(1, 2), (8,), "RESHAPE MAX_POOL_2D RESHAPE", 0.5),
    "largest int16, kept": reduced("REDUCE_MAX", "int16", ints(-1, 1), (8, 1, 1), "RESHAPE MAX_POOL_2D RESHAPE", 0.5),
    "largest int8": reduced("REDUCE_MAX", "int8", ints(1, 2), (8,), "REDUCE_MAX", 0.5),
    "gather": gathered(ints(0, 1, 4, 3), "SLICE SLICE SLICE CONCATENATION"),
    "gather a row": gathered(ints(2, 3, 4), "SLICE"),
    "slice five axes": sliced(ints(0, 1, 0, -3, 0), ints(0, 3, 0, -1, 0), (1, 2, 3, 2, 2), "SLICE",
                              beginMask=21, endMask=21),
    "slice an axis away": sliced(ints(0, 1, 0, 0, 0), ints(0, 2, 0, 0, 0), (1, 3, 4, 2), "SLICE RESHAPE",
                                 beginMask=29, endMask=29, shrinkAxisMask=2),
    "bucketize": Case(
        [floats(2, 30), Tensor("y", (2, 30), "int32")],
        [Op("BUCKETIZE", "BucketizeOptions", (0,), (1,), {"boundaries": [-50.0, 0.0, 7.0, 40.0]})],
        "RESHAPE GREATER_EQUAL CAST SUM CAST",
    ),
    "one hot": Case(
        [Tensor("x", (2, 5), "int32"), held("depth", ints(4).reshape(())), held("on", np.ones((), "f")),
         held("off", np.zeros((), "f")), floats(2, 5, 4)],
        [Op("ONE_HOT", "OneHotOptions", (0, 1, 2, 3), (4,), {"axis": -1})], "RESHAPE EQUAL CAST", elements=(-1, 5),
    ),
    "hard tanh float32": Case(
        [floats(2, 30), floats(2, 30)._replace(name="y")], [Op("RELU_N1_TO_1", "", (0,), (1,))], "MAXIMUM MINIMUM",
        elements=(-2, 3),
    ),
    "hard tanh int8": Case(
        [quantized("x", 0.1), quantized("y", 0.1)], [Op("RELU_N1_TO_1", "", (0,), (1,))], "MAXIMUM MINIMUM",
    ),
    "to 0 and 1 int8": Case(
        [quantized("x", 0.01), quantized("y", 0.01)], [Op("RELU_0_TO_1", "", (0,), (1,))], "MAXIMUM MINIMUM",
    ),
    "reshape": alone(
        "RESHAPE", "ReshapeOptions", floats(2, 3), floats(2, 3), held("to", ints(2, 3)), becomes="ABS ABS"
    ),
    "pad": alone(
        "PAD", "PadOptions", floats(2, 3), floats(2, 3), held("by", ints((0, 0), (0, 0))), becomes="ABS ABS"
    ),
    "pad one, cut one": alone(
        "PAD", "PadOptions", floats(2, 3), floats(2, 4), held("by", ints((0, 0), (1, 0))), becomes="ABS PAD ABS"
    ),
    "times one": alone(
        "MUL", "MulOptions", floats(2, 3), floats(2, 3), held("one", np.ones(3, "f")), becomes="ABS ABS"
    ),
    "times one, clipped": alone(
        "MUL", "MulOptions", floats(9, 3), floats(9, 3), held("one", np.ones(3, "f")), becomes="ABS MUL ABS",
        fusedActivationFunction=schema.ActivationFunctionType.RELU6,
    )._replace(elements=(-9, 9)),
    "times two": alone(
        "MUL", "MulOptions", floats(2, 3), floats(2, 3), held("two", np.full(3, 2, "f")), becomes="ABS MUL ABS"
    ),
    "transpose nothing": alone(
        "TRANSPOSE", "TransposeOptions", floats(2, 3), floats(2, 3), held("order", ints(0, 1)), becomes="ABS ABS"
    ),
    "transpose ones": alone(
        "TRANSPOSE", "TransposeOptions", floats(1, 2, 3), floats(2, 1, 3), held("order", ints(1, 0, 2)),
        becomes="ABS RESHAPE ABS",
    ),
    "transpose": alone(
        "TRANSPOSE", "TransposeOptions", floats(2, 3), floats(3, 2), held("order", ints(1, 0)),
        becomes="ABS TRANSPOSE ABS",
    ),
    "slice backwards": alone(
        "STRIDED_SLICE", "StridedSliceOptions", floats(2, 3), floats(2, 3), held("from", ints(0, -1)),
        held("to", ints(0, 0)), held("by", ints(1, -1)), becomes="ABS STRIDED_SLICE ABS",
        beginMask=1, endMask=3,
    ),
    "transpose and back": pair(
        Op("TRANSPOSE", "TransposeOptions", (0, 4), (1,)), Op("TRANSPOSE", "TransposeOptions", (1, 4), (2,)),
        TWICE, held("order", ints(0, 2, 1)), becomes="ABS",
    ),
    "reshape and back": pair(
        Op("RESHAPE", "ReshapeOptions", (0, 4), (1,)), Op("RESHAPE", "ReshapeOptions", (1, 5), (2,)),
        TWICE, held("one", ints(1, 3, 2)), held("other", ints(1, 2, 3)), becomes="ABS",
    ),
    "dequantize and back": Case(
        [quantized("x"), floats(1, 4), quantized("q"), quantized("y", 0.25)],
        [
            Op("DEQUANTIZE", "DequantizeOptions", (0,), (1,)),
            Op("QUANTIZE", "QuantizeOptions", (1,), (2,)),
            Op("QUANTIZE", "QuantizeOptions", (2,), (3,)),
        ],
        "QUANTIZE",
    ),
    "to other scales": Case(
        [quantized("x"), quantized("q", 0.25), quantized("y", 0.25, 5)],
        [Op("QUANTIZE", "QuantizeOptions", (0,), (1,)), Op("QUANTIZE", "QuantizeOptions", (1,), (2,))],
        "QUANTIZE QUANTIZE",
    ),
}  # fmt: skip


def made(case: Case) -> bytes:
    return flatbuffer(Model("m", case.tensors, case.ops, tuple(range(case.inputs)), case.ops[-1].outputs, 0))
