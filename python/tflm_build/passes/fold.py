# SPDX-License-Identifier: Apache-2.0
"""Compute what is constant: the shapes that a model asks for at batch 1, and whatever follows from them."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.change import Change
from tflm_build.model.flatbuffer import indices
from tflm_build.model.ops import kernels
from tflm_build.model.types import TYPES, bytes_of
from tflm_build.passes.draft import Draft
from tflm_build.passes.identities import layer_name

__all__ = ["Evaluate", "fold", "fold_weights"]

Evaluate = Callable[[bytes], Sequence[Array] | None]
"""Run a model that has no inputs: its outputs; None where no interpreter runs it."""

_NEVER: Final = ("CALL", "IF", "MULTINOMIAL", "RANDOM", "STABLEHLO", "WHILE")
"""How the names of ops begin that draw at random or run subgraphs."""

_ROOM: Final = 1024
"""Bytes by which a constant may be larger than what it is computed from, where TFLM could compute it on the device."""


def fold(draft: Draft, evaluate: Evaluate) -> list[Change]:
    """Let an interpreter compute, once, all operators of a subgraph that depend on no input, and hold their answers."""
    changes = _fold_shapes(draft)
    known: set[int] = set()
    folded = []
    for operator in draft.operators:
        if _foldable(draft, operator, known):
            folded.append(operator)
            known.update(indices(operator.outputs))
    return [*changes, *_compute(draft, evaluate, folded)]


def fold_weights(draft: Draft, evaluate: Evaluate, *, everything: bool) -> list[Change]:
    """Hold the real numbers that DEQUANTIZE makes of weights, whatever their bytes.

    Args:
        draft: of a subgraph.
        evaluate: computes them.
        everything: all of them, as a quantizer needs it; else those that TFLM's kernel cannot read: it has none for 4
            bits, and takes the first scale for all channels.
    """
    found = []
    for operator in draft.operators:
        given = draft.given(operator, 1) if draft.op(operator) == "DEQUANTIZE" else None
        if given is None or not draft.constant(given[0][0]) or given[1][0] in draft.outputs:
            continue
        if everything or draft.type(given[0][0]) == "int4" or len(draft.scaling(given[0][0])[0]) > 1:
            found.append(operator)
    return _compute(draft, evaluate, found)


def _compute(draft: Draft, evaluate: Evaluate, folded: Sequence[Any]) -> list[Change]:
    """Hold what operators answer that depend on constants alone, and drop them."""
    known = {place for operator in folded for place in indices(operator.outputs)}
    ours = {id(operator) for operator in folded}
    wanted = sorted(place for place in known if any(id(reader) not in ours for reader in draft.readers(place)))
    if not wanted:
        return []
    answers = evaluate(draft.cut(folded, (), wanted))
    if answers is None or [answer.shape for answer in answers] != [draft.shape(place) for place in wanted]:
        return []  # sizes that a file leaves to the interpreter are not for a constant
    for place, values in zip(wanted, answers, strict=True):
        draft.hold(place, values)
    draft.operators = [operator for operator in draft.operators if id(operator) not in ours]
    return [Change("folded", layer_name(draft, operator), (draft.op(operator),), ()) for operator in folded]


def _fold_shapes(draft: Draft) -> list[Change]:
    """Answer what asks for a shape: all are fixed here."""
    changes = []
    for operator in draft.operators:
        op, given = draft.op(operator), draft.given(operator, 1)
        if op in {"SHAPE", "RANK"} and given is not None and given[1][0] not in draft.outputs:
            shape = draft.shape(given[0][0])
            draft.hold(given[1][0], np.array(shape if op == "SHAPE" else len(shape)))
            draft.replace(operator, ())
            changes.append(Change("folded", layer_name(draft, operator), (op,), ()))
    return changes


def _foldable(draft: Draft, operator: Any, known: set[int]) -> bool:
    """Say whether an operator depends on constants alone, and its answer is worth its bytes."""
    op, read, written = draft.op(operator), indices(operator.inputs), indices(operator.outputs)
    given = [index for index in read if index != -1]
    if not given or not written or draft.custom(operator) or op.startswith(_NEVER) or draft.keeps(operator):
        return False
    if not all(index in known or draft.constant(index) for index in given) or {*written} & {*draft.outputs}:
        return False
    if any(getattr(TYPES.get(draft.type(index)), "dtype", None) is None for index in written):
        return False
    if op not in kernels() or any(draft.type(index) == "float16" for index in given):
        return True
    size = sum(bytes_of(int(np.prod(draft.shape(index))), draft.type(index)) for index in written)
    return size <= sum(map(draft.size, given)) + _ROOM
