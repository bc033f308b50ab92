# SPDX-License-Identifier: Apache-2.0
"""Reduce a flatbuffer to what an interpreter reads, always in the same bytes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import MEMORY_PLAN, copy_tree, indices, load, schema, store
from tflm_build.model.model import Model
from tflm_build.passes.repair import repair
from tflm_build.passes.unnamed import drop_unnamed

__all__ = ["canonicalize", "repack", "with_metadata"]


def canonicalize(
    flatbuffer: bytes,
    *,
    keep_names: bool = False,
    inputs: tuple[str, ...] | None = None,
    outputs: tuple[str, ...] | None = None,
) -> Model:
    """Repair a model, strip names, metadata and calibration ranges, drop what nothing reads, share and align data.

    Tensors and operators keep their order. Doing it twice changes nothing.

    Args:
        flatbuffer: the model.
        keep_names: leave the names of tensors and subgraphs in it.
        inputs: names of the model's inputs, in the order of the flatbuffer; None: those that it has.
        outputs: the same of the outputs.

    Raises:
        TflmBuildError: the bytes are not a TensorFlow Lite model, or sizes beyond the batch are not fixed.
    """
    model = load(flatbuffer)
    repairs = repair(model)
    _refuse_free_sizes(model)
    named_inputs, named_outputs = _io_names(model)
    repairs += drop_unnamed(model)
    layers = tuple(_layer_names(subgraph) for subgraph in model.subgraphs)
    tensors = tuple(tuple(_text(tensor.name) for tensor in subgraph.tensors or []) for subgraph in model.subgraphs)

    model.description = None
    model.signatureDefs = None
    model.metadataBuffer = None
    model.metadata = [entry for entry in model.metadata or [] if entry.name == MEMORY_PLAN] or None
    for subgraph in model.subgraphs:
        subgraph.name = subgraph.name if keep_names else None
        subgraph.debugMetadataIndex = -1
        for tensor in subgraph.tensors or []:
            tensor.name = tensor.name if keep_names else None
            _strip_tensor(tensor)
        for operator in subgraph.operators or []:
            operator.debugMetadataIndex = -1
    _renumber_buffers(model)
    return Model(store(model), model, layers, tensors, inputs or named_inputs, outputs or named_outputs, repairs)


def with_metadata(model: Model, name: bytes, data: bytes) -> Model:
    """Return a canonical model with an entry of metadata, in place of one of that name; it stays canonical."""
    tree = copy_tree(model.tree)
    tree.buffers.append(schema.BufferT(data=data))
    entry = schema.MetadataT(name=name, buffer=len(tree.buffers) - 1)
    tree.metadata = [*(kept for kept in tree.metadata or [] if kept.name != name), entry]
    _renumber_buffers(tree)
    return dataclasses.replace(model, flatbuffer=store(tree), tree=tree)


def repack(model: Model, tree: Any, layers: tuple[tuple[str, ...], ...], names: Mapping[int, str]) -> Model:
    """Return a canonical model whose main subgraph was changed: what nothing names any more is dropped.

    Args:
        model: as it was.
        tree: a changed copy of its tree; it is changed further.
        layers: the names of its layers.
        names: of the tensors in the main subgraph, by `id`.
    """
    drop_unnamed(tree)
    _renumber_buffers(tree)
    tensors = (tuple(names[id(tensor)] for tensor in tree.subgraphs[0].tensors), *model.tensors[1:])
    return dataclasses.replace(model, flatbuffer=store(tree), tree=tree, layers=layers, tensors=tensors)


def _refuse_free_sizes(model: Any) -> None:
    """Refuse an input whose sizes beyond the batch are decided on the device."""
    main = model.subgraphs[0]
    for index in indices(main.inputs):
        tensor = main.tensors[index]
        signature = tuple(indices(tensor.shapeSignature))
        if any(size < 0 for size in signature[1:]):
            msg = (
                f"input '{_text(tensor.name)}' has the shape {signature}; TFLM needs fixed sizes; convert the model "
                "with every size but the batch fixed"
            )
            raise TflmBuildError(msg)


def _strip_tensor(tensor: Any) -> None:
    """Remove from a tensor what no interpreter reads."""
    tensor.shapeSignature = None
    tensor.hasRank = tensor.hasRank and not len(tensor.shape if tensor.shape is not None else ())
    parameters = tensor.quantization
    if parameters is None:
        return
    parameters.min = parameters.max = None
    if parameters.scale is None or not len(parameters.scale):
        tensor.quantization = None


def _renumber_buffers(model: Any) -> None:
    """Keep buffer 0, which is empty, and one buffer for each different content that is read."""
    kept = [schema.BufferT()]
    places: dict[bytes, int] = {b"": 0}

    def place(index: int) -> int:
        data = model.buffers[index].data
        content = b"" if data is None else bytes(data)
        if content not in places:
            places[content] = len(kept)
            kept.append(schema.BufferT(data=content))
        return places[content]

    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors or []:
            tensor.buffer = place(tensor.buffer)
    for entry in model.metadata or []:
        entry.buffer = place(entry.buffer)
    model.buffers = kept


def _layer_names(subgraph: Any) -> tuple[str, ...]:
    """Name each operator after the tensor that it writes, as the converters do."""
    names = []
    for index, operator in enumerate(subgraph.operators or []):
        outputs = indices(operator.outputs)
        name = _text(subgraph.tensors[outputs[0]].name) if outputs else ""
        names.append(name.split(";")[0] or f"operator {index}")
    return tuple(names)


def _io_names(model: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of inputs and outputs: the signature's where there is one, else the tensors'."""
    main = model.subgraphs[0]
    signature = next((entry for entry in model.signatureDefs or [] if entry.subgraphIndex == 0), None)

    def names(ends: Any, entries: Any, kind: str) -> tuple[str, ...]:
        known = {entry.tensorIndex: _text(entry.name) for entry in entries or []}
        return tuple(
            known.get(index) or _text(main.tensors[index].name) or f"{kind}_{position}"
            for position, index in enumerate(indices(ends))
        )

    return (
        names(main.inputs, signature and signature.inputs, "input"),
        names(main.outputs, signature and signature.outputs, "output"),
    )


def _text(name: bytes | None) -> str:
    """Decode a name that may be absent or of a stranger's making."""
    return (name or b"").decode("utf-8", "replace")
