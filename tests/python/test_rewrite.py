# SPDX-License-Identifier: Apache-2.0
"""What is rewritten in ops that TFLM has: which ops it becomes, and that the answers stay equal."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer, schema
from support.interpreters import litert_outputs, tflm_outputs
from tflm_build.passes.canonical import canonicalize
from tflm_build.stages.rewrite import rewrite_model

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
    kinds = {"int32": "int32", "float32": "float32", "bool": "bool"}
    return Tensor(name, values.shape, kinds[str(values.dtype)], data=values)


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


TWICE = [(1, 2, 3), (1, 3, 2), (1, 2, 3), (1, 2, 3)]
CASES = {
    "fold: shapes": flattening(),
    "embedding": embedding(),
    "select float32": select("float32", (3, 2), "SELECT_V2"),
    "select int8": select("int8", (3, 2), "SELECT_V2"),
    "select int16": select("int16", (3, 2), "SELECT_V2"),
    "select int32": select("int32", (3, 2), "CAST LOGICAL_NOT CAST MUL MUL ADD"),
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
    last = len(case.tensors) - 1 if case.ops[-1].outputs[0] == len(case.tensors) - 1 else case.ops[-1].outputs[0]
    return flatbuffer(Model("m", case.tensors, case.ops, tuple(range(case.inputs)), (last,), 0))


def drawn(case: Case) -> list[Any]:
    found = []
    for tensor in case.tensors[: case.inputs]:
        values = GENERATOR.integers(0 if tensor.dtype == "bool" else case.elements[0], case.elements[1], tensor.shape)
        found.append((values > 50 if tensor.dtype == "bool" else values).astype(tensor.dtype))
    return found


@pytest.mark.parametrize("name", CASES)
def test_it_becomes_ops_of_tflm_and_answers_as_before(name: str) -> None:
    case = CASES[name]
    before = canonicalize(made(case))
    rewritten = rewrite_model(before, None, keep_names=False)
    after = rewritten.model
    assert [operator.op for operator in after.graph.operators] == case.becomes.split()
    assert (after is before) == (not rewritten.changes)
    assert not rewritten.notes
    inputs = drawn(case)
    (wanted,), (got,), (tflm,) = (
        litert_outputs(before.flatbuffer, inputs),
        litert_outputs(after.flatbuffer, inputs),
        tflm_outputs(after.flatbuffer, inputs),
    )
    assert wanted.tobytes() == got.tobytes() == tflm.tobytes()
    assert np.unique(wanted).size > 1, "the vectors show nothing"


def test_rewriting_twice_changes_nothing_more() -> None:
    once = rewrite_model(canonicalize(made(CASES["upsampling int8"])), None, keep_names=False)
    assert not rewrite_model(once.model, None, keep_names=False).changes
    assert once.model.flatbuffer == canonicalize(once.model.flatbuffer).flatbuffer
