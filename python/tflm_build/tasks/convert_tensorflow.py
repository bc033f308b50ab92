# SPDX-License-Identifier: Apache-2.0
"""Turn a model of TensorFlow into a flatbuffer, in a child process: the only place that imports TensorFlow."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError, first_line
from tflm_build.model.flatbuffer import load
from tflm_build.passes.rescale import rescale
from tflm_build.passes.splice import Place, splice
from tflm_build.source.samples import Bound, Samples, bind, choose, describe
from tflm_build.tasks.call_function import imported_files
from tflm_build.tasks.load_model import Input, Loaded, load_model
from tflm_build.tasks.recurrent import name_of_write

__all__ = ["run"]

_LOOPS: Final = frozenset({"While", "StatelessWhile"})


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Load a model, convert it at batch 1, quantize it, and let the float model answer the samples.

    Args:
        request: `kind` and `path` of the source; `paths` and `copy.N` of its files, as they were judged;
            `quantize`, `io_type` and `unsafe_deserialize` as in options.py; the messages of Samples.

    Returns:
        `flatbuffer`; `float_flatbuffer`: what it was quantized from, where that is known; `inputs` and `outputs`: names
        in the order of the flatbuffer; `samples`: per input an array (samples, *shape), and `float_outputs`: what the
        float model answers; `labels` if the test data has some;
        `versions` of the tools used; `notes` for the user; `calibration`: what the calibration data is like; `files`
        that a function imported from its own folder.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        msg = f"this source needs TensorFlow; got: {error}; pip install 'tflm-build[tensorflow-cpu]'"
        raise TflmBuildError(msg) from error
    tf.config.threading.set_intra_op_parallelism_threads(1)  # sums in one order, on any number of cores
    tf.config.threading.set_inter_op_parallelism_threads(1)

    path = _write_copy(request) or request["path"]
    model = load_model(request["kind"], path, unsafe=request["unsafe_deserialize"])
    calibration = _bind(request, "CALIBRATION", model.inputs)
    test_data = _bind(request, "TEST_DATA", model.inputs)
    notes = [*model.notes, *(note for data in (calibration, test_data) if data is not None for note in data.notes)]
    converted = _convert(tf, model, request, calibration)
    inputs, outputs = converted.inputs, converted.outputs
    answer: dict[str, Any] = {
        "flatbuffer": converted.flatbuffer,
        "inputs": [model.inputs[place].name for place in inputs],
        "outputs": [model.outputs[place] for place in outputs],
        "versions": {"tensorflow": tf.__version__, **model.versions},
        "notes": notes,
        "calibration": None if calibration is None else describe(calibration, model.inputs),
    }
    if converted.float_flatbuffer is not None:
        answer["float_flatbuffer"] = converted.float_flatbuffer
    if request["kind"] == "function":
        answer["files"] = imported_files(Path(request["path"]).parent)
    chosen = choose(test_data, calibration)
    if chosen is not None:
        answer["samples"] = [chosen.arrays[place] for place in inputs]
        predicted = _predict(model, chosen.arrays)
        answer["float_outputs"] = [predicted[place] for place in outputs]
        if chosen.labels is not None:
            answer["labels"] = [chosen.labels]
    return answer


def _write_copy(request: dict[str, Any]) -> str:
    """Write the files of a source into this process's folder; return where; nothing for a function."""
    folder = Path.cwd() / "source"
    paths = [folder / name for name in request.get("paths", ())]
    for index, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(request[f"copy.{index}"])
    if not paths:
        return ""
    return str(folder if request["kind"] == "saved_model" else paths[0])


def _bind(request: dict[str, Any], option: str, inputs: Sequence[Input]) -> Bound | None:
    """Bind one option's data to the inputs, in their types; None where none was given."""
    samples = Samples.from_message(request, option)
    if samples is None:
        return None
    bound = bind(samples, inputs)
    arrays = tuple(array.astype(spec.dtype) for array, spec in zip(bound.arrays, inputs, strict=True))
    return Bound(arrays, bound.labels, bound.notes)


def _predict(model: Loaded, samples: Sequence[Array]) -> list[Array]:
    """Let the float model answer, sample by sample: per output an array (samples, *shape)."""
    import tensorflow as tf

    rows = []
    for vector in zip(*samples, strict=True):
        inputs = (tf.constant(value.reshape(spec.shape)) for value, spec in zip(vector, model.inputs, strict=True))
        outputs = model.function(*inputs)
        rows.append([np.asarray(output) for output in tf.nest.flatten(outputs)])
    return [np.stack(column) for column in zip(*rows, strict=True)]


@dataclass(frozen=True)
class _Converted:
    """What TensorFlow's converter made.

    Attributes:
        flatbuffer: the model; float_flatbuffer: what it was quantized from, None where that is not known.
        inputs, outputs: which of the source's inputs and outputs stand where in it.
    """

    flatbuffer: bytes
    float_flatbuffer: bytes | None
    inputs: list[int]
    outputs: list[int]


def _convert(tf: Any, model: Loaded, request: dict[str, Any], calibration: Bound | None) -> _Converted:
    """Convert with TensorFlow's converter, with calibration data to integers only, and put in what was cut out."""
    quantized = request["quantize"] != "none" and calibration is not None
    arrays = calibration.arrays if quantized and calibration is not None else None
    shapes = [spec.shape for spec in model.inputs]
    if model.cut is None:
        flatbuffer, before = _convert_function(tf, model.converted, request, arrays, shapes)
        return _Converted(flatbuffer, before, *_flatbuffer_order(flatbuffer, model, 0))
    layers = list(model.cut.layers)
    count = len(layers)
    if arrays is not None:
        written, layers = model.cut.follow(arrays, shapes)
        arrays = (*arrays, *written)
        shapes += [array.shape[1:] for array in written]
    flatbuffer, before = _convert_function(tf, model.cut.function, request, arrays, shapes)
    ends = [_flatbuffer_order(each, model, count) for each in (flatbuffer, before) if each is not None]
    spliced = [
        splice(
            each,
            layers,
            [
                Place(inputs.index(len(model.inputs) + place), outputs.index(len(model.outputs) + place))
                for place in range(count)
            ],
        )
        for each, (inputs, outputs) in zip((flatbuffer, before), ends, strict=False)
        if each is not None
    ]
    inputs, outputs = ends[0]
    return _Converted(
        spliced[0],
        None if before is None else spliced[1],
        [place for place in inputs if place < len(model.inputs)],
        [place for place in outputs if place < len(model.outputs)],
    )


def _convert_function(
    tf: Any,
    function: Any,
    request: dict[str, Any],
    calibration: Sequence[Array] | None,
    shapes: Sequence[tuple[int, ...]],
) -> tuple[bytes, bytes | None]:
    """Convert a concrete function.

    Returns:
        The model; and the float model that the converter quantized.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    kept: list[bytes] = []
    quantize = request["quantize"]
    if calibration is not None:
        _refuse_loops(function)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [value.reshape(shape) for value, shape in zip(vector, shapes, strict=True)]
            for vector in zip(*calibration, strict=True)
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
        _keep_float_model(converter, kept)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return rescale(bytes(converter.convert())), kept[-1] if kept else None
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if "error:" in line), first_line(error))
        msg = f"TensorFlow cannot convert this model: {reason}; replace that layer by ops that TFLite has"
        raise TflmBuildError(msg) from error


def _keep_float_model(converter: Any, kept: list[bytes]) -> None:
    """Let a converter hand out the float model that it makes on the way: making it again would take as long.

    The step has no public name. A TensorFlow that has another one hands out nothing.
    """
    quantize = getattr(converter, "_quantize", None)
    if quantize is None:
        return

    def keep_and_quantize(model: Any, *arguments: Any, **keywords: Any) -> Any:
        kept.append(bytes(model))
        return quantize(model, *arguments, **keywords)

    converter._quantize = keep_and_quantize  # noqa: SLF001


def _refuse_loops(function: Any) -> None:
    """Refuse what kills TensorFlow's calibrator, by name."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    loop = next((node.name for node in nodes if node.op in _LOOPS), None)
    if loop is not None:
        msg = (
            f"TensorFlow cannot calibrate the loop '{loop}', as LSTM and GRU layers make it; pass the Keras model, "
            "whose layers become operators of TFLM here, or set unroll=True in the layer"
        )
        raise TflmBuildError(msg)


def _flatbuffer_order(flatbuffer: bytes, model: Loaded, cuts: int) -> tuple[list[int], list[int]]:
    """Return which of the model's inputs and outputs stand where in the flatbuffer; the converter is free to choose.

    It names inputs as the function does, and outputs Identity, Identity_1 and so on in the function's order. Behind
    those of the model are the ends of what was cut out.
    """
    main = load(flatbuffer).subgraphs[0]
    outputs = ["Identity" if index == 0 else f"Identity_{index}" for index in range(len(model.outputs) + cuts)]
    return (
        _order(main, main.inputs, [*(spec.name for spec in model.inputs), *map(name_of_write, range(cuts))]),
        _order(main, main.outputs, outputs),
    )


def _order(main: Any, indices: Any, names: Sequence[str]) -> list[int]:
    """Return the place of each of a subgraph's tensors in a list of names."""
    found = [bytes(main.tensors[index].name or b"").decode().split(":")[0] for index in indices]
    found = [name.removeprefix("serving_default_") for name in found]
    if len(found) == len(names) == 1:
        return [0]
    if sorted(found) != sorted(names):
        msg = (
            f"the converter names the tensors {', '.join(found)}, the model {', '.join(names)}; give the model's "
            "inputs names of letters, digits and _, each its own"
        )
        raise TflmBuildError(msg)
    return [names.index(name) for name in found]
