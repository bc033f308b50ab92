# SPDX-License-Identifier: Apache-2.0
"""Bring a source to the flatbuffer that is shipped, quantized as asked, and keep what the float model answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tflm_build.arrays import Array
from tflm_build.child.run import keep_loaded, load_early, run_in_child
from tflm_build.child.table import CHECK_SHAPES, CONVERT, QUANTIZE, RUN_LITERT
from tflm_build.errors import TflmBuildError
from tflm_build.model.change import Change
from tflm_build.model.graph import Graph
from tflm_build.model.model import Model
from tflm_build.model.ops import check_ops
from tflm_build.model.state import find_state
from tflm_build.model.workload import model_macs
from tflm_build.options import Options
from tflm_build.passes.canonical import canonicalize
from tflm_build.source.check_flatbuffer import check_flatbuffer
from tflm_build.source.check_shapes import check_shapes
from tflm_build.source.read import Source, kind_of
from tflm_build.source.samples import Bound, Samples, bind, choose, choose_to_fit, describe
from tflm_build.stages.deaths import naming_layers
from tflm_build.stages.rewrite import prove_equal, rewrite_model, with_real_weights

__all__ = ["Change", "Converted", "convert", "load_converter", "open_flatbuffer"]

_INTEGERS: Final = {"int8": "int8", "int16x8": "int16"}


@dataclass(frozen=True)
class Converted:
    """A flatbuffer, and what the float model behind it answers.

    Attributes:
        model: canonical.
        bytes_before: size of the flatbuffer as the converter wrote it.
        samples: per input an array (samples, *shape) of real numbers or the tensor's integers; None: there is no data.
        float_model: the float model, canonical but for its names, which are in its bytes too; None: it is not at hand.
        float_outputs: per output what the float model answers to the samples; None: there is no float model.
        labels: the class of each sample; None: there are none.
        fitted: likewise the calibration samples that weights of 4 bits are fitted to; None unless they are asked for.
        calibration: what the calibration data is like, for the manifest.
        versions: of the tools used.
        notes: for the user.
        files: what a function imported, that the result depends on.
        changes: what was rewritten for TFLM.
        vectors: that the whole model answered the same before and after; 0: it runs on no interpreter before.
    """

    model: Model
    bytes_before: int
    samples: tuple[Array, ...] | None = None
    float_model: Model | None = None
    float_outputs: tuple[Array, ...] | None = None
    labels: Array | None = None
    fitted: tuple[Array, ...] | None = None
    calibration: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    vectors: int = 0


def load_converter(src: str) -> None:
    """Let TensorFlow be loaded while a source is read that it will convert."""
    if kind_of(src) in {"keras", "h5", "saved_model"}:
        keep_loaded(CONVERT, "tensorflow")
        load_early(CONVERT)


def convert(options: Options, source: Source, data: Mapping[str, Samples | None]) -> Converted:
    """Convert and quantize a source as the options say, and rewrite it in ops that TFLM has.

    Args:
        options: what the user decided.
        source: what was read.
        data: calibration and test data, by option name; None where there is none.

    Raises:
        TflmBuildError: the source cannot be converted, or is quantized otherwise than asked.
    """
    if source.kind == "tflite":
        converted = _from_flatbuffer(options, source.data, data)
    else:
        converted = _from_tensorflow(options, source, data)
    rewritten = rewrite_model(converted.model, converted.samples, keep_names=options.keep_names)
    if options.dense_scales == "tensor":
        _check_dense_scales(rewritten.model.graph)
    return replace(
        converted,
        model=rewritten.model,
        notes=(*converted.notes, *rewritten.notes),
        changes=(*converted.changes, *rewritten.changes),
        vectors=rewritten.vectors or converted.vectors,
    )


def _from_tensorflow(options: Options, source: Source, data: Mapping[str, Samples | None]) -> Converted:
    """Let TensorFlow convert a source, in a child process; a .tflite that a function returned is taken as one."""
    if options.quantize != "none" and data["CALIBRATION"] is None:
        raise TflmBuildError(_need_calibration(options))
    request: dict[str, Any] = {
        "kind": source.kind,
        "path": source.location,
        "quantize": options.quantize,
        "io_type": options.io_type,
        "dense_scales": options.dense_scales,
        "unsafe_deserialize": options.unsafe_deserialize,
        "fit": options.weight_type != "int8",
        **_private_copy(source),
    }
    for samples in data.values():
        if samples is not None:
            request |= samples.to_message()
    answer = run_in_child(CONVERT, request | {"spell": True})
    if "source" in answer:
        check_flatbuffer(answer["source"])
        return replace(_from_flatbuffer(options, answer["source"], data), files=tuple(answer["files"]))
    vectors = _proven(answer)
    if vectors is None:
        answer = run_in_child(CONVERT, request | {"spell": False})
    check_flatbuffer(answer["flatbuffer"])
    if "float_flatbuffer" in answer:
        check_flatbuffer(answer["float_flatbuffer"])
    names = {"inputs": tuple(answer["inputs"]), "outputs": tuple(answer["outputs"])}
    return Converted(
        model=canonicalize(answer["flatbuffer"], keep_names=options.keep_names, **names),
        bytes_before=len(answer["flatbuffer"]),
        samples=tuple(answer["samples"]) if "samples" in answer else None,
        float_model=_canonical_float(answer) if "float_flatbuffer" in answer else None,
        float_outputs=tuple(answer["float_outputs"]) if "samples" in answer else None,
        labels=answer["labels"][0] if "labels" in answer else None,
        fitted=tuple(answer["fitted"]) if "fitted" in answer else None,
        calibration=answer["calibration"],
        versions=answer["versions"],
        notes=tuple(answer["notes"]),
        files=tuple(answer.get("files", ())),
        changes=tuple(
            Change(kind, layer, tuple(before), tuple(after)) for kind, layer, before, after in answer.get("changes", ())
        ),
        vectors=vectors or 0,
    )


def _proven(answer: Mapping[str, Any]) -> int | None:
    """Return how many vectors a float model answers the same before and after it was spelled for the quantizer."""
    if "unspelled" not in answer:
        return 0
    before, after = (canonicalize(answer[key]) for key in ("unspelled", "float_flatbuffer"))
    return prove_equal(before, after, tuple(answer["samples"]) if "samples" in answer else None)


def _private_copy(source: Source) -> dict[str, Any]:
    """Return the bytes that were judged, which the child opens in place of the files that it could find by now."""
    if source.kind == "function":
        return {}
    contents = source.contents or {f"model.{source.kind}": source.data}
    return {"paths": list(contents), **{f"copy.{i}": data for i, data in enumerate(contents.values())}}


def _canonical_float(answer: Mapping[str, Any]) -> Model:
    """Return the float model of an answer, with its names; its tensors are counted as those of other models."""
    return canonicalize(answer["float_flatbuffer"], keep_names=True)


def _need_calibration(options: Options) -> str:
    """Return the error of quantizing without data."""
    return f"`QUANTIZE` {options.quantize} needs `CALIBRATION` data; got none; pass an .npz with one array per input"


def open_flatbuffer(flatbuffer: bytes, *, keep_names: bool = False) -> Model:
    """Return the canonical form of a source, whose shapes are those that its operators give.

    Raises:
        TflmBuildError: it is not a valid model, or sizes beyond the batch are not fixed.
    """
    model = canonicalize(flatbuffer, keep_names=keep_names)
    with naming_layers(CHECK_SHAPES, model):
        return check_shapes(model)


def _from_flatbuffer(options: Options, flatbuffer: bytes, data: Mapping[str, Samples | None]) -> Converted:
    """Quantize a float model, or pass a model that is what was asked."""
    model = open_flatbuffer(flatbuffer, keep_names=options.keep_names)
    quantizes = options.quantize != "none" and model.graph.quantization == "none"
    held = with_real_weights(model, everything=quantizes, keep_names=options.keep_names or quantizes)
    model, graph = held.model, held.model.graph
    bound = {option: None if samples is None else bind(samples, graph.inputs) for option, samples in data.items()}
    calibration, in_order = bound["CALIBRATION"], find_state(graph).kept
    chosen = choose(bound["TEST_DATA"], calibration, macs=model_macs(graph), in_order=in_order)
    found = graph.quantization
    facts: dict[str, Any] = {
        "samples": None if chosen is None else chosen.arrays,
        "labels": None if chosen is None else chosen.labels,
        "notes": tuple(note for given in bound.values() if given is not None for note in given.notes),
    }
    if options.weight_type != "int8" and calibration is not None:
        facts["fitted"] = choose_to_fit(calibration, in_order=in_order)
    if options.quantize in {"none", found}:
        _check_ends(options, graph)
        return Converted(model, len(flatbuffer), changes=held.changes, vectors=held.vectors, **facts)
    if found != "none":
        msg = f"`SRC` is quantized already ({found}); got `QUANTIZE` {options.quantize}; pass the float model"
        raise TflmBuildError(msg)
    if calibration is None or chosen is None:
        check_ops(graph)
        raise TflmBuildError(_need_calibration(options))
    facts["samples"] = tuple(_as_inputs(chosen, graph))
    rewritten = rewrite_model(model, facts["samples"], keep_names=True)
    check_ops(rewritten.model.graph)  # before the quantizer meets types that it does not know
    request = {
        "flatbuffer": rewritten.model.flatbuffer if held.changes or rewritten.changes else flatbuffer,
        "quantize": options.quantize,
        "io_type": options.io_type,
        "dense_scales": options.dense_scales,
        "names": list(model.inputs),
        "calibration": _as_inputs(calibration, graph),
    }
    answer = run_in_child(QUANTIZE, request)
    check_flatbuffer(answer["flatbuffer"])
    given = {"flatbuffer": answer["float_flatbuffer"], "inputs": facts["samples"], "in_order": in_order}
    float_model = run_in_child(RUN_LITERT, given)
    quantized = answer["flatbuffer"]
    shipped = canonicalize(quantized, keep_names=options.keep_names, inputs=model.inputs, outputs=model.outputs)
    return Converted(
        replace(shipped, repairs=model.repairs),  # of the source, not of what the quantizer wrote
        len(quantized),
        float_model=_canonical_float(answer),
        float_outputs=tuple(float_model["outputs"]),
        calibration=describe(calibration, graph.inputs),
        versions=answer["versions"],
        changes=(*held.changes, *rewritten.changes),
        vectors=rewritten.vectors or held.vectors,
        **facts,
    )


def _as_inputs(data: Bound, graph: Graph) -> list[Array]:
    """Return data in the types of a float model's inputs."""
    return [
        array.astype(tensor.dtype).reshape(-1, *tensor.shape)
        for array, tensor in zip(data.arrays, graph.inputs, strict=True)
    ]


def _check_dense_scales(graph: Graph) -> None:
    """Refuse a dense layer that has a scale for each output channel where one was asked for."""
    for operator in graph.operators:
        if operator.op == "FULLY_CONNECTED" and any(len(operand.scales) > 1 for operand in operator.reads):
            msg = (
                f"`DENSE_SCALES` tensor asks for one scale in each dense layer, but layer '{operator.layer}' has one "
                "for each output; pass the float model with `QUANTIZE`"
            )
            raise TflmBuildError(msg)


def _check_ends(options: Options, graph: Graph) -> None:
    """Refuse a source whose inputs and outputs are not of the type that was asked for."""
    wanted = "float32" if options.io_type == "float32" else _INTEGERS.get(options.quantize)
    if wanted is None:
        return
    for tensor in (*graph.inputs, *graph.outputs):
        if tensor.type in {"float32", "int8", "int16", "uint8"} and tensor.type != wanted:
            msg = (
                f"`QUANTIZE` {options.quantize} with `IO_TYPE` {options.io_type} makes {wanted} inputs and outputs, "
                f"but '{tensor.name}' is {tensor.type}; pass the float model, or the options that this source was made "
                "with"
            )
            raise TflmBuildError(msg)
