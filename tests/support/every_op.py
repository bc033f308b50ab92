# SPDX-License-Identifier: Apache-2.0
"""A model of one operator for every op that TFLM runs and for every type that its kernel tells apart, made by hand."""

from typing import Any

import numpy as np

from support.hand_made import Model, Op, Tensor, flatbuffer, schema

__all__ = ["one_operator_models"]

SAME, VALID = 0, 1
STEP = 0.5  # a scale

WEIGHTS = (("float32", "float32", "float32"), ("int8", "int8", "int32"), ("int16", "int8", "int64"))

NOT_INT16 = frozenset(
    "ARG_MAX ARG_MIN BATCH_TO_SPACE_ND DEPTH_TO_SPACE FILL GATHER GATHER_ND MIRROR_PAD REDUCE_MAX REDUCE_MIN "
    "RESIZE_BILINEAR SPACE_TO_BATCH_ND SPACE_TO_DEPTH".split()
)


def words(*values: int) -> np.ndarray[Any, Any]:
    """Return constants that say how, such as axes and sizes."""
    return np.array(values, np.int32)


def numbers(kind: str, *shape: int) -> np.ndarray[Any, Any]:
    """Return weights."""
    if kind == "float32":
        return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)
    return np.random.default_rng(sum(shape)).integers(-100, 100, shape, kind)


def tensor(name: str, what: Any) -> Tensor:
    """Make a constant of an array or (array, scales, axis), an activation of (type, shape); ..., "state": a state."""
    if isinstance(what, np.ndarray):
        quantized = what.dtype.name in {"int8", "int16"}
        return Tensor(name, what.shape, what.dtype.name, STEP if quantized else 0.0, data=what)
    if isinstance(what[0], np.ndarray):
        array, scales, *axis = what
        return Tensor(name, array.shape, array.dtype.name, scales, data=array, axis=axis[0] if axis else 0)
    kind, shape, *rest = what
    return Tensor(name, shape, kind, STEP if kind in {"int8", "int16"} else 0.0, variable=rest == ["state"])


def one(code: str, options: str, inputs: list[Any], outputs: list[Any], /, **settings: Any) -> bytes:
    """Make a model of one operator; its activations are the model's inputs and outputs."""
    given = [tensor(f"input {place}", what) for place, what in enumerate(inputs) if what is not None]
    made = [tensor(f"output {place}", what) for place, what in enumerate(outputs)]
    indices = iter(range(len(given)))
    reads = tuple(-1 if what is None else next(indices) for what in inputs)
    entries = tuple(place for place, one in enumerate(given) if one.data is None and not one.variable)
    results = tuple(range(len(given), len(given) + len(made)))
    return flatbuffer(Model("m", [*given, *made], [Op(code, options, reads, results, settings)], entries, results, 0))


def elementwise() -> dict[str, bytes]:
    models: dict[str, bytes] = {}
    ends: Any
    shape = (1, 3, 5)
    ends = {
        "float32": "ABS CEIL COS ELU EXP FLOOR HARD_SWISH LEAKY_RELU LOG LOGISTIC LOG_SOFTMAX NEG RELU RELU6 ROUND "
        "RSQRT SIN SOFTMAX SQRT SQUARE TANH ZEROS_LIKE L2_NORMALIZATION",
        "int8": "ABS ELU HARD_SWISH LEAKY_RELU LOGISTIC LOG_SOFTMAX RELU RELU6 RSQRT SOFTMAX TANH L2_NORMALIZATION",
        "int16": "ABS LEAKY_RELU LOGISTIC RSQRT SOFTMAX TANH",
    }
    options = {
        "ABS": "Abs", "COS": "Cos", "EXP": "Exp", "HARD_SWISH": "HardSwish", "LEAKY_RELU": "LeakyRelu", "NEG": "Neg",
        "LOG_SOFTMAX": "LogSoftmax", "SOFTMAX": "Softmax", "SQUARE": "Square", "ZEROS_LIKE": "ZerosLike",
        "L2_NORMALIZATION": "L2Norm",
    }  # fmt: skip
    for kind, ops in ends.items():
        for op in ops.split():
            settings = {"SOFTMAX": {"beta": 1.0}, "LEAKY_RELU": {"alpha": 0.1}}.get(op, {})
            out = tensor("y", (kind, shape))
            scale, zero = {
                ("LOGISTIC", "int8"): (1 / 256, -128), ("LOGISTIC", "int16"): (1 / 32768, 0),
                ("TANH", "int8"): (1 / 128, 0), ("TANH", "int16"): (1 / 32768, 0),
                ("SOFTMAX", "int8"): (1 / 256, -128), ("SOFTMAX", "int16"): (1 / 32768, 0),
                ("LOG_SOFTMAX", "int8"): (16 / 256, 127), ("L2_NORMALIZATION", "int8"): (1 / 128, 0),
            }.get((op, kind), (out.scale, 0))  # fmt: skip
            tensors = [tensor("x", (kind, shape)), out._replace(scale=scale, zero_point=zero)]
            name = f"{options[op]}Options" if op in options else ""
            operator = Op(op, name, (0,), (1,), settings)
            models[f"{op} {kind}"] = flatbuffer(Model("m", tensors, [operator], (0,), (1,), 0))
    tensors = [tensor("x", ("int8", shape)), Tensor("y", shape, "int16", 1 / 65536, -32768)]
    operator = Op("SOFTMAX", "SoftmaxOptions", (0,), (1,), {"beta": 1.0})
    models["SOFTMAX int8 to int16"] = flatbuffer(Model("m", tensors, [operator], (0,), (1,), 0))
    return models


def pairs() -> dict[str, bytes]:
    models: dict[str, bytes] = {}
    ends: Any
    shape = (1, 3, 5)
    fused = {"fusedActivationFunction": 0}
    for kinds, ops in {
        "float32 int8 int16 int32": "ADD:AddOptions SUB:SubOptions",
        "float32 int8 int16": "MUL:MulOptions",
        "float32 int8": "DIV:DivOptions MAXIMUM:MaximumMinimumOptions MINIMUM:MaximumMinimumOptions "
        "SQUARED_DIFFERENCE:SquaredDifferenceOptions ADD_N:AddNOptions EQUAL:EqualOptions NOT_EQUAL:NotEqualOptions "
        "GREATER:GreaterOptions GREATER_EQUAL:GreaterEqualOptions LESS:LessOptions LESS_EQUAL:LessEqualOptions PRELU:",
        "float32": "FLOOR_DIV:FloorDivOptions FLOOR_MOD:FloorModOptions",
        "bool": "LOGICAL_AND:LogicalAndOptions LOGICAL_OR:LogicalOrOptions",
    }.items():
        for kind in kinds.split():
            for op, options in (text.split(":") for text in ops.split()):
                settings = fused if op in {"ADD", "SUB", "MUL", "DIV"} else {}
                compares = op in {"EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"}
                right = numbers(kind, 1, 1, 5) if op == "PRELU" else (kind, shape)
                out = ("bool" if compares else kind, shape)
                models[f"{op} {kind}"] = one(op, options, [(kind, shape), right], [out], **settings)
    ends = [("int8", shape), numbers("int8", 5)], [("int8", shape)]
    models["ADD broadcast"] = one("ADD", "AddOptions", *ends, **fused)
    models["LOGICAL_NOT"] = one("LOGICAL_NOT", "LogicalNotOptions", [("bool", shape)], [("bool", shape)])
    select = [("bool", shape), ("float32", shape), ("float32", shape)]
    models["SELECT_V2"] = one("SELECT_V2", "SelectV2Options", select, [("float32", shape)])
    return models


def convolutions() -> dict[str, bytes]:
    models: dict[str, bytes] = {}
    ends: Any
    pair: Any
    size = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1, "fusedActivationFunction": 0}
    pool = {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2, "fusedActivationFunction": 0}
    back = {"strideW": 2, "strideH": 2, "fusedActivationFunction": 0}
    for kind, weights, bias in WEIGHTS:
        scales = (STEP,) * 7 if kind != "float32" else 0.0
        biases = (np.zeros(7, bias), tuple(STEP * STEP for _ in range(7)) if kind != "float32" else 0.0)
        x, y = (kind, (1, 4, 6, 3)), (kind, (1, 4, 6, 7))
        settings = {**size, "padding": SAME}
        for name, ends in {
            "": [x, (numbers(weights, 7, 3, 3, 3), scales), biases],
            " without bias": [x, (numbers(weights, 7, 3, 3, 3), scales)],
            " one by one": [x, (numbers(weights, 7, 1, 1, 3), scales), biases],
        }.items():
            models[f"CONV_2D {kind}{name}"] = one("CONV_2D", "Conv2DOptions", ends, [y], **settings)
        ends = [(kind, (1, 4, 6, 7)), (numbers(weights, 1, 3, 3, 7), scales, 3), biases]
        deep = {**settings, "depthMultiplier": 1}
        models[f"DEPTHWISE_CONV_2D {kind}"] = one("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", ends, [y], **deep)
        ends = [words(1, 8, 12, 7), (numbers(weights, 7, 3, 3, 3), scales), x]
        for name, more in {"": [biases], " without bias": []}.items():
            models[f"TRANSPOSE_CONV {kind}{name}"] = one(
                "TRANSPOSE_CONV", "TransposeConvOptions", [*ends, *more], [(kind, (1, 8, 12, 7))], padding=SAME, **back
            )
        for name, channels in {"": 1, " by channel": 5}.items():
            each = (STEP,) * channels if kind != "float32" else 0.0
            ends = [
                (kind, (2, 9)),
                (numbers(weights, 5, 9), each),
                (np.zeros(5, bias), each and (STEP * STEP,) * channels),
            ]
            models[f"FULLY_CONNECTED {kind}{name}"] = one(
                "FULLY_CONNECTED", "FullyConnectedOptions", ends, [(kind, (2, 5))],
                weightsFormat=0, keepNumDims=False, fusedActivationFunction=0,
            )  # fmt: skip
        for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")[: 3 if kind == "float32" else 2]:
            models[f"{op} {kind}"] = one(op, "Pool2DOptions", [x], [(kind, (1, 2, 3, 3))], padding=VALID, **pool)
        for name, pair in {
            "": [(kind, (2, 3, 4)), (kind, (2, 4, 5))],
            " constant": [(kind, (2, 3, 4)), numbers(kind, 2, 4, 5)],
            " turned": [(kind, (2, 4, 3)), (kind, (2, 5, 4))],
        }.items():
            product = {"adjX": name == " turned", "adjY": name == " turned"}
            models[f"BATCH_MATMUL {kind}{name}"] = one(
                "BATCH_MATMUL", "BatchMatMulOptions", pair, [(kind, (2, 3, 5))], **product
            )
    for op, options, shape, channels in (
        ("CONV_2D", "Conv2DOptions", (7, 3, 3, 3), 3),
        ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", (1, 3, 3, 7), 7),
    ):
        packed = numbers("int8", (7 * 9 * (3 if channels == 3 else 1) + 1) // 2)
        tensors = [
            Tensor("x", (1, 4, 6, channels), "int8", STEP),
            Tensor("w", shape, "int4", (STEP,) * 7, 0, packed, axis=shape.index(7)),
            Tensor("b", (7,), "int32", (STEP * STEP,) * 7, 0, np.zeros(7, np.int32)),
            Tensor("y", (1, 4, 6, 7), "int8", STEP),
        ]
        settings = {**size, "padding": SAME, **({"depthMultiplier": 1} if channels == 7 else {})}
        models[f"{op} int4"] = flatbuffer(
            Model("m", tensors, [Op(op, options, (0, 1, 2), (3,), settings)], (0,), (3,), 0)
        )
    return models


def movers() -> dict[str, bytes]:
    """Make those that move, choose or pad elements, of float32 and of int8."""
    models: dict[str, bytes] = {}
    slices = {"beginMask": 0, "endMask": 0, "ellipsisMask": 0, "newAxisMask": 0, "shrinkAxisMask": 0}
    joined = {"axis": 1, "fusedActivationFunction": 0}
    scale = {"alignCorners": False, "halfPixelCenters": False}
    for kind in ("float32", "int8", "int16"):
        cube, image = (kind, (2, 3, 4)), (kind, (1, 4, 6, 4))
        padded = words(0, 0, 1, 1, 2, 2, 0, 0).reshape(4, 2)
        batches, whole, none = (kind, (4, 2, 3, 1)), (kind, (1, 4, 6, 1)), words(0, 0, 0, 0).reshape(2, 2)
        mirrored = words(1, 1, 2, 2).reshape(2, 2)
        first = words(0, 1, 0), words(2, 3, 4), words(1, 1, 2)
        larger, last = (kind, (1, 8, 12, 4)), words(2).reshape(())
        zero = np.zeros(1, kind)
        rows: dict[str, tuple[str, list[Any], list[Any], dict[str, Any]]] = {
            "BATCH_TO_SPACE_ND": ("BatchToSpaceND", [batches, words(2, 2), none], [whole], {}),
            "BROADCAST_TO": ("BroadcastTo", [(kind, (1, 3, 4)), words(2, 3, 4)], [cube], {}),
            "CONCATENATION": ("Concatenation", [cube, cube, cube], [(kind, (2, 9, 4))], joined),
            "DEPTH_TO_SPACE": ("DepthToSpace", [image], [(kind, (1, 8, 12, 1))], {"blockSize": 2}),
            "DYNAMIC_UPDATE_SLICE": ("DynamicUpdateSlice", [cube, (kind, (1, 2, 2)), words(1, 0, 1)], [cube], {}),
            "EXPAND_DIMS": ("ExpandDims", [cube, words(1)], [(kind, (2, 1, 3, 4))], {}),
            "FILL": ("Fill", [words(2, 3), (kind, ())], [(kind, (2, 3))], {}),
            "GATHER": ("Gather", [cube, words(2, 0)], [(kind, (2, 2, 4))], {"axis": 1, "batchDims": 0}),
            "GATHER_ND": ("GatherNd", [cube, words(1, 2, 0, 1).reshape(2, 2)], [(kind, (2, 4))], {}),
            "MIRROR_PAD": ("MirrorPad", [(kind, (3, 4)), mirrored], [(kind, (5, 8))], {"mode": 0}),
            "PACK": ("Pack", [cube, cube], [(kind, (2, 2, 3, 4))], {"valuesCount": 2, "axis": 0}),
            "PAD": ("Pad", [image, padded], [(kind, (1, 6, 10, 4))], {}),
            "PADV2": ("PadV2", [image, padded, zero], [(kind, (1, 6, 10, 4))], {}),
            "RESHAPE": ("Reshape", [cube, words(6, 4)], [(kind, (6, 4))], {"newShape": [6, 4]}),
            "RESIZE_BILINEAR": ("ResizeBilinear", [image, words(8, 12)], [larger], scale),
            "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighbor", [image, words(8, 12)], [larger], scale),
            "REVERSE_V2": ("ReverseV2", [cube, words(1)], [cube], {}),
            "SHAPE": ("Shape", [cube], [("int32", (3,))], {"outType": 2}),
            "SLICE": ("Slice", [cube, words(0, 1, 1), words(2, 2, 3)], [(kind, (2, 2, 3))], {}),
            "SPACE_TO_BATCH_ND": ("SpaceToBatchND", [whole, words(2, 2), none], [batches], {}),
            "SPACE_TO_DEPTH": ("SpaceToDepth", [image], [(kind, (1, 2, 3, 16))], {"blockSize": 2}),
            "SPLIT": ("Split", [last, cube], [(kind, (2, 3, 2))] * 2, {"numSplits": 2}),
            "SPLIT_V": ("SplitV", [cube, words(1, 3), last], [(kind, (2, 3, 1)), (kind, (2, 3, 3))], {"numSplits": 2}),
            "SQUEEZE": ("Squeeze", [(kind, (2, 1, 4))], [(kind, (2, 4))], {"squeezeDims": [1]}),
            "STRIDED_SLICE": ("StridedSlice", [cube, *first], [(kind, (2, 2, 2))], slices),
            "TRANSPOSE": ("Transpose", [cube, words(2, 0, 1)], [(kind, (4, 2, 3))], {}),
            "UNPACK": ("Unpack", [cube], [(kind, (3, 4))] * 2, {"num": 2, "axis": 0}),
        }  # fmt: skip
        for op in "MEAN SUM REDUCE_MAX REDUCE_MIN".split():
            rows[op] = ("Reducer", [cube, words(1)], [(kind, (2, 4))], {"keepDims": False})
            rows[f"{op} of all"] = ("Reducer", [image, words(1, 2)], [(kind, (1, 4))], {"keepDims": False})
        for op, options in (("ARG_MAX", "ArgMax"), ("ARG_MIN", "ArgMin")):
            rows[op] = (options, [cube, words(1)], [("int32", (2, 4))], {"outputType": 2})
        for name, (options, reads, writes, settings) in rows.items():
            if kind != "int16" or name.split()[0] not in NOT_INT16:
                models[f"{name} {kind}"] = one(name.split()[0], f"{options}Options", reads, writes, **settings)
    cube = ("bool", (2, 3, 4))
    models["REDUCE_ALL"] = one("REDUCE_ALL", "ReducerOptions", [cube, words(1)], [("bool", (2, 4))], keepDims=False)
    models["BROADCAST_ARGS"] = one("BROADCAST_ARGS", "", [("int32", (3,))] * 2, [("int32", (3,))])
    return models


def others() -> dict[str, bytes]:
    """Make what changes types, looks up, sums up or keeps a state."""
    models: dict[str, bytes] = {}
    ends: Any
    shape = (1, 3, 5)
    for pair in ("float32 int8", "float32 int16", "int8 int8", "int16 int8", "int8 int16"):
        before, after = pair.split()
        models[f"QUANTIZE {before} {after}"] = one("QUANTIZE", "QuantizeOptions", [(before, shape)], [(after, shape)])
    for before in ("int8", "int16"):
        ends = [(before, shape)], [("float32", shape)]
        models[f"DEQUANTIZE {before}"] = one("DEQUANTIZE", "DequantizeOptions", *ends)
    models["CAST"] = one("CAST", "CastOptions", [("int8", shape)], [("float32", shape)])
    for kind in ("float32", "int8"):
        ends = [(kind, shape), words(1)], [(kind, shape)]
        models[f"CUMSUM {kind}"] = one("CUMSUM", "CumsumOptions", *ends, exclusive=False, reverse=False)
    table = numbers("int8", 6, 4)
    ends = [("int32", (3,)), (table, (STEP,))], [("float32", (3, 4))]
    models["EMBEDDING_LOOKUP int8"] = one("EMBEDDING_LOOKUP", "", *ends)
    ends = [("int32", (3,)), numbers("float32", 6, 4)], [("float32", (3, 4))]
    models["EMBEDDING_LOOKUP float32"] = one("EMBEDDING_LOOKUP", "", *ends)
    rank = {"rank": 2, "fusedActivationFunction": 0}
    for kind, time in (("float32", "float32"), ("int8", "int16"), ("int8", "int8")):
        bias = "float32" if kind == "float32" else "int32"
        biases = np.zeros(8, bias), 0.25 if kind == "int8" else 0.0
        ends = [(kind, (1, 6)), numbers(kind, 16, 6), numbers(time, 16, 5), biases, (time, (1, 80), "state")]
        models[f"SVDF {kind} {time}"] = one("SVDF", "SVDFOptions", ends, [(kind, (1, 8))], **rank)
    for kind, weights, bias in WEIGHTS:
        cell = {"int8": "int16"}.get(kind, kind)
        gates = [numbers(weights, 3, 2)] * 4 + [numbers(weights, 3, 3)] * 4 + [None] * 3
        ends = [(kind, (1, 4, 2)), *gates, *[np.zeros(3, bias)] * 4, None, None]
        ends += [(kind, (1, 3), "state"), (cell, (1, 3), "state"), *[None] * 4]
        models[f"UNIDIRECTIONAL_SEQUENCE_LSTM {kind}"] = one(
            "UNIDIRECTIONAL_SEQUENCE_LSTM", "UnidirectionalSequenceLSTMOptions", ends, [(kind, (1, 4, 3))],
            fusedActivationFunction=schema.ActivationFunctionType.TANH, timeMajor=False,
        )  # fmt: skip
    return models


def one_operator_models() -> dict[str, bytes]:
    """Return the models by the op's name and what tells one from another of the same op."""
    return {**elementwise(), **pairs(), **convolutions(), **movers(), **others()}
