# SPDX-License-Identifier: Apache-2.0
"""Describe each layer of a model: its work, what it reads and writes, and the memory that is in use while it runs."""

from collections.abc import Sequence

from tflm_build.model.graph import Graph, Operand
from tflm_build.model.lifetimes import live_bytes
from tflm_build.model.loops import count_runs
from tflm_build.model.values import Layer, LayerTensor
from tflm_build.model.workload import count_macs, size_of

__all__ = ["describe_layers"]


def describe_layers(graph: Graph, *, lacking: bool = False) -> tuple[Layer, ...]:
    """Describe all operators of all subgraphs, in the order of the flatbuffer.

    Args:
        graph: the model.
        lacking: give 0 multiply-accumulates to an operator that TFLM lacks, instead of refusing it.

    Raises:
        TflmBuildError: an operator has tensors that its work cannot be computed from, or TFLM lacks it.
    """
    live, runs = live_bytes(graph), count_runs(graph)
    counted: set[int] = set()
    layers: list[Layer] = []
    for place, subgraph in enumerate(graph.subgraphs):
        for operator in subgraph.operators:
            macs = count_macs(operator, lacking=lacking) * runs[place]
            tensors = {tensor.place: tensor for tensor in (*operator.reads, *operator.outputs)}.values()
            constants = [tensor for tensor in tensors if tensor.constant]
            fresh = {tensor.buffer: len(tensor.data) for tensor in constants if tensor.buffer not in counted}
            counted.update(fresh)
            layers.append(
                Layer(
                    op=operator.op,
                    layer=operator.layer,
                    macs=macs,
                    parameters=sum(tensor.elements for tensor in constants),
                    weight_bytes=sum(fresh.values()),
                    activation_bytes=sum(size_of(operator, tensor) for tensor in tensors if not tensor.constant),
                    subgraph=place,
                    inputs=_tensors(operator.reads),
                    outputs=_tensors(operator.outputs),
                    live_bytes=None if live is None else live[len(layers)],
                )
            )
    return tuple(layers)


def _tensors(operands: Sequence[Operand]) -> tuple[LayerTensor, ...]:
    """Describe what an operator reads or writes."""
    return tuple(LayerTensor(each.place, each.type, each.shape, each.constant) for each in operands)
