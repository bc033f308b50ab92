# SPDX-License-Identifier: Apache-2.0
"""Rewrite a model in ops that TFLM has, and leave out what moves and changes nothing, with what is to be proven of it.

Each rule is exact: equal integers, equal bits of real numbers. A rule only proposes; what it took away and what it put
in its place stand side by side in a `Change`, as models of their own.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from copy import copy
from typing import Any, Final

from tflm_build.model.change import Change, Models, Proposal
from tflm_build.model.flatbuffer import MEMORY_PLAN, indices, load, schema, store
from tflm_build.model.types import TYPES
from tflm_build.passes.draft import Draft
from tflm_build.passes.fold import Evaluate, fold, fold_weights
from tflm_build.passes.identities import layer_name, propose_identity
from tflm_build.passes.spell import propose_spelling
from tflm_build.passes.spell_for_quantizer import propose_for_int16, propose_for_quantizer
from tflm_build.passes.unnamed import drop_unnamed

__all__ = ["hold_weights", "rewrite", "spell_for_quantizer"]

_Rules = Sequence[Callable[[Draft, Any], Proposal | None]]

_FOR_TFLM: Final[_Rules] = (propose_identity, propose_spelling)
_FOR_QUANTIZER: Final[Mapping[str, _Rules]] = {
    "int8": (propose_for_quantizer,),
    "int16x8": (propose_for_quantizer, propose_for_int16),
}


def rewrite(tree: Any, evaluate: Evaluate, refuted: Container[Models] = ()) -> tuple[Change, ...]:
    """Rewrite all subgraphs of an unpacked model, in place.

    Args:
        tree: what `load` returned; its shapes are fixed.
        evaluate: runs a model without inputs.
        refuted: what must not be changed again: models of a change that did not answer the same.

    Returns:
        What was changed; nothing for most models.
    """
    changes: list[Change] = []
    for subgraph in tree.subgraphs:
        draft = Draft(tree, subgraph)
        while found := [*fold(draft, evaluate), *_sweep(draft, _FOR_TFLM, refuted)]:
            changes += found
            draft.drop_dead()
    if changes:
        _tidy(tree)
    return tuple(changes)


def hold_weights(tree: Any, evaluate: Evaluate, *, everything: bool) -> tuple[Change, ...]:
    """Hold weights in real numbers, in place, where an unpacked model has a DEQUANTIZE for them: see `fold_weights`."""
    changes: list[Change] = []
    for subgraph in tree.subgraphs:
        draft = Draft(tree, subgraph)
        changes += fold_weights(draft, evaluate, everything=everything)
        draft.drop_dead()
    if changes:
        _tidy(tree)
    return tuple(changes)


def spell_for_quantizer(flatbuffer: bytes, quantization: str) -> tuple[bytes, tuple[Change, ...]]:
    """Spell what the quantizer refuses, or quantizes by chance, in a float model that TensorFlow's converter wrote.

    Args:
        flatbuffer: the model; its shapes are fixed.
        quantization: as in options.py.

    Returns:
        The model, with what was changed.
    """
    tree, changes = load(flatbuffer), list[Change]()
    for subgraph in tree.subgraphs:
        changes += _sweep(Draft(tree, subgraph), _FOR_QUANTIZER.get(quantization, ()), ())
    if not changes:
        return flatbuffer, ()
    _tidy(tree)
    return store(tree), tuple(changes)


def _tidy(tree: Any) -> None:
    """Drop what a changed model names no more, and the plan of its memory as it was."""
    tree.metadata = [entry for entry in tree.metadata or [] if entry.name != MEMORY_PLAN] or None
    drop_unnamed(tree)
    _drop_codes(tree)


def _sweep(draft: Draft, rules: _Rules, refuted: Container[Models]) -> list[Change]:
    """Go once over the operators, and do what a rule proposes."""
    changes = []
    for operator in draft.operators:
        for rule in rules:
            if not any(operator is other for other in draft.operators):
                break  # an earlier proposal took it away
            proposal = _ask(rule, draft, operator)
            if proposal is not None and (change := _accept(draft, operator, proposal, refuted)) is not None:
                changes.append(change)
                break
    return changes


def _ask(rule: Callable[[Draft, Any], Proposal | None], draft: Draft, operator: Any) -> Proposal | None:
    """Return what a rule proposes; nothing for state, and for a damaged operator: later stages say what is wrong."""
    try:
        return None if draft.keeps(operator) else rule(draft, operator)
    except (ArithmeticError, IndexError, TypeError, ValueError):
        return None


def _accept(draft: Draft, operator: Any, proposal: Proposal, refuted: Container[Models]) -> Change | None:
    """Do what was proposed; None where it cannot be, or must not."""
    before, after, source = proposal.before, proposal.after, proposal.source
    target, outputs = indices(operator.outputs)[0], list(filter(draft.needed, indices(operator.outputs)))
    if source is not None and not draft.can_join(source, target):
        return None
    within = {place for each in before for place in indices(each.outputs)}
    read = [place for each in before for place in indices(each.inputs) if place != -1 and place not in within]
    inputs = [place for place in dict.fromkeys(read) if not draft.constant(place)]
    if any(getattr(TYPES.get(draft.type(place)), "dtype", None) is None for place in inputs):
        return None  # resources, and what numpy cannot draw
    change = Change(
        "spelled" if source is None else "identity",
        layer_name(draft, operator),
        tuple(map(draft.op, before)),
        tuple(map(draft.op, after)),
        tuple((draft.type(place), draft.shape(place)) for place in inputs),
        (draft.cut(before, inputs, outputs), draft.cut(after, inputs, outputs) if source is None else b""),
    )
    if change.models in refuted:
        return None
    draft.replace(operator, after)
    if source is not None:
        draft.join(source, target)
    return change


def _drop_codes(tree: Any) -> None:
    """Keep the codes of ops that are left, in their order."""
    operators = [operator for subgraph in tree.subgraphs for operator in subgraph.operators or []]
    used = sorted({operator.opcodeIndex for operator in operators})
    for operator in operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)
    tree.operatorCodes = [tree.operatorCodes[place] for place in used] or [copy(schema.OperatorCodeT())]
