# SPDX-License-Identifier: Apache-2.0
"""Add to a model's outputs what a final SOFTMAX makes them from: there noise is not yet squeezed together."""

from copy import copy
from dataclasses import dataclass
from typing import Final

from tflm_build.model.flatbuffer import copy_tree, indices, store
from tflm_build.model.graph import Operand
from tflm_build.model.model import Model

__all__ = ["Opened", "open_softmax"]

_ENDS: Final = ("DEQUANTIZE", "SOFTMAX")
"""What is gone over, from an output on: of each one at most."""


@dataclass(frozen=True)
class Opened:
    """A model with further outputs.

    Attributes:
        flatbuffer: the model.
        signals: for each output of the model before, what stands for it: the tensor before a final SOFTMAX, or itself.
        places: of these among the outputs.
        count: of all outputs.
    """

    flatbuffer: bytes
    signals: tuple[Operand, ...]
    places: tuple[int, ...]
    count: int


def open_softmax(model: Model) -> Opened:
    """Add the input of each final SOFTMAX, with a DEQUANTIZE behind it or not, to the outputs of a canonical model."""
    main = model.graph.subgraphs[0]
    signals = []
    for output in main.outputs:
        place = output
        for op in _ENDS:
            writer = next((each for each in main.operators if place in {end.place for end in each.outputs}), None)
            if writer is not None and writer.op == op:
                place = writer.reads[0].place
        softmax = any(each.op == "SOFTMAX" and each.reads[0].place == place for each in main.operators)
        signals.append(place if softmax else output)
    tree = copy_tree(model.tree)
    outputs = list(dict.fromkeys([*indices(tree.subgraphs[0].outputs), *signals]))
    tree.subgraphs[0] = copy(tree.subgraphs[0])
    tree.subgraphs[0].outputs = outputs
    tree.metadata = None  # a plan of the memory is that of the model without these outputs
    return Opened(
        store(tree), tuple(main.operands[place] for place in signals), tuple(map(outputs.index, signals)), len(outputs)
    )
