# SPDX-License-Identifier: Apache-2.0
"""A model as inspect and diff see it, and what a manifest has to say for that."""

from dataclasses import dataclass
from typing import Any

from tflm_build.manifest.records import read_record
from tflm_build.model.values import Layer, Part, Shrinkage, State, Tensor

__all__ = ["Accuracy", "Arena", "ArenaOnTarget", "Built", "Description", "Op", "read_description"]


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
class ArenaOnTarget:
    """The arena as computed for a chip and its library of kernels, in bytes; with those for the interpreter itself."""

    target: str
    kernels: str
    size: int


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
    targets: tuple[ArenaOnTarget, ...] = ()


@dataclass(frozen=True)
class Accuracy:
    """What is left of the float model; the fields are those of the manifest."""

    samples: int
    float_error: tuple[float, ...]
    sqnr_db: tuple[float | None, ...]
    top1: float | None


@dataclass(frozen=True)
class Built:
    """What only a manifest has.

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
        state: what it keeps from one run to the next; None: an older manifest does not say.
        shrinkage: what shrinking without loss brings, or brought.
        structure: every byte of it, by kind.
        refusal: why it cannot be compiled for TFLM; None: no reason is known.
        arenas: what it needs on several kinds of chips; none where that cannot be computed.
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
    state: State | None
    shrinkage: Shrinkage
    structure: tuple[Part, ...]
    refusal: str | None
    arenas: tuple[ArenaOnTarget, ...]
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
    """The part of a manifest that any model has."""

    name: str
    source: _Source
    model: _Model
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    layers: tuple[Layer, ...]
    shrink: Shrinkage | None = None  # manifests of before have neither
    structure: tuple[Part, ...] = ()
    state: State | None = None


def read_description(
    content: dict[str, Any], *, refusal: str | None, arenas: tuple[ArenaOnTarget, ...], built: Built | None
) -> Description:
    """Describe a manifest, or what would go into one.

    Raises:
        ValueError: it is not what a manifest says.
    """
    read = read_record(_Content, content)
    shrinkage = read.shrink or Shrinkage((read.model.bytes, read.model.bytes), (0, 0))
    if {len(shrinkage.bytes), len(shrinkage.macs), len(shrinkage.arena)} != {2}:
        msg = "shrink has numbers that are not before and after"
        raise ValueError(msg)
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
        state=read.state,
        shrinkage=shrinkage,
        structure=read.structure,
        refusal=refusal,
        arenas=arenas,
        built=built,
    )
