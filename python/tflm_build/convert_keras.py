# SPDX-License-Identifier: Apache-2.0
"""Turn a Keras model into a flatbuffer, in a child process: the only place that imports TensorFlow."""

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tflm_build.errors import TflmBuildError
from tflm_build.golden import choose_samples
from tflm_build.samples import Bound, Samples, bind

__all__ = ["run"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Input:
    """An input of a Keras model, at batch 1."""

    name: str
    shape: tuple[int, ...]
    dtype: str


_ANY_SIZE: Final = "fix every size but the batch in the model's Input layer"


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Load a Keras model, convert it at batch 1, quantize it, and let the float model answer the golden inputs.

    Args:
        request: `path`, `quantize` and `io_type` as in options.py, and the messages of Samples.

    Returns:
        `flatbuffer`; `inputs` and `outputs`: names in the order of the next two; `golden_inputs`: per input an array
        (vectors, *shape) of float32; `golden_outputs`: what the float model answers; `versions` of the tools used;
        `notes` for the user; `calibration_samples`: their number.
    """
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        msg = f"a Keras source needs TensorFlow; got: {error}; pip install 'tflm-build[tensorflow-cpu]'"
        raise TflmBuildError(msg) from error
    tf.config.threading.set_intra_op_parallelism_threads(1)  # sums in one order, on any number of cores
    tf.config.threading.set_inter_op_parallelism_threads(1)

    model, inputs = _load(keras, request["path"])
    bound = {option: _bind(request, option, inputs) for option in ("CALIBRATION", "TEST_DATA")}
    test_data = bound["TEST_DATA"] or bound["CALIBRATION"]
    golden = None if test_data is None else choose_samples(test_data)
    answer: dict[str, Any] = {
        "flatbuffer": _convert(tf, model, request, bound["CALIBRATION"], inputs),
        "inputs": [spec.name for spec in inputs],
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "notes": [note for data in bound.values() if data is not None for note in data.notes],
        "calibration_samples": 0 if bound["CALIBRATION"] is None else len(bound["CALIBRATION"].arrays[0]),
    }
    if golden is not None:
        answer["golden_inputs"] = golden
        answer["outputs"], answer["golden_outputs"] = _predict(model, golden)
    return answer


def _load(keras: Any, path: str) -> tuple[Any, list[_Input]]:
    """Load a model without running code that lies in the file, and give it inputs of batch 1."""
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        reason = f"{type(error).__name__}: {first}"
        msg = f"SRC is not a model that Keras {keras.__version__} can load: {reason}; save it again"
        raise TflmBuildError(msg) from error
    inputs = []
    for tensor in model.inputs:
        shape = (1, *tensor.shape[1:])
        if None in shape:
            msg = f"input '{tensor.name}' has shape {tuple(tensor.shape)}; TFLM needs fixed sizes; {_ANY_SIZE}"
            raise TflmBuildError(msg)
        inputs.append(_Input(tensor.name, shape, str(tensor.dtype)))
    layers = [keras.Input(batch_shape=spec.shape, dtype=spec.dtype, name=spec.name) for spec in inputs]
    return keras.Model(layers, model(layers[0] if len(layers) == 1 else layers)), inputs


def _bind(request: dict[str, Any], option: str, inputs: list[_Input]) -> Bound | None:
    """Bind one option's data to the inputs, in their types; None where none was given."""
    samples = Samples.from_message(request, option)
    if samples is None:
        return None
    bound = bind(samples, inputs)
    return Bound(tuple(array.astype(spec.dtype) for array, spec in zip(bound.arrays, inputs, strict=True)), bound.notes)


def _predict(model: Any, golden: list[Array]) -> tuple[list[str], list[Array]]:
    """Let the float model answer, vector by vector: the names that the converter gives its outputs, and the outputs."""
    answers: dict[str, list[Array]] = {}
    for vector in zip(*golden, strict=True):
        outputs = model(vector[0] if len(vector) == 1 else list(vector), training=False)
        if not isinstance(outputs, dict):
            outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
            outputs = {f"output_{index}": output for index, output in enumerate(outputs)}
        for name, output in outputs.items():
            answers.setdefault(name, []).append(np.asarray(output))
    return list(answers), [np.stack(column) for column in answers.values()]


def _convert(
    tf: Any,
    model: Any,
    request: dict[str, Any],
    calibration: Bound | None,
    inputs: list[_Input],
) -> bytes:
    """Convert with TensorFlow's converter; with calibration data, to integers only."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    quantize = request["quantize"]
    if quantize != "none" and calibration is not None:
        names = [spec.name for spec in inputs]
        arrays = calibration.arrays
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            {name: array[index : index + 1] for name, array in zip(names, arrays, strict=True)}
            for index in range(len(arrays[0]))
        )
        if quantize == "int8":
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        else:
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]
        if request["io_type"] == "auto":
            integer = tf.int8 if quantize == "int8" else tf.int16
            converter.inference_input_type = converter.inference_output_type = integer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bytes(converter.convert())
    except Exception as error:
        lines = [line for line in str(error).strip().splitlines() if line.strip()] or ["no reason given"]
        reason = next((line for line in lines if "error:" in line), lines[0])
        msg = f"TensorFlow cannot convert this model: {reason}; replace that layer by ops that TFLite has"
        raise TflmBuildError(msg) from error
