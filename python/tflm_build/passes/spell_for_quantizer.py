# SPDX-License-Identifier: Apache-2.0
"""Spell, in a float model, what TensorFlow's quantizer refuses, or quantizes by chance: in ops that answer the same."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from tflm_build.model.change import Proposal
from tflm_build.model.flatbuffer import indices
from tflm_build.passes.draft import Draft
from tflm_build.passes.identities import layer_name
from tflm_build.passes.spell_parts import spell_outputs

__all__ = ["propose_for_int16", "propose_for_quantizer"]


def propose_for_quantizer(draft: Draft, operator: Any) -> Proposal | None:
    """Return operators that take the parts that are read of a tensor, where not all of them are.

    Whether the quantizer makes such an operator one of integers differs from run to run: in TensorFlow 2.21, of 25
    conversions of one SPLIT with an output that nobody reads, 5 left it to real numbers.
    """
    parts = indices(operator.outputs)
    if draft.op(operator) not in {"SPLIT", "SPLIT_V", "UNPACK"} or all(map(draft.needed, parts)):
        return None
    return spell_outputs(draft, operator)


def propose_for_int16(draft: Draft, operator: Any) -> Proposal | None:
    """Return operators that compute what one does that cannot be quantized to int16."""
    count, rule = _RULES.get(draft.op(operator), (0, None))
    given = draft.given(operator, count)
    if rule is None or given is None or draft.type(given[1][0]) != "float32":
        return None
    after = rule(draft, operator, given[0], given[1][0])
    return None if after is None else Proposal((operator,), tuple(after))


def _negative(draft: Draft, _operator: Any, read: Sequence[int], target: int) -> list[Any]:
    """Multiply by -1."""
    return [draft.new_operator("MUL", (read[0], _number(draft, -1)), (target,))]


def _square(draft: Draft, _operator: Any, read: Sequence[int], target: int) -> list[Any]:
    """Multiply a tensor by itself."""
    return [draft.new_operator("MUL", (read[0], read[0]), (target,))]


def _squared_difference(draft: Draft, operator: Any, read: Sequence[int], target: int) -> list[Any]:
    """Subtract, and multiply by itself: LiteRT has no int16 kernel that TFLM's could be compared with."""
    difference = draft.new(draft.shape(target), like=target, name=layer_name(draft, operator))
    return [
        draft.new_operator("SUB", read, (difference,)),
        draft.new_operator("MUL", (difference, difference), (target,)),
    ]


def _prelu(draft: Draft, operator: Any, read: Sequence[int], target: int) -> list[Any] | None:
    """Add what is above 0, and the multiple of what is below."""
    slopes = draft.value(read[1])
    if slopes is None:
        return None
    name, shape = layer_name(draft, operator), draft.shape(target)
    above, turned, below, product = (draft.new(shape, like=target, name=name) for _ in range(4))
    return [
        draft.new_operator("RELU", read[:1], (above,)),
        draft.new_operator("MUL", (read[0], _number(draft, -1)), (turned,)),
        draft.new_operator("RELU", (turned,), (below,)),
        draft.new_operator("MUL", (below, draft.new_constant(-slopes, "float32")), (product,)),
        draft.new_operator("ADD", (above, product), (target,)),
    ]


def _number(draft: Draft, value: float) -> int:
    """Add a constant of one real number."""
    return draft.new_constant(np.array([value], np.float32), "float32")


_RULES: Final[Mapping[str, tuple[int, Callable[[Draft, Any, Sequence[int], int], list[Any] | None]]]] = {
    "NEG": (1, _negative),
    "PRELU": (2, _prelu),
    "SQUARE": (1, _square),
    "SQUARED_DIFFERENCE": (2, _squared_difference),
}
"""By op: how many inputs it has, and what spells it."""
