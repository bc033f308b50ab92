# SPDX-License-Identifier: Apache-2.0
"""A canonical model: its bytes, what they unpack to, and the names that people know."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tflm_build.model.graph import Graph, read_graph

__all__ = ["Model"]


@dataclass(frozen=True, eq=False)
class Model:
    """A model as passes take and return it: unpacked once, with what only people read beside it.

    Attributes:
        flatbuffer: the bytes.
        tree: what they unpack to, by the schema's object API; it is only read. A pass that changes something makes a
            copy of what it changes.
        layers: per subgraph, per operator: the name that the source gives the layer.
        tensors: per subgraph, per tensor: its name in the source; may be empty.
        inputs: names of the model's inputs, in the order of the flatbuffer.
        outputs: names of the model's outputs, in the order of the flatbuffer.
        repairs: what was wrong with the source and was repaired: a sentence each.
    """

    flatbuffer: bytes
    tree: Any
    layers: tuple[tuple[str, ...], ...]
    tensors: tuple[tuple[str, ...], ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    repairs: tuple[str, ...] = ()

    @cached_property
    def graph(self) -> Graph:
        """Tensors and operators as plain values.

        Raises:
            TflmBuildError: an input or output has a type or shape that firmware cannot pass.
        """
        return read_graph(self.tree, self.layers, self.inputs, self.outputs)
