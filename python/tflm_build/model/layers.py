# SPDX-License-Identifier: Apache-2.0
"""Describe each layer of a model: its work, what it reads and writes, and the memory that is in use while it runs."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from tflm_build.model.flatbuffer import indices, load, tensor_type_name
from tflm_build.model.workload import LayerWork, layer_work
from tflm_build.passes.canonical import Canonical
from tflm_build.passes.memory_plan import live_bytes

__all__ = ["End", "Layer", "describe_layers"]


@dataclass(frozen=True)
class End:
    """A tensor at an end of an operator.

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
class Layer(LayerWork):
    """What one operator costs, and what it reads and writes.

    Attributes:
        subgraph: its place; 0 is the one that is run.
        inputs: what it reads, without optional inputs that are left out.
        outputs: what it writes.
        live_bytes: activations that live while it runs, each rounded up to 16, as TFLM plans them, without what kernels
            ask for themselves; None for a model of several subgraphs, or with elements of no fixed size.
    """

    subgraph: int
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    live_bytes: int | None


def describe_layers(canonical: Canonical, *, lacking: bool = False) -> tuple[Layer, ...]:
    """Describe all operators of all subgraphs, in the order of the flatbuffer.

    Args:
        canonical: the model.
        lacking: give 0 multiply-accumulates to an operator that TFLM lacks, instead of refusing it.

    Raises:
        TflmBuildError: an operator has tensors of which its work cannot be told, or TFLM lacks it.
    """
    works = layer_work(canonical, lacking=lacking)
    model = load(canonical.flatbuffer)
    operators = [
        (place, subgraph, operator)
        for place, subgraph in enumerate(model.subgraphs)
        for operator in subgraph.operators or []
    ]
    live = live_bytes(model)
    return tuple(
        Layer(
            **{field.name: getattr(work, field.name) for field in dataclasses.fields(LayerWork)},
            subgraph=place,
            inputs=_ends(model, subgraph, operator.inputs),
            outputs=_ends(model, subgraph, operator.outputs),
            live_bytes=None if live is None else live[index],
        )
        for index, (work, (place, subgraph, operator)) in enumerate(zip(works, operators, strict=True))
    )


def _ends(model: Any, subgraph: Any, ends: Any) -> tuple[End, ...]:
    """Describe what an operator reads or writes; -1 stands for an optional input that is left out."""
    tensors = [(index, subgraph.tensors[index]) for index in indices(ends) if index != -1]
    return tuple(
        End(
            tensor=index,
            type=tensor_type_name(tensor.type),
            shape=tuple(indices(tensor.shape)),
            constant=model.buffers[tensor.buffer].data is not None,
        )
        for index, tensor in tensors
    )
