# SPDX-License-Identifier: Apache-2.0
"""Spell an op that TFLM lacks, or lacks for these types, in ops that it has: with equal answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tflm_build.model.change import Proposal
from tflm_build.model.flatbuffer import indices
from tflm_build.passes.draft import Draft
from tflm_build.passes.spell_choice import (
    spell_bucketize,
    spell_clip,
    spell_one_hot,
    spell_reduce_any,
    spell_select,
)
from tflm_build.passes.spell_copies import join_resizes, spell_tile
from tflm_build.passes.spell_parts import (
    spell_gather,
    spell_outputs,
    spell_reduce_max,
    spell_strided_slice,
)

__all__ = ["propose_spelling"]

_Rule = Callable[[Draft, Any, Sequence[int], int], Proposal | None]

_RULES: Final[Mapping[str, tuple[int, _Rule]]] = {
    "BUCKETIZE": (1, spell_bucketize),
    "GATHER": (2, spell_gather),
    "ONE_HOT": (4, spell_one_hot),
    "REDUCE_ANY": (2, spell_reduce_any),
    "REDUCE_MAX": (2, spell_reduce_max),
    "RELU_0_TO_1": (1, spell_clip),
    "RELU_N1_TO_1": (1, spell_clip),
    "RESIZE_NEAREST_NEIGHBOR": (2, join_resizes),
    "SELECT": (3, spell_select),
    "SELECT_V2": (3, spell_select),
    "STRIDED_SLICE": (4, spell_strided_slice),
    "TILE": (2, spell_tile),
}
"""By op: how many inputs it has, and what spells it."""


def propose_spelling(draft: Draft, operator: Any) -> Proposal | None:
    """Return operators that compute what one does that TFLM cannot run."""
    if draft.op(operator) == "UNPACK" and draft.type(indices(operator.inputs)[0]) == "bool":
        return spell_outputs(draft, operator)
    count, rule = _RULES.get(draft.op(operator), (0, None))
    given = draft.given(operator, count)
    return None if rule is None or given is None else rule(draft, operator, given[0], given[1][0])
