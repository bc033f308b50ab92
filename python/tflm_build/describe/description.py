# SPDX-License-Identifier: Apache-2.0
"""Describe a model: from its manifest, or from a source that nothing was built of yet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_build.errors import TflmBuildError
from tflm_build.manifest.read import hold_files, read_content
from tflm_build.manifest.records import read_record
from tflm_build.manifest.schema import describe_model
from tflm_build.model.graph import Graph
from tflm_build.model.layers import describe_layers
from tflm_build.model.model import Model
from tflm_build.model.ops import check_ops, kernels
from tflm_build.model.values import Layer, Tensor
from tflm_build.options import Options
from tflm_build.passes.canonical import canonicalize
from tflm_build.source.read import Source, read_source
from tflm_build.stages.convert import quantize

__all__ = ["Accuracy", "Arena", "Built", "Description", "Op", "describe"]


@dataclass(frozen=True)
class Op:
    """An op that a model uses.

    Attributes:
        op: name in the schema, or the custom op's own.
        count: in how many places.
        method: the method of MicroMutableOpResolver that registers its kernel; None: TFLM has none.
    """

    op: str
    count: int
    method: str | None


@dataclass(frozen=True)
class Arena:
    """Memory that was measured, in bytes; the fields are those of the manifest."""

    smallest: int
    interpreter: int
    size: int
    head: int
    tail: int
    planned: bool
    lower_bound: int | None


@dataclass(frozen=True)
class Accuracy:
    """What is left of the float model; the fields are those of the manifest."""

    samples: int
    float_error: tuple[float, ...]
    sqnr_db: tuple[float | None, ...]
    top1: float | None


@dataclass(frozen=True)
class Built:
    """What only a manifest can tell.

    Attributes:
        arena, accuracy: see there.
        options: that decided the bytes.
        versions: of the tools that did.
    """

    arena: Arena
    accuracy: Accuracy | None
    options: dict[str, Any]
    versions: dict[str, str]


@dataclass(frozen=True)
class Description:
    """A model.

    Attributes:
        name: of the model, or of its file.
        kind: of the source; see read.py.
        source_bytes: size of the source.
        bytes: size of the model in flash.
        quantization: none, int8, int16x8 or mixed.
        inputs, outputs: in the order of the flatbuffer.
        ops: by name.
        layers: in the order of the flatbuffer.
        refusal: why it cannot be compiled for TFLM; None: no reason is known.
        built: None where nothing was built.
    """

    name: str
    kind: str
    source_bytes: int
    bytes: int
    quantization: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    layers: tuple[Layer, ...]
    refusal: str | None
    built: Built | None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run; those of ops that TFLM lacks are not known."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def peak_bytes(self) -> int | None:
        """Bytes of the activations that live at the fullest moment; None where that is not known."""
        live = [layer.live_bytes for layer in self.layers if layer.live_bytes is not None]
        return max(live) if live else None


def describe(path: str, *, check_files: bool) -> Description:
    """Describe what a path leads to: a manifest, or any source of a model.

    Args:
        path: a .json file, or what the option SRC takes.
        check_files: hold the digests of a manifest against the files beside it.

    Raises:
        TflmBuildError: it cannot be read, or is not what its name says.
    """
    if Path(path).suffix.lower() == ".json":
        return _describe_manifest(Path(path), check_files=check_files)
    source = read_source(path)
    model = _model(source)
    graph = model.graph
    counts: dict[str, int] = {}
    for operator in graph.operators:
        counts[operator.op] = counts.get(operator.op, 0) + 1
    content = {
        "name": Path(source.name).stem,
        "source": {"kind": source.kind, "bytes": source.size},
        "model": {"bytes": len(model.flatbuffer), "quantization": graph.quantization},
        "ops": [{"op": op, "count": counts[op], "method": kernels().get(op)} for op in sorted(counts)],
        **describe_model(graph.inputs, graph.outputs, describe_layers(graph, lacking=True)),
    }
    return _describe_content(content, refusal=_refusal(graph), built=None)


def _model(source: Source) -> Model:
    """Convert a source as it is."""
    if source.kind == "tflite":
        return canonicalize(source.data)
    options = Options(name="model", src=source.location)
    return quantize(options, source, {"CALIBRATION": None, "TEST_DATA": None}).model


def _refusal(graph: Graph) -> str | None:
    """Return why a model cannot be compiled for TFLM; None: no reason is known."""
    try:
        check_ops(graph)
    except TflmBuildError as error:
        return str(error)
    return None


def _describe_manifest(path: Path, *, check_files: bool) -> Description:
    """Describe what was built."""
    content = read_content(path)
    try:
        description = _describe_content(content, refusal=None, built=read_record(Built, content))
    except ValueError as error:
        msg = f"MODEL '{path}' is damaged: {error}; convert the model again"
        raise TflmBuildError(msg) from error
    if check_files:
        hold_files(path, content)
    return description


@dataclass(frozen=True)
class _Source:
    kind: str
    bytes: int


@dataclass(frozen=True)
class _Model:
    bytes: int
    quantization: str


@dataclass(frozen=True)
class _Content:
    """The part of a manifest that can be told of any model."""

    name: str
    source: _Source
    model: _Model
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    layers: tuple[Layer, ...]


def _describe_content(content: dict[str, Any], *, refusal: str | None, built: Built | None) -> Description:
    """Describe a manifest, or what would go into one.

    Raises:
        ValueError: it is not what a manifest says.
    """
    read = read_record(_Content, content)
    return Description(
        name=read.name,
        kind=read.source.kind,
        source_bytes=read.source.bytes,
        bytes=read.model.bytes,
        quantization=read.model.quantization,
        inputs=read.inputs,
        outputs=read.outputs,
        ops=read.ops,
        layers=read.layers,
        refusal=refusal,
        built=built,
    )
