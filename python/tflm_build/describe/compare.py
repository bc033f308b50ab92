# SPDX-License-Identifier: Apache-2.0
"""Compare two descriptions of a model, and check what grew against limits."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from tflm_build.describe.description import Accuracy, Arena, Description
from tflm_build.errors import TflmBuildError
from tflm_build.model.values import Tensor, write_shape

__all__ = ["Comparison", "Fact", "Limit", "Measure", "compare", "exceeded", "read_limit"]


@dataclass(frozen=True)
class Measure:
    """A number of both models.

    Attributes:
        name: what a limit calls it.
        unit: B, MACs, dB or nothing.
        before, after: None where a description does not have it; infinite SQNR: no difference at all.
    """

    name: str
    unit: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float:
        """What was added; 0 where one of the two is not known."""
        if self.before is None or self.after is None or self.before == self.after:
            return 0
        return self.after - self.before


@dataclass(frozen=True)
class Fact:
    """A text that differs; empty where there is none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """What became of a model.

    Attributes:
        names: of both.
        measures: that at least one of them has, changed or not.
        facts: that differ.
    """

    names: tuple[str, str]
    measures: tuple[Measure, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Limit:
    """How much a measure may change for the worse.

    Attributes:
        text: as the user wrote it.
        name: of the measure.
        amount: in the measure's unit, or as a share of what was before.
        relative: whether it is such a share.
    """

    text: str
    name: str
    amount: float
    relative: bool


@dataclass(frozen=True)
class _Kind:
    """A measure: where it is, its unit, what K means, and whether more of it is worse."""

    read: Callable[[Description], float | None]
    unit: str
    thousand: int
    more_is_worse: bool


def _of_arena(read: Callable[[Arena], float]) -> Callable[[Description], float | None]:
    return lambda description: None if description.built is None else read(description.built.arena)


def _of_accuracy(read: Callable[[Accuracy], float | None]) -> Callable[[Description], float | None]:
    def find(description: Description) -> float | None:
        accuracy = None if description.built is None else description.built.accuracy
        return None if accuracy is None else read(accuracy)

    return find


_KINDS: Final = {
    "flash": _Kind(lambda description: description.bytes, "B", 1024, more_is_worse=True),
    "arena": _Kind(_of_arena(lambda arena: arena.size), "B", 1024, more_is_worse=True),
    "activations": _Kind(lambda description: description.peak_bytes, "B", 1024, more_is_worse=True),
    "weights": _Kind(lambda description: description.weight_bytes, "B", 1024, more_is_worse=True),
    "macs": _Kind(lambda description: description.macs, "MACs", 1000, more_is_worse=True),
    "float-error": _Kind(_of_accuracy(lambda found: max(found.float_error, default=None)), "", 1, more_is_worse=True),
    "sqnr": _Kind(
        _of_accuracy(lambda found: min((inf if db is None else db for db in found.sqnr_db), default=None)),
        "dB", 1, more_is_worse=False,
    ),
    "top1": _Kind(_of_accuracy(lambda found: found.top1), "", 1, more_is_worse=False),
}  # fmt: skip


def read_limit(text: str) -> Limit:
    """Read a limit such as arena+5%, flash+1K, macs+10000 or top1-0.01.

    Raises:
        TflmBuildError: the text is not a limit.
    """
    match = re.fullmatch(r"([a-z0-9-]*[a-z0-9])([+-])([0-9]{1,12}(?:\.[0-9]{1,12})?)([KM%]?)", text)
    kind = _KINDS.get(match[1]) if match else None
    if match is None or kind is None or kind.more_is_worse != (match[2] == "+"):
        measures = ", ".join(f"{name}{'+' if kind.more_is_worse else '-'}" for name, kind in _KINDS.items())
        msg = (
            f"`FAIL_IF` got '{text}'; allowed: one of {measures} and a number, with K, M or % behind; such as arena+5%"
        )
        raise TflmBuildError(msg)
    factor = {"": 1, "K": kind.thousand, "M": kind.thousand**2, "%": 0.01}[match[4]]
    return Limit(text, match[1], float(match[3]) * factor, match[4] == "%")


def compare(before: Description, after: Description) -> Comparison:
    """Compare two models, usually two states of one."""
    measures = (Measure(name, kind.unit, kind.read(before), kind.read(after)) for name, kind in _KINDS.items())
    pairs = _facts(before), _facts(after)
    names = dict.fromkeys([*pairs[0], *pairs[1]])
    facts = (Fact(name, pairs[0].get(name, ""), pairs[1].get(name, "")) for name in names)
    return Comparison(
        names=(before.name, after.name),
        measures=tuple(measure for measure in measures if (measure.before, measure.after) != (None, None)),
        facts=tuple(fact for fact in facts if fact.before != fact.after),
    )


def exceeded(comparison: Comparison, limits: Sequence[Limit]) -> Iterator[str]:
    """Say for each limit that is exceeded by how much.

    Raises:
        TflmBuildError: one of the models does not have what is limited.
    """
    measures = {measure.name: measure for measure in comparison.measures}
    for limit in limits:
        measure = measures.get(limit.name)
        if measure is None or measure.before is None or measure.after is None:
            msg = f"`FAIL_IF` got '{limit.text}', but not both models have a number for {limit.name}; leave it out"
            raise TflmBuildError(msg)
        allowed = limit.amount * abs(measure.before) if limit.relative else limit.amount
        worse = measure.change if _KINDS[limit.name].more_is_worse else -measure.change
        if worse > allowed * (1 + 1e-9):  # of two decimal fractions
            share = f" by {abs(measure.change / measure.before):.1%}" if measure.before else ""
            verb = "grew" if measure.change > 0 else "fell"
            yield (
                f"{limit.name} {verb} from {measure.before:,.6g} to {measure.after:,.6g} {measure.unit}".rstrip()
                + f"{share}; allowed: {limit.text}; fix the model, or raise the limit"
            )


def _facts(description: Description) -> dict[str, str]:
    """Return what is text, by name, in the order in which it is shown."""
    facts = {"quantization": description.quantization}
    for kind, group in (("input", description.inputs), ("output", description.outputs)):
        facts |= {f"{kind} {index}": _tensor(tensor) for index, tensor in enumerate(group)}
    facts |= {f"op {used.op}": str(used.count) for used in description.ops}
    narrow = sum(layer.weight_type == "int4" for layer in description.layers)
    facts |= {"layers with int4 weights": str(narrow)} if narrow else {}
    if description.built is not None:
        facts |= _texts("option", description.built.options) | _texts("version of", description.built.versions)
    return facts


def _texts(kind: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return values as text."""
    return {f"{kind} {name}": "none" if value is None else str(value) for name, value in values.items()}


def _tensor(tensor: Tensor) -> str:
    """Describe an input or output in a few words."""
    scale = f", scale {tensor.scale:.9g}, zero point {tensor.zero_point}" if tensor.scale else ""
    return f"{tensor.name}: {tensor.type} {write_shape(tensor.shape)}{scale}"
