# SPDX-License-Identifier: Apache-2.0
"""Measure on the real TFLM interpreter what a model needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tflm_build.arena.layout import HOST
from tflm_build.arena.replay import ComputedArena, compute_arena
from tflm_build.arrays import Array
from tflm_build.child.run import run_in_child
from tflm_build.child.table import RUN_TFLM
from tflm_build.model.model import Model
from tflm_build.model.state import find_state
from tflm_build.stages.deaths import naming_layers
from tflm_build.stages.golden import GoldenInputs

__all__ = ["INTERPRETER_SIZE", "Measurement", "measure"]

INTERPRETER_SIZE: Final = 512
"""Bytes for the interpreter itself, which firmware has in the arena: TFLM_INTERPRETER_SIZE of tflm_build/model.h."""


@dataclass(frozen=True)
class Measurement:
    """What TFLM needed and answered.

    Attributes:
        smallest_arena: bytes: the smallest size that worked, to 16 bytes, for this interpreter on a 64-bit host.
        computed: what it should be as computed.
        head: bytes of it that activations share.
        tail: bytes of it that are kept from allocation on.
        outputs: per output an array (vectors, *shape): the golden outputs.
        versions: of the interpreter.
    """

    smallest_arena: int
    computed: ComputedArena
    head: int
    tail: int
    outputs: tuple[Array, ...]
    versions: Mapping[str, str]

    @property
    def on_tflm(self) -> bool:
        """Whether it was TFLM that answered, and not what stands for it."""
        return bool(self.versions)

    @property
    def answered_by(self) -> str:
        """Say who answered."""
        return "TensorFlow Lite for Microcontrollers" if self.on_tflm else "the references of its layers"

    @property
    def disagrees(self) -> bool:
        """Whether what was computed is not what was measured, nor what TFLM's own checks leave open."""
        size = self.computed.bytes
        return size is not None and not self.computed.floor <= self.smallest_arena <= size

    @property
    def basis(self) -> str:
        """Say where the size comes from, if it is not computed and measured alike; else nothing."""
        if self.computed.bytes is None:
            return f"measured on the host, not computed for {', '.join(self.computed.unknown)}"
        if self.disagrees:
            return f"measured on the host, where {self.computed.bytes:,} B were computed"
        return ""

    @property
    def enough(self) -> int:
        """Bytes that TFLM needs here; where less than was computed works, it does so by chance."""
        return self.smallest_arena if self.disagrees else self.computed.bytes or self.smallest_arena


def measure(model: Model, golden: GoldenInputs) -> Measurement:
    """Allocate and invoke a model on TFLM, and find the size of its arena.

    Raises:
        TflmBuildError: TFLM does not run the model; its own reason is quoted.
    """
    computed = compute_arena(model, HOST)
    request = {
        "flatbuffer": model.flatbuffer,
        "inputs": golden.arrays,
        "in_order": find_state(model.graph).kept,
        "output_count": len(model.graph.outputs),
        "computed": computed.bytes or 0,
        "floor": computed.floor,
    }
    with naming_layers(RUN_TFLM, model, golden.arrays):
        answer = run_in_child(RUN_TFLM, request)
    return Measurement(
        smallest_arena=answer["arena"],
        computed=computed,
        head=answer["head"],
        tail=answer["tail"],
        outputs=tuple(answer["outputs"]),
        versions=answer["versions"],
    )
