# SPDX-License-Identifier: Apache-2.0
"""All that is emitted of one model, as one value."""

import zlib
from dataclasses import dataclass

from tflm_build.model.graph import Graph
from tflm_build.model.ops import UsedOp
from tflm_build.model.values import Layer, Narrowing, Part, Shrinkage, State
from tflm_build.model.weights import Weights
from tflm_build.stages.activations import Activations
from tflm_build.stages.arena import PlannedModel
from tflm_build.stages.golden import GoldenInputs
from tflm_build.stages.prove import Proof

__all__ = ["Shipment"]


@dataclass(frozen=True)
class Shipment:
    """All that the stages found about one model, and where it came from.

    Attributes:
        name: of the model, which its files begin with.
        symbol: what its C symbols begin with.
        embed, section, align: how and where the data lies; see Options.
        provenance: lines that say what the files were made from and with.
        random_golden: True where the golden inputs are random.
    """

    name: str
    symbol: str
    embed: str
    section: str | None
    align: int
    provenance: tuple[str, ...]
    random_golden: bool
    graph: Graph
    state: State
    ops: tuple[UsedOp, ...]
    shrinkage: Shrinkage
    narrowing: Narrowing | None
    golden: GoldenInputs
    arranged: PlannedModel
    proof: Proof
    work: tuple[Layer, ...]
    weights: tuple[Weights, ...]
    activations: Activations
    structure: tuple[Part, ...]

    @property
    def flatbuffer(self) -> bytes:
        """The model that is shipped."""
        return self.arranged.model.flatbuffer

    @property
    def crc32(self) -> int:
        """CRC-32 (IEEE 802.3) of the flatbuffer."""
        return zlib.crc32(self.flatbuffer)
