# SPDX-License-Identifier: Apache-2.0
"""The way of the data: every stage once, in order. All that the command, CMake and Bazel call."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tflm_build.emit.manifest import manifest
from tflm_build.emit.shipment import Shipment
from tflm_build.emit.sources import emit_sources
from tflm_build.emit.summary import summarize
from tflm_build.errors import TflmBuildError
from tflm_build.files import Place, depfile, place_files
from tflm_build.manifest.schema import EMITTED
from tflm_build.model.layers import describe_layers
from tflm_build.model.ops import check_ops
from tflm_build.model.state import find_state
from tflm_build.model.structure import account
from tflm_build.model.weights import weight_distributions
from tflm_build.model.workload import model_macs
from tflm_build.options import Options
from tflm_build.progress import Progress
from tflm_build.source.read import FUNCTION, Source, read_source
from tflm_build.source.read_probe import read_probe
from tflm_build.source.read_samples import data_files, read_samples
from tflm_build.source.samples import Samples
from tflm_build.stages.activations import describe_activations
from tflm_build.stages.arena import plan_arena
from tflm_build.stages.budgets import check_budgets
from tflm_build.stages.convert import convert, load_converter
from tflm_build.stages.doubts import doubts
from tflm_build.stages.golden import golden_inputs
from tflm_build.stages.narrow import narrow
from tflm_build.stages.prove import prove
from tflm_build.stages.shrink import shrink
from tflm_build.stages.unrolled import cost_of_unrolled
from tflm_build.versions import base_versions, tool_files

__all__ = ["Result", "build", "count_stages"]

_NOT_RUN: Final = (
    "TFLM itself was not run, for tflite-micro is not installed: the arena is computed, and the golden outputs are "
    "those of the references that layers are compared with"
)


@dataclass(frozen=True)
class Result:
    """What was built.

    Attributes:
        files: paths of all emitted files, the one that was put in its place last first.
        summary: a few lines for people.
    """

    files: tuple[Path, ...]
    summary: str


def count_stages(options: Options) -> int:
    """Return how many stages a build has."""
    return 5 + (options.weight_type != "int8")


def build(
    options: Options, out_dir: Path, progress: Progress, *, emit: str = "all", probe: Path | None = None
) -> Result:
    """Compile a model and write its files; on an error nothing is written.

    Args:
        options: what the user decided.
        out_dir: where the files go; created if need be.
        progress: shows each stage.
        emit: a key of EMITTED, to write that file alone; the bytes are those that it has among all others.
        probe: the object file of runtime/src/probe.cc, compiled for the TFLM that runs the model.

    Raises:
        TflmBuildError: for everything that a user can fix.
    """
    _check_emit(emit, options)
    given = (text for text in (options.src, options.calibration, options.test_data) if text)
    functions = ((FUNCTION.fullmatch(text), text) for text in given)
    sources = [Path(function[1] if function else text) for function, text in functions]
    with place_files(out_dir, sources) as place:
        return _build(options, out_dir, progress, emit, probe, place)


def _build(options: Options, out_dir: Path, progress: Progress, emit: str, probe: Path | None, place: Place) -> Result:
    """Call the stages in their order, and place what they make."""
    progress.stage("reading")
    load_converter(options.src)
    sizes = read_probe(probe) if probe else {}
    source = read_source(options.src, unsafe=options.unsafe_deserialize)
    paths = {"CALIBRATION": options.calibration, "TEST_DATA": options.test_data}
    data = {option: None if path is None else read_samples(option, path) for option, path in paths.items()}

    progress.stage("converting")
    converted = convert(options, source, data)
    for note in converted.notes:
        progress.note(note)
    check_ops(converted.model.graph)
    state = find_state(converted.model.graph)

    progress.stage("measuring the arena")
    macs = model_macs(converted.model.graph)
    golden = golden_inputs(converted.model.graph.inputs, converted.samples, sequence=state.kept, macs=macs)
    shrunk = shrink(options, converted.model, golden)
    if options.weight_type != "int8":
        progress.stage("fitting weights of 4 bits")
    model, narrowing = narrow(
        options, converted, shrunk.model, golden, progress.part, test_data=data["TEST_DATA"] is not None
    )
    graph = model.graph
    for note in cost_of_unrolled(model):
        progress.note(note)
    ops = check_ops(graph)
    arranged = plan_arena(options, model, golden, sizes)
    if not arranged.measured.on_tflm:
        progress.note(_NOT_RUN)
    if arranged.measured.disagrees:
        progress.note(f"the arena's size is {arranged.measured.basis}; please report this model")

    progress.stage("comparing with LiteRT's reference kernels")
    proof = prove(options, graph, golden, arranged, converted)
    work = describe_layers(graph)
    check_budgets(options, arranged, work)
    activations = describe_activations(model, converted, golden, shrunk.removed, sum(layer.macs for layer in work))
    for doubt in doubts(graph, converted.samples, proof, activations, shrunk.shrinkage, narrowing):
        progress.note(doubt)

    progress.stage("writing")
    versions = {**base_versions(), **converted.versions, **arranged.measured.versions}
    shipment = Shipment(
        name=options.name,
        symbol=options.prefix,
        embed=options.embed,
        section=options.section,
        align=options.align,
        provenance=_provenance(options, source, data, versions),
        random_golden=_random_golden(data),
        graph=graph,
        state=state,
        ops=ops,
        shrinkage=shrunk.shrinkage,
        narrowing=narrowing,
        golden=golden,
        arranged=arranged,
        proof=proof,
        work=work,
        weights=weight_distributions(graph),
        activations=activations,
        structure=account(arranged.model.flatbuffer),
    )
    sources = emit_sources(shipment)
    main = f"{options.name}.json"
    content = manifest(options, source, data, converted, shipment, versions, sources)
    files: dict[str, bytes | Path] = {**sources, main: content}
    if options.report or emit == "report":
        from tflm_build.report.model_page import model_page  # takes long, and most builds ask for no page

        files[f"{options.name}.html"] = model_page(json.loads(content))
    inputs = [
        *source.files,
        *map(Path, converted.files),
        *([probe] if probe else []),
        *(file for path in paths.values() if path for file in data_files(path)),
        *(Path(file) for samples in data.values() if samples is not None for file in samples.files),
        *tool_files(),
    ]
    emitted = {**files, **depfile(f"{options.name}.d", out_dir / main, inputs)}
    if emit != "all":
        main = options.name + EMITTED[emit]
        emitted = {main: files[main]}
    place(emitted, main)
    return Result(
        tuple(out_dir / file for file in sorted(emitted, key=lambda file: file != main)),
        summarize(shipment, converted),
    )


def _check_emit(emit: str, options: Options) -> None:
    """Refuse to emit a file that is not made."""
    left_out = {"array": "assembly", "incbin": "data"}.get(options.embed)
    if emit == left_out:
        msg = f"`EMIT` got '{emit}', which `EMBED` {options.embed} does not make; leave `EMBED` out"
        raise TflmBuildError(msg)


def _random_golden(data: Mapping[str, Samples | None]) -> bool:
    """Say whether golden inputs are random: there is no data, or what they are taken from is random itself."""
    taken_from = data["TEST_DATA"] or data["CALIBRATION"]
    return taken_from is None or bool(taken_from.random)


def _provenance(
    options: Options, source: Source, data: Mapping[str, Samples | None], versions: Mapping[str, str]
) -> tuple[str, ...]:
    """Say in a few lines what the files were made from and with, and by which decisions; no path and no time."""
    lines = [
        f"Generated by tflm-build {versions['tflm-build']} for the model {options.name}; do not edit.",
        f"  source       {source.name}, SHA-256 {source.sha256}",
    ]
    for samples in data.values():
        if samples is not None:
            what = f"SHA-256 {samples.sha256}" if samples.sha256 else "RANDOM DATA: for trials only"
            lines.append(f"  {samples.option.lower().replace('_', ' '):<12} {samples.file}, {what}")
    dense = "" if options.dense_scales == "channel" else f", DENSE_SCALES {options.dense_scales}"
    weights = "" if options.weight_type == "int8" else f", WEIGHT_TYPE {options.weight_type}"
    lines.append(f"  options      QUANTIZE {options.quantize}{weights}, IO_TYPE {options.io_type}{dense}")
    shown = ("tensorflow", "keras", "tf-keras", "ai-edge-quantizer", "ai-edge-litert")
    tools = (tool for tool in shown if tool in versions)
    lines.append(f"  with         {', '.join(f'{tool} {versions[tool]}' for tool in tools)}")
    return tuple(lines)
