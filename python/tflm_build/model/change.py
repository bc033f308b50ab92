# SPDX-License-Identifier: Apache-2.0
"""What a pass proposes, what became of it, and the two small models whose equal answers prove it."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Change", "Models", "Proposal"]

Models = tuple[bytes, bytes]
"""Operators before and after, as models of their own; the second is empty where the input itself is the answer."""


@dataclass(frozen=True)
class Proposal:
    """What would compute the same as some operators.

    Attributes:
        before: operators, one after the other; the last is the one that goes.
        after: what stands in its place, and writes what it wrote.
        source: the tensor whose elements the operator writes, in place of `after`: an identity.
    """

    before: tuple[Any, ...]
    after: tuple[Any, ...] = ()
    source: int | None = None


@dataclass(frozen=True)
class Change:
    """What was rewritten.

    Attributes:
        kind: "folded": computed here; "identity": left out; "spelled": other operators stand for it.
        layer: the name of its layer.
        before, after: ops.
        inputs: type and shape of what the two models below are given.
        models: the operators before and after: equal inputs, equal answers. None: an interpreter computed it already.
    """

    kind: str
    layer: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    models: Models | None = None
