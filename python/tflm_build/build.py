# SPDX-License-Identifier: Apache-2.0
"""The way of the data: every stage once, in order. All that the command, CMake and Bazel call."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tflm_build.canonical import canonicalize
from tflm_build.check import check_ops
from tflm_build.child import Task, run_in_child
from tflm_build.emit import Shipment, emit_sources
from tflm_build.errors import TflmBuildError
from tflm_build.golden import choose_samples, golden_inputs
from tflm_build.graph import Graph, Tensor, read_graph
from tflm_build.manifest import manifest
from tflm_build.measure import measure
from tflm_build.options import Options
from tflm_build.place import depfile, place_files
from tflm_build.progress import Progress
from tflm_build.prove import prove
from tflm_build.read import Source, read_source
from tflm_build.samples import Samples, bind, read_samples
from tflm_build.versions import base_versions, tool_files

__all__ = ["STAGES", "Result", "build"]

STAGES: Final = 5

_CONVERTER: Final = Task("tflm_build.convert_keras", "TensorFlow", seconds=3600, gigabytes=32)

# Nothing of the machine may decide the bytes; the rest keeps TensorFlow from talking and from looking for a GPU.
_CONVERTER_ENVIRONMENT: Final = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "PYTHONHASHSEED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


@dataclass(frozen=True)
class Result:
    """What was built.

    Attributes:
        files: paths of all emitted files, the manifest first.
        summary: one line for people.
    """

    files: tuple[Path, ...]
    summary: str


def build(options: Options, out_dir: Path, progress: Progress) -> Result:
    """Compile a model and write its files; on an error nothing is written.

    Args:
        options: what the user decided.
        out_dir: where the files go; created if need be.
        progress: is told of every stage.

    Raises:
        TflmBuildError: for everything that a user can mend.
    """
    progress.stage("reading")
    data = {
        "CALIBRATION": _data("CALIBRATION", options.calibration),
        "TEST_DATA": _data("TEST_DATA", options.test_data),
    }
    if options.quantize != "none" and data["CALIBRATION"] is None and not options.src.lower().endswith(".tflite"):
        msg = f"QUANTIZE {options.quantize} needs CALIBRATION data; got none; pass an .npz with one array per input"
        raise TflmBuildError(msg)
    source = read_source(options.src)

    progress.stage("converting")
    converted = _convert(options, source, data)
    canonical = canonicalize(converted.get("flatbuffer", source.data))
    graph = read_graph(canonical)
    ops = check_ops(graph)
    _check_quantization(options, graph)
    samples, float_outputs = _golden_samples(converted, graph, data, progress)

    progress.stage("measuring on TensorFlow Lite for Microcontrollers")
    golden = golden_inputs(graph.inputs, samples)
    measured = measure(canonical.flatbuffer, graph, golden)

    progress.stage("comparing with LiteRT's reference kernels")
    proof = prove(canonical.flatbuffer, graph, golden, measured, float_outputs, options.allowed_lsb)

    progress.stage("writing")
    versions = {**base_versions(), **converted.get("versions", {}), **measured.versions}
    shipment = Shipment(
        name=options.name,
        provenance=_provenance(options, source, data, versions),
        random_data=any(samples is not None and samples.random for samples in data.values()),
        flatbuffer=canonical.flatbuffer,
        graph=graph,
        ops=ops,
        golden=golden,
        measured=measured,
        proof=proof,
    )
    files = emit_sources(shipment)
    main = f"{options.name}.json"
    files[main] = manifest(options, source, data, shipment, versions, files)
    inputs = [source.path, *(Path(path) for path in _data_paths(options)), *tool_files()]
    files[f"{options.name}.d"] = depfile(out_dir / main, inputs)
    place_files(out_dir, files, last=main)
    return Result(tuple(out_dir / file for file in sorted(files, key=lambda file: file != main)), _summary(shipment))


def _data(option: str, path: str | None) -> Samples | None:
    """Read the data of an option that was given."""
    return None if path is None else read_samples(option, path)


def _data_paths(options: Options) -> list[str]:
    """Return the data files that the result depends on."""
    given = (options.calibration, options.test_data)
    return [path for path in given if path is not None and not path.startswith("random:")]


def _convert(options: Options, source: Source, data: dict[str, Samples | None]) -> dict[str, Any]:
    """Let TensorFlow convert a Keras model, in a child process; a .tflite is converted already."""
    if source.kind == "tflite":
        return {}
    request: dict[str, Any] = {
        "path": str(source.path.resolve()),
        "quantize": options.quantize,
        "io_type": options.io_type,
    }
    for samples in data.values():
        if samples is not None:
            request |= samples.to_message()
    return run_in_child(_CONVERTER, request, environment=_CONVERTER_ENVIRONMENT)


def _check_quantization(options: Options, graph: Graph) -> None:
    """Refuse a source whose integers are not those that were asked for."""
    wanted = {"int8": "int8", "int16x8": "int16"}.get(options.quantize)
    if options.io_type == "float32":
        wanted = "float32" if wanted else None
    if wanted is None:
        return
    for tensor in (*graph.inputs, *graph.outputs):
        if tensor.type in {"float32", "int8", "int16", "uint8"} and tensor.type != wanted:
            msg = (
                f"QUANTIZE {options.quantize} with IO_TYPE {options.io_type} makes {wanted} inputs and outputs, but "
                f"'{tensor.name}' is {tensor.type}; pass the Keras model, or the options that this source was made with"
            )
            raise TflmBuildError(msg)


def _golden_samples(
    converted: dict[str, Any], graph: Graph, data: dict[str, Samples | None], progress: Progress
) -> tuple[list[Any] | None, list[Any] | None]:
    """Return golden inputs in the flatbuffer's order, and what the float model answers to them."""
    for note in converted.get("notes", ()):
        progress.note(note)
    if "golden_inputs" in converted:
        return (
            _in_order(graph.inputs, converted["inputs"], converted["golden_inputs"]),
            _in_order(graph.outputs, converted["outputs"], converted["golden_outputs"]),
        )
    samples = data["TEST_DATA"] or data["CALIBRATION"]
    if samples is None or converted:
        return None, None
    bound = bind(samples, graph.inputs)
    for note in bound.notes:
        progress.note(note)
    return choose_samples(bound), None


def _in_order(tensors: Sequence[Tensor], names: Sequence[str], arrays: Sequence[Any]) -> list[Any]:
    """Put a Keras model's arrays into the order of the flatbuffer, which the converter is free to choose."""
    if len(tensors) == len(arrays) == 1:
        return list(arrays)
    by_name = dict(zip(names, arrays, strict=True))
    if {tensor.name for tensor in tensors} != set(by_name):
        msg = (
            f"the converter names the tensors {', '.join(tensor.name for tensor in tensors)}, the model "
            f"{', '.join(by_name)}; give the model's inputs and outputs names of letters, digits and _"
        )
        raise TflmBuildError(msg)
    return [by_name[tensor.name] for tensor in tensors]


def _provenance(
    options: Options, source: Source, data: dict[str, Samples | None], versions: dict[str, str]
) -> tuple[str, ...]:
    """Say in a few lines what the files were made from and with, and by which decisions; no path and no time."""
    lines = [
        f"Generated by tflm-build {versions['tflm-build']} for the model {options.name}; do not edit.",
        f"  source       {source.path.name}, SHA-256 {source.sha256}",
    ]
    for samples in data.values():
        if samples is not None:
            what = f"SHA-256 {samples.sha256}" if samples.sha256 else "RANDOM DATA: for trials only"
            lines.append(f"  {samples.option.lower().replace('_', ' '):<12} {samples.file}, {what}")
    lines.append(f"  options      QUANTIZE {options.quantize}, IO_TYPE {options.io_type}")
    tools = (tool for tool in ("tensorflow", "ai-edge-litert", "tflite-micro") if tool in versions)
    lines.append(f"  with         {', '.join(f'{tool} {versions[tool]}' for tool in tools)}")
    return tuple(lines)


def _summary(shipment: Shipment) -> str:
    """Return one line for people."""
    differences = ", ".join(f"{difference:g}" for difference in shipment.proof.difference)
    ops = ", ".join(used.op for used in shipment.ops)
    return (
        f"{shipment.name}: {len(shipment.flatbuffer):,} B of flash, {shipment.measured.smallest_arena:,} B of arena, "
        f"at most {differences} from LiteRT in {len(shipment.golden.arrays[0])} vectors; ops: {ops}"
    )
