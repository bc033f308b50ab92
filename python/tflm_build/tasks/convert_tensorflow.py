# SPDX-License-Identifier: Apache-2.0
"""Turn a model of TensorFlow into a flatbuffer, in a child process: the only place that imports TensorFlow."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError, first_line
from tflm_build.model.change import Change
from tflm_build.model.flatbuffer import load
from tflm_build.model.workload import model_macs
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.rescale import rescale
from tflm_build.passes.rewrite import spell_for_quantizer
from tflm_build.passes.splice import Place, splice
from tflm_build.passes.steady import put_in_order
from tflm_build.source.samples import Bound, Samples, bind, choose, choose_to_fit, describe
from tflm_build.tasks.call_source import call_source
from tflm_build.tasks.load_model import Input, Loaded, load_model
from tflm_build.tasks.recurrent import name_of_write

__all__ = ["run"]

_LOOPS: Final = frozenset({"While", "StatelessWhile"})
_KEEPING: Final = ("Assign", "ResourceScatter")  # how names begin of ops that write into a variable
_SIGNATURE: Final = "serving_default"


class _Kept(NamedTuple):
    """The float model that is quantized: as the converter wrote it, and as the quantizer gets it."""

    flatbuffer: bytes
    spelled: bytes
    changes: tuple[Change, ...]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Load a model, convert it at batch 1, quantize it, and let the float model answer the samples.

    Args:
        request: `kind` and `path` of the source; `paths` and `copy.N` of its files, as they were judged;
            `quantize`, `io_type`, `dense_scales` and `unsafe_deserialize` as in options.py; `spell`: whether the
            quantizer may be given other ops than the converter wrote; `fit`: whether weights will be fitted; the
            messages of Samples.

    Returns:
        `flatbuffer`; `float_flatbuffer`: what it was quantized from, where that is known; `unspelled`: what that was
        before it was spelled for the quantizer, and `changes`: [kind, layer, before, after] of each; `inputs` and
        `outputs`: names in the order of the flatbuffer; `samples`: per input an array (samples, *shape), and
        `float_outputs`: what the float model answers; `fitted`: the samples to fit weights to; `labels` if the test
        data has some; `versions` of the tools used; `notes` for the user; `calibration`: what the calibration data is
        like; `files` of its own folder that a function imported or read. Of a function that returned a .tflite:
        `source`, its bytes, and `files` alone.
    """
    tf = _start_tensorflow(needed=request["kind"] != "function")
    made = call_source(request["path"]) if request["kind"] == "function" else None
    if made is not None and made.flatbuffer is not None:
        return {"source": made.flatbuffer, "files": made.files}
    tf = tf or _start_tensorflow(needed=True)

    path = _write_copy(request) or request["path"]
    model = load_model(
        request["kind"], path, unsafe=request["unsafe_deserialize"], made=None if made is None else made.model
    )
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
    kept = converted.kept
    if kept is not None:
        answer["float_flatbuffer"] = kept.spelled
    if kept is not None and kept.changes:
        answer["unspelled"] = kept.flatbuffer
        answer["changes"] = [[each.kind, each.layer, each.before, each.after] for each in kept.changes]
    if made is not None:
        answer["files"] = made.files
    in_order = _keeps_state(model.function)
    if calibration is not None and request["fit"]:
        fitted = choose_to_fit(calibration, in_order=in_order)
        answer["fitted"] = [fitted[place] for place in inputs]
    macs = model_macs(canonicalize(converted.flatbuffer).graph)
    chosen = choose(test_data, calibration, macs=macs, in_order=in_order)
    if chosen is not None:
        answer["samples"] = [chosen.arrays[place] for place in inputs]
        predicted = _predict(model, chosen.arrays)
        answer["float_outputs"] = [predicted[place] for place in outputs]
        if chosen.labels is not None:
            answer["labels"] = [chosen.labels]
    return answer


def _start_tensorflow(*, needed: bool) -> Any:
    """Import TensorFlow, before a function of the user does; None: it is not there, nor needed."""
    try:
        import tensorflow as tf
    except ImportError as error:
        if not needed:
            return None
        msg = f"this source needs TensorFlow; got: {error}; pip install 'tflm-build[tensorflow-cpu]'"
        raise TflmBuildError(msg) from error
    tf.config.threading.set_intra_op_parallelism_threads(1)  # sums in one order, on any number of cores
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf


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
        flatbuffer: the model; kept: what it was quantized from, None where that is not known.
        inputs, outputs: which of the source's inputs and outputs stand where in it.
    """

    flatbuffer: bytes
    kept: _Kept | None
    inputs: list[int]
    outputs: list[int]


def _convert(tf: Any, model: Loaded, request: dict[str, Any], calibration: Bound | None) -> _Converted:
    """Convert with TensorFlow's converter, with calibration data to integers only, and put in what was cut out."""
    quantized = request["quantize"] != "none" and calibration is not None
    arrays = calibration.arrays if quantized and calibration is not None else None
    ends = [(spec.name, spec.shape) for spec in model.inputs]
    if model.cut is None:
        flatbuffer, kept = _convert_function(tf, model.converted, request, arrays, ends)
        return _Converted(flatbuffer, kept, *_flatbuffer_order(flatbuffer, model, 0))
    layers = list(model.cut.layers)
    count = len(layers)
    if arrays is not None:
        written, layers = model.cut.follow(arrays, [shape for _, shape in ends])
        arrays = (*arrays, *written)
        ends += [(name_of_write(place), array.shape[1:]) for place, array in enumerate(written)]
    flatbuffer, kept = _convert_function(tf, model.cut.function, request, arrays, ends)

    def spliced(cut: bytes) -> bytes:
        inputs, outputs = _flatbuffer_order(cut, model, count)
        places = (
            Place(inputs.index(len(model.inputs) + place), outputs.index(len(model.outputs) + place))
            for place in range(count)
        )
        return splice(cut, layers, list(places))

    inputs, outputs = _flatbuffer_order(flatbuffer, model, count)
    return _Converted(
        spliced(flatbuffer),
        None if kept is None else _Kept(spliced(kept.flatbuffer), spliced(kept.spelled), kept.changes),
        [place for place in inputs if place < len(model.inputs)],
        [place for place in outputs if place < len(model.outputs)],
    )


def _convert_function(
    tf: Any,
    function: Any,
    request: dict[str, Any],
    calibration: Sequence[Array] | None,
    inputs: Sequence[tuple[str, tuple[int, ...]]],
) -> tuple[bytes, _Kept | None]:
    """Convert a concrete function, whose inputs have these names and shapes.

    Returns:
        The model; and the float model that the converter quantized.
    """
    converter = _converter(tf, function)
    kept: list[_Kept] = []
    quantize = request["quantize"]
    if calibration is not None:
        _refuse_loops(function)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = partial(_vectors, function, calibration, inputs)
        if quantize == "int8":
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        else:
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]
        converter._experimental_disable_per_channel_quantization_for_dense_layers = (  # noqa: SLF001 - its only name
            request["dense_scales"] == "tensor"
        )
        if request["io_type"] == "auto":
            integer = tf.int8 if quantize == "int8" else tf.int16
            converter.inference_input_type = converter.inference_output_type = integer
        _keep_float_model(converter, quantize if request["spell"] else "none", kept)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return put_in_order(rescale(bytes(converter.convert()))), kept[-1] if kept else None
    except Exception as error:
        told = (line.partition("error: ")[2] for line in str(error).splitlines() if "error: " in line)
        reason = next(told, first_line(error))
        msg = f"TensorFlow cannot convert this model: {reason}; replace that layer by ops that TFLite has"
        raise TflmBuildError(msg) from error


def _vectors(function: Any, arrays: Sequence[Array], inputs: Sequence[tuple[str, tuple[int, ...]]]) -> Iterator[Any]:
    """Yield the calibration data as TensorFlow takes it: of a SavedModel by name."""
    by_name = _keeps_state(function)
    for vector in zip(*arrays, strict=True):
        named = {name: value.reshape(shape) for value, (name, shape) in zip(vector, inputs, strict=True)}
        yield named if by_name else list(named.values())


def _converter(tf: Any, function: Any) -> Any:
    """Return TensorFlow's converter for a function; only one that begins with a SavedModel keeps state."""
    if not _keeps_state(function):
        return tf.lite.TFLiteConverter.from_concrete_functions([function])
    folder, module = str(Path.cwd() / "stateful"), tf.Module()
    module.kept = list(function.graph.variables)
    tf.saved_model.save(module, folder, signatures={_SIGNATURE: function})
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
    converter._experimental_variable_quantization = True  # noqa: SLF001 - the only name it has
    return converter


def _nodes(function: Any) -> Iterator[Any]:
    """Yield the nodes of a function and of all that it calls."""
    graph = function.graph.as_graph_def()
    yield from graph.node
    for called in graph.library.function:
        yield from called.node_def


def _keeps_state(function: Any) -> bool:
    """Say whether a function writes into variables."""
    return any(node.op.startswith(_KEEPING) for node in _nodes(function))


def _keep_float_model(converter: Any, quantization: str, kept: list[_Kept]) -> None:
    """Let a converter hand out the float model that it makes on the way, and spell it for the quantizer.

    The step has no public name. A TensorFlow that has another one hands out nothing.
    """
    quantize = getattr(converter, "_quantize", None)
    if quantize is None:
        return

    def keep_and_quantize(model: Any, *arguments: Any, **keywords: Any) -> Any:
        kept.append(_Kept(bytes(model), *spell_for_quantizer(bytes(model), quantization)))
        return quantize(kept[-1].spelled, *arguments, **keywords)

    converter._quantize = keep_and_quantize  # noqa: SLF001


def _refuse_loops(function: Any) -> None:
    """Refuse what kills TensorFlow's calibrator, by name."""
    loop = next((node.name for node in _nodes(function) if node.op in _LOOPS), None)
    if loop is not None:
        msg = (
            f"TensorFlow cannot calibrate the loop '{loop}', as LSTM and GRU layers make it; pass the Keras model, "
            "whose layers become operators of TFLM here, or set unroll=True in the layer"
        )
        raise TflmBuildError(msg)


def _flatbuffer_order(flatbuffer: bytes, model: Loaded, cuts: int) -> tuple[list[int], list[int]]:
    """Return which of the model's inputs and outputs stand where in the flatbuffer; the converter is free to choose.

    It names inputs as the function does, and outputs Identity, Identity_1 and so on in the function's order; those of
    a SavedModel in its signature alone. Behind those of the model are the ends of what was cut out.
    """
    tree = load(flatbuffer)
    main = tree.subgraphs[0]
    given = [*(spec.name for spec in model.inputs), *map(name_of_write, range(cuts))]
    if tree.signatureDefs:
        (signature,) = tree.signatureDefs
        for entry in (*signature.inputs, *signature.outputs):
            main.tensors[entry.tensorIndex].name = entry.name
        return _order(main, main.inputs, given), _order(main, main.outputs, model.outputs)
    outputs = ["Identity" if index == 0 else f"Identity_{index}" for index in range(len(model.outputs) + cuts)]
    return _order(main, main.inputs, given), _order(main, main.outputs, outputs)


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
