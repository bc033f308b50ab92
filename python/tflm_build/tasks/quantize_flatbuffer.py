# SPDX-License-Identifier: Apache-2.0
"""Quantize a float flatbuffer with ai-edge-quantizer, in a child process: TensorFlow is not needed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError, first_line
from tflm_build.model.flatbuffer import indices, load, schema, store
from tflm_build.passes.bias_range import hold_biases
from tflm_build.passes.repair import repair
from tflm_build.passes.unnamed import drop_unnamed

__all__ = ["run"]

_KEY = "serving_default"


def run(request: dict[str, Any], narrow: Callable[[Any, Any], None] | None = None) -> dict[str, Any]:
    """Calibrate with the true minimum and maximum of every tensor, and quantize to integers only.

    Args:
        request: `flatbuffer`: a float32 model; `quantize`, `io_type` and `dense_scales` as in options.py; `names`
            of the inputs, and `calibration`: per input an array (samples, *shape) in the input's type.
        narrow: what a benchmark adds to the recipe; it is given the manager of recipes and the quantizer's types.

    Returns:
        `flatbuffer`; `float_flatbuffer`: the model with the names that it has; and `versions` of the tools used.

    Raises:
        TflmBuildError: the quantizer is not installed, or refuses the model.
    """
    try:
        from importlib.metadata import version

        from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
        from ai_edge_quantizer.utils import qsv_utils
    except ImportError as error:
        msg = f"quantizing a .tflite needs ai-edge-quantizer; got: {error}; pip install 'tflm-build[quantizer]'"
        raise TflmBuildError(msg) from error
    named = _named(request["flatbuffer"], request["names"])
    # A list, not a generator: the calibrator goes over the samples twice.
    samples = [dict(zip(request["names"], vector, strict=True)) for vector in zip(*request["calibration"], strict=True)]
    try:
        manager = recipe_manager.RecipeManager()
        _say_how(manager, qtyping, request)
        if narrow is not None:
            narrow(manager, qtyping)
        work = quantizer.Quantizer(bytearray(named), manager.get_quantization_recipe())
        # Its own calibrate() follows a moving average, which forgets the extremes.
        statistics = calibrator.Calibrator(named, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
        statistics.calibrate({_KEY: samples}, work._recipe_manager)  # noqa: SLF001 - only calibrate() would pass it
        result = work.quantize(statistics.get_model_qsvs(), enable_progress_bar=False, enable_progress_report=False)
    except Exception as error:
        msg = f"ai-edge-quantizer cannot quantize this model: {first_line(error)}; pass the Keras model"
        raise TflmBuildError(msg) from error
    model = load(bytes(result.quantized_model))
    hold_biases(model, _constants(load(named)))
    if request["io_type"] == "auto":
        _integer_ends(model)
    return {
        "flatbuffer": store(model),
        "float_flatbuffer": named,
        "versions": {"ai-edge-quantizer": version("ai-edge-quantizer")},
    }


def _say_how(manager: Any, qtyping: Any, request: dict[str, Any]) -> None:
    """Tell the quantizer's manager of recipes: all to integers, weights by channel but where one scale is asked for."""
    everything, dense = qtyping.TFLOperationName.ALL_SUPPORTED, qtyping.TFLOperationName.FULLY_CONNECTED
    bits = {"activation_num_bits": {"int8": 8, "int16x8": 16}[request["quantize"]], "weight_num_bits": 8}
    manager.add_static_config(".*", everything, **bits)
    if request["dense_scales"] == "tensor":
        manager.add_static_config(".*", dense, **bits, weight_granularity=qtyping.QuantGranularity.TENSORWISE)


def _named(flatbuffer: bytes, names: list[str]) -> bytes:
    """Give the model one signature and every tensor a name of its own: the calibrator keeps its books by them."""
    model = load(flatbuffer)
    repair(model)
    drop_unnamed(model)
    main = model.subgraphs[0]
    taken: set[bytes] = set()
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            name = given = tensor.name or b"tensor"
            number = len(taken)
            while name in taken:
                name, number = b"%s_%d" % (given, number), number + 1
            tensor.name = name
            taken.add(name)

    def maps(indices: Any, labels: list[str]) -> list[Any]:
        return [
            schema.TensorMapT(name=label, tensorIndex=int(index)) for label, index in zip(labels, indices, strict=True)
        ]

    outputs = [f"output_{index}" for index in range(len(main.outputs))]
    model.signatureDefs = [
        schema.SignatureDefT(
            inputs=maps(main.inputs, names), outputs=maps(main.outputs, outputs), signatureKey=_KEY, subgraphIndex=0
        )
    ]
    return store(model)


def _constants(model: Any) -> dict[bytes, Array]:
    """Return the real numbers that a float model holds, by the names of the tensors."""
    found = {}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            data = model.buffers[tensor.buffer].data
            if tensor.type == schema.TensorType.FLOAT32 and data is not None and len(data):
                found[tensor.name] = np.frombuffer(bytes(data), "<f4").reshape(indices(tensor.shape))
    return found


def _integer_ends(model: Any) -> None:
    """Take off, in place, the QUANTIZE at each float input and the DEQUANTIZE at each float output."""
    main = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    kept = []
    inputs, outputs = [int(index) for index in main.inputs], [int(index) for index in main.outputs]
    for operator in main.operators:
        source, target = int(operator.inputs[0]), int(operator.outputs[0])
        readers = sum(source in other.inputs for other in main.operators)
        if codes[operator.opcodeIndex] == schema.BuiltinOperator.QUANTIZE and source in inputs and readers == 1:
            inputs[inputs.index(source)] = target
        elif codes[operator.opcodeIndex] == schema.BuiltinOperator.DEQUANTIZE and target in outputs:
            outputs = [source if end == target else end for end in outputs]
            if any(target in other.inputs for other in main.operators):
                kept.append(operator)
        else:
            kept.append(operator)
    main.operators = kept
    main.inputs, main.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
