# SPDX-License-Identifier: Apache-2.0
"""Drop tensors that nothing names: TFLM gives each memory, and every reader takes time for it."""

from typing import Any, Final

import numpy as np

from tflm_build.model.flatbuffer import MEMORY_PLAN, indices

__all__ = ["drop_unnamed"]

_HEAD: Final = 3  # words of a plan before the offsets


def drop_unnamed(model: Any) -> tuple[str, ...]:
    """Drop from an unpacked model, in place, the tensors that no operator, input or output names.

    The rest keep their order. A memory plan follows. Signatures are not looked at.

    Returns:
        A sentence if the model has a memory plan that is not one of its tensors, which is dropped.
    """
    counts = [len(subgraph.tensors or []) for subgraph in model.subgraphs]
    kept = [_named(subgraph) for subgraph in model.subgraphs]
    for subgraph, places, count in zip(model.subgraphs, kept, counts, strict=True):
        if len(places) < count:
            _keep(subgraph, places)
    found: tuple[str, ...] = ()
    for entry in [entry for entry in model.metadata or [] if entry.name == MEMORY_PLAN]:
        buffer = model.buffers[entry.buffer]
        content = b"" if buffer.data is None else bytes(buffer.data)
        words = np.frombuffer(content[: len(content) // 4 * 4], "<i4")
        place = int(words[1]) if len(words) >= _HEAD else -1
        if not (0 <= place < len(counts) and words[2] == counts[place] == len(words) - _HEAD):
            model.metadata.remove(entry)
            found = ("the memory plan is not one of the model's tensors, and TFLM would refuse it: left out",)
        elif len(kept[place]) < counts[place]:
            plan = [*words[:2], len(kept[place]), *words[_HEAD:][kept[place]]]
            entry.buffer = len(model.buffers)
            model.buffers.append(type(buffer)(data=np.array(plan, "<i4").view(np.uint8)))
    return found


def _named(subgraph: Any) -> list[int]:
    """Return the places of the tensors that anything names."""
    named = {*indices(subgraph.inputs), *indices(subgraph.outputs)}
    for operator in subgraph.operators or []:
        named.update(indices(operator.inputs), indices(operator.outputs), indices(operator.intermediates))
    return sorted(named - {-1})


def _keep(subgraph: Any, places: list[int]) -> None:
    """Keep the tensors in these places alone."""
    moved = {-1: -1} | {old: new for new, old in enumerate(places)}

    def renumber(owner: Any, *fields: str) -> None:
        for field in fields:
            vector = getattr(owner, field)
            if vector is not None:
                setattr(owner, field, np.array([moved[index] for index in indices(vector)], np.int32))

    subgraph.tensors = [subgraph.tensors[place] for place in places]
    renumber(subgraph, "inputs", "outputs")
    for operator in subgraph.operators or []:
        renumber(operator, "inputs", "outputs", "intermediates")
