# SPDX-License-Identifier: Apache-2.0
"""Rewrite a model in ops that TFLM has, and leave out what moves and changes nothing, with what is to be proven of it.

Each rule is exact: equal integers, equal bits of real numbers. A rule only proposes; what it took away and what it put
in its place stand side by side in a `Change`, as models of their own.
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Final

from tflm_build.model.flatbuffer import MEMORY_PLAN, indices, schema
from tflm_build.passes.change import Change, Proposal
from tflm_build.passes.draft import Draft
from tflm_build.passes.fold import Evaluate, fold
from tflm_build.passes.identities import layer_name, propose_identity
from tflm_build.passes.spell import propose_spelling
from tflm_build.passes.unnamed import drop_unnamed

__all__ = ["rewrite"]

_RULES: Final[Sequence[Callable[[Draft, Any], Proposal | None]]] = (propose_identity, propose_spelling)


def rewrite(tree: Any, evaluate: Evaluate) -> tuple[Change, ...]:
    """Rewrite all subgraphs of an unpacked model, in place.

    Args:
        tree: what `load` returned; its shapes are fixed.
        evaluate: runs a model without inputs.

    Returns:
        What was changed; nothing for most models.
    """
    changes: list[Change] = []
    for subgraph in tree.subgraphs:
        draft = Draft(tree, subgraph)
        while found := [*fold(draft, evaluate), *_sweep(draft)]:
            changes += found
            draft.drop_dead()
    if changes:
        tree.metadata = [entry for entry in tree.metadata or [] if entry.name != MEMORY_PLAN] or None
        drop_unnamed(tree)
        _drop_codes(tree)
    return tuple(changes)


def _sweep(draft: Draft) -> list[Change]:
    """Go once over the operators, and do what a rule proposes."""
    changes = []
    for operator in draft.operators:
        for rule in _RULES:
            if not any(operator is other for other in draft.operators):
                break  # an earlier proposal took it away
            proposal = rule(draft, operator)
            if proposal is not None and (change := _accept(draft, operator, proposal)) is not None:
                changes.append(change)
                break
    return changes


def _accept(draft: Draft, operator: Any, proposal: Proposal) -> Change | None:
    """Do what was proposed; None where it cannot be."""
    before, after, source = proposal.before, proposal.after, proposal.source
    outputs = indices(operator.outputs)
    if source is not None and not draft.can_join(source, outputs[0]):
        return None
    within = {place for each in before for place in indices(each.outputs)}
    read = [place for each in before for place in indices(each.inputs) if place != -1 and place not in within]
    inputs = [place for place in dict.fromkeys(read) if not draft.constant(place)]
    change = Change(
        "spelled" if source is None else "identity",
        layer_name(draft, operator),
        tuple(map(draft.op, before)),
        tuple(map(draft.op, after)),
        tuple((draft.type(place), draft.shape(place)) for place in inputs),
        (draft.cut(before, inputs, outputs), draft.cut(after, inputs, outputs) if source is None else b""),
    )
    draft.replace(operator, after)
    if source is not None:
        draft.join(source, outputs[0])
    return change


def _drop_codes(tree: Any) -> None:
    """Keep the codes of ops that are left, in their order."""
    operators = [operator for subgraph in tree.subgraphs for operator in subgraph.operators or []]
    used = sorted({operator.opcodeIndex for operator in operators})
    for operator in operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)
    tree.operatorCodes = [tree.operatorCodes[place] for place in used] or [copy(schema.OperatorCodeT())]
