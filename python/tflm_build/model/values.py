# SPDX-License-Identifier: Apache-2.0
"""What a manifest says of any model, as plain values: inputs, outputs, layers and state. Needs no flatbuffer."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.model.types import TYPES, bytes_of

__all__ = [
    "CHANNELS",
    "Layer",
    "LayerTensor",
    "NarrowStep",
    "NarrowedLayer",
    "Narrowing",
    "Part",
    "ShrinkStep",
    "Shrinkage",
    "ShrunkLayer",
    "State",
    "Tensor",
    "write_shape",
]


@dataclass(frozen=True)
class Tensor:
    """An input or output of the model.

    Attributes:
        name, type, shape: as in the signature.
        scale, zero_point: `real = scale * (element - zero_point)`; scale 0: not quantized.
        step: of real numbers that the model quantizes itself, or dequantizes: the scale of these integers; else 0.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    step: float = 0.0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type, as numpy's."""
        return np.dtype(TYPES[self.type].dtype)

    @property
    def bytes(self) -> int:
        """Size of one tensor."""
        return bytes_of(prod(self.shape), self.type)


@dataclass(frozen=True)
class LayerTensor:
    """A tensor that an operator reads or writes.

    Attributes:
        tensor: its place in its subgraph: the same number is the same tensor.
        type: of its elements, as the schema names it.
        shape: its sizes.
        constant: whether the model holds its data.
    """

    tensor: int
    type: str
    shape: tuple[int, ...]
    constant: bool


@dataclass(frozen=True)
class Layer:
    """What one operator costs, and what it reads and writes.

    Attributes:
        op: name in the schema, or the custom op's own.
        layer: name of the layer in the source.
        macs: multiply-accumulates, as workload.py defines them.
        parameters: elements of the constants that it reads, shapes and axes among them.
        weight_bytes: bytes of these constants; of those that several operators read, at the first only.
        activation_bytes: bytes of all other tensors that it reads or writes.
        subgraph: its place; 0 is the one that is run.
        inputs: what it reads, without optional inputs that are left out.
        outputs: what it writes.
        live_bytes: activations that live while it runs, each rounded up to 16, as TFLM plans them, without what kernels
            ask for themselves; None for a model with elements of no fixed size.
    """

    op: str
    layer: str
    macs: int
    parameters: int
    weight_bytes: int
    activation_bytes: int
    subgraph: int
    inputs: tuple[LayerTensor, ...]
    outputs: tuple[LayerTensor, ...]
    live_bytes: int | None

    @property
    def weight_type(self) -> str:
        """The element type of the largest constant that it reads; empty where it reads none."""
        constants = [tensor for tensor in self.inputs if tensor.constant]
        return max(constants, key=lambda tensor: prod(tensor.shape)).type if constants else ""


@dataclass(frozen=True)
class Part:
    """Bytes of one kind in a model.

    Attributes:
        what: in plain words.
        count: how many tables, vectors or gaps there are.
        bytes: that they take together.
    """

    what: str
    count: int
    bytes: int


CHANNELS: Final = "channels that no input changes, or that nothing reads"
"""The step of shrinking whose channels are counted."""


@dataclass(frozen=True)
class ShrinkStep:
    """A step of shrinking.

    Attributes:
        what: goes, in plain words.
        bytes, macs: what it saves.
    """

    what: str
    bytes: int
    macs: int


@dataclass(frozen=True)
class ShrunkLayer:
    """A layer that lost channels, taps, or inputs that it multiplied.

    Attributes:
        layer, op: which.
        channels: that it wrote.
        constant: channels removed that hold one element whatever the input is.
        unread: channels removed that nothing reads.
        bytes: of its constants that are saved.
        macs: that are saved.
    """

    layer: str
    op: str
    channels: int
    constant: int
    unread: int
    bytes: int
    macs: int


@dataclass(frozen=True)
class Shrinkage:
    """What shrinking without loss brings.

    Attributes:
        bytes, macs: before and after.
        arena: what TFLM shares among activations and keeps, before and after; 0 where nothing was compared.
        inputs: on which TFLM gave the same answers before and after.
        steps: that pay; none: the model stays as it is.
        layers: that lose channels, taps or inputs.
    """

    bytes: tuple[int, ...]
    macs: tuple[int, ...]
    arena: tuple[int, ...] = (0, 0)
    inputs: int = 0
    steps: tuple[ShrinkStep, ...] = ()
    layers: tuple[ShrunkLayer, ...] = ()

    @property
    def channels(self) -> int:
        """Channels that go."""
        return sum(layer.constant + layer.unread for layer in self.layers)

    @property
    def words(self) -> tuple[str, ...]:
        """Say what goes in each step, the last first, and what that saves."""
        return tuple(map(self._step, reversed(self.steps)))

    def _step(self, step: ShrinkStep) -> str:
        """Say what a step saves: bytes, and the share of the multiply-accumulates before."""
        what = f"{self.channels:,} channels that no input changes" if step.what == CHANNELS else step.what
        share = f", -{100 * step.macs / self.macs[0]:.2g}% MACs" if step.macs else ""
        return f"{what}: -{step.bytes:,} B{share}"


@dataclass(frozen=True)
class NarrowedLayer:
    """A layer whose weights have 4 bits.

    Attributes:
        layer, op: which.
        weights: their number.
    """

    layer: str
    op: str
    weights: int


@dataclass(frozen=True)
class NarrowStep:
    """A step of the search for layers whose weights take 4 bits.

    Attributes:
        layer, op: that was tried; empty for the model before the first.
        bits: that its weights were given.
        accepted: whether that stays.
        bytes: of the model with it.
        arena: that it needs then, with the interpreter; None where that cannot be computed.
        sqnr_db, top1: as in Narrowing.
    """

    layer: str
    op: str
    bits: int
    accepted: bool
    bytes: int
    arena: int | None
    sqnr_db: float | None
    top1: float | None


@dataclass(frozen=True)
class Narrowing:
    """What weights of 4 bits bring, and cost.

    Attributes:
        bytes: before and after.
        judge: what the model's answers are compared with: "the float model", or "the int8 model" where there is none.
        samples: of the data that they are compared on.
        test_data: whether these are test data, and not what the weights were fitted to.
        sqnr_db: signal-to-quantization-noise ratio before a final SOFTMAX, the lowest of all outputs; None: infinite.
        top1: share of samples whose largest output is that of the label, or else the judge's; None where the model does
            not have one vector as output.
        layers: whose weights have 4 bits.
        steps: of the search, in order; none where nothing was searched.
        searched: samples that each step was judged on.
    """

    bytes: tuple[int, ...]
    judge: str
    samples: int
    test_data: bool
    sqnr_db: float | None
    top1: float | None
    layers: tuple[NarrowedLayer, ...] = ()
    steps: tuple[NarrowStep, ...] = ()
    searched: int = 0


@dataclass(frozen=True)
class State:
    """What a model keeps from one run to the next.

    Attributes:
        bytes: of resource variables and of variable tensors.
        variables: the number of resource variables.
        kernels: ops in the model whose kernels keep more, in memory of their own.
    """

    bytes: int
    variables: int
    kernels: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether there is any."""
        return self.bytes > 0 or bool(self.kernels)

    @property
    def words(self) -> str:
        """What is kept, for people; empty where nothing is."""
        where = {0: "tensors", 1: "1 variable"}.get(self.variables, f"{self.variables} variables")
        parts = [f"{self.bytes:,} B in {where}"] if self.bytes else []
        return ", and ".join([*parts, *([f"what {', '.join(self.kernels)} keep"] if self.kernels else [])])


def write_shape(shape: Sequence[int]) -> str:
    """Write a shape for people."""
    return "x".join(map(str, shape)) or "scalar"
