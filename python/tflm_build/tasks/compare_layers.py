# SPDX-License-Identifier: Apache-2.0
"""Compare each operator on TFLM with an independent reference on equal inputs: in a child process."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from tflm_build.arrays import Array, distance, same_answers
from tflm_build.model.decode import read_decode
from tflm_build.model.fully_connected import read_fully_connected
from tflm_build.model.graph import Operand, Operator
from tflm_build.model.model import Model
from tflm_build.model.reciprocal_root import read_reciprocal_root
from tflm_build.model.state import find_state
from tflm_build.model.svdf import read_svdf
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.stand_alone import activations, cut_apart
from tflm_build.tasks.attempt import SECONDS, attempt_vectors
from tflm_build.tasks.run_litert import RESOLVERS, follow_tensors, run_on_any, run_vectors
from tflm_build.tasks.trace_tflm import refuse_stale, trace_ends
from tflm_build.used_memory import PATTERNS

__all__ = ["run"]

_OWN_KERNELS: Final = (read_fully_connected, read_reciprocal_root, read_svdf)
"""What is computed here: LiteRT rounds one otherwise, is far from another one's answers, and cannot run the third."""

_FEW: Final = 2
"""Vectors in which layers are compared in memory of either pattern, where all have given the same answers."""

_ROOM: Final = 1 << 28
"""Bytes of activations that are kept at once; there are some copies of them."""

_FAR: Final = float(np.finfo(np.float64).max)


class _Row(NamedTuple):
    """How far an operator is from a reference: see `run`."""

    reference: int
    difference: float
    vector: int
    largest: float


_UNKNOWN: Final = _Row(-1, float("inf"), 0, 0.0)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Follow vectors through TFLM, give every operator's inputs to the references, and compare what they write.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (vectors, *shape) in the tensor's type; `answers`: per
            output what TFLM answered in an arena of the smallest size, if that is known.

    Returns:
        `layers`: arrays with a number per operator of the main subgraph: the reference, a place in RESOLVERS, one
        behind these for our own computation, -1 for none; the largest difference of all that it writes, infinite
        without a reference; the vector that has it; the largest magnitude in the reference's answer. `outputs`: per
        output what LiteRT answers to the vectors; absent where LiteRT does not run the model.

    Raises:
        TflmBuildError: an operator reads memory that nobody wrote.
    """
    flatbuffer, inputs = request["flatbuffer"], request["inputs"]
    model = canonicalize(flatbuffer)
    answers = request.get("answers", ())
    count, step = len(inputs[0]), _at_once(model)
    parts, wholes = [], []
    for start in range(0, count, step):
        some, given = ([array[start : start + step] for array in arrays] for arrays in (inputs, answers))
        rows, whole = _compare_some(model, some, given, max(0, _FEW - start))
        parts.append([row._replace(vector=row.vector + start) for row in rows])
        wholes.append(whole)
    rows = [
        max(rows, key=lambda row: row.difference)._replace(largest=max(row.largest for row in rows))
        for rows in zip(*parts, strict=True)
    ]
    outputs = {} if None in wholes else {"outputs": [np.concatenate(arrays) for arrays in zip(*wholes, strict=True)]}
    return {"layers": list(np.array(rows, np.float64).reshape(-1, 4).T), **outputs}


def _at_once(model: Model) -> int:
    """Return how many vectors are followed at once: as many as have room; all, where one depends on those before."""
    ends = activations(model.graph.subgraphs[0].operands)
    return sys.maxsize if find_state(model.graph).kept else max(1, _ROOM // max(1, sum(end.bytes or 0 for end in ends)))


def _compare_some(
    model: Model, inputs: Sequence[Array], answers: Sequence[Array], few: int
) -> tuple[list[_Row], list[Array] | None]:
    """Compare the operators on some vectors; return also what LiteRT answers to them, None where it does not.

    Where all have given the same answers, they were run in memory of either pattern: few then tell for each layer. None
    need to where each layer is equal to a reference, which had other memory.
    """
    values = trace_ends(model, inputs, PATTERNS[1])
    alike, whole = _follow(model, inputs, values)
    rows = _compare(model, values, alike) if values else [_UNKNOWN] * len(model.graph.subgraphs[0].operators)
    same = _answers_are(model, values, answers)
    count = few if same else len(inputs[0])
    if count and not (same and all(row.difference == 0 for row in rows)):
        other = trace_ends(model, [array[:count] for array in inputs], PATTERNS[0])
        refuse_stale(model, {place: array[:count] for place, array in values.items()}, other)
    return rows, whole


def _follow(
    model: Model, inputs: Sequence[Array], values: Mapping[int, Array]
) -> tuple[frozenset[int], list[Array] | None]:
    """Run the whole model on LiteRT.

    Returns:
        The places of the tensors that hold in all vectors what they hold on TFLM, where LiteRT can tell; and per output
        an array (vectors, *shape), None where LiteRT does not run the model.
    """
    kept = find_state(model.graph).kept
    if values and not kept:
        work = partial(_follow_here, model, list(values), len(inputs))
        found = attempt_vectors(work, [*inputs, *values.values()], SECONDS, in_order=False)
        if found is not None:
            alike = (place for place, same in zip(values, found["alike"], strict=True) if same.all())
            return frozenset(alike), found["outputs"]
    whole = run_on_any(model.flatbuffer, inputs, in_order=kept)
    return frozenset(), None if whole is None else whole["outputs"]


def _follow_here(model: Model, places: Sequence[int], count: int, arrays: Sequence[Array]) -> dict[str, Any]:
    """Run vectors in this process, and compare tensors with what TFLM has in them."""
    inputs, values = arrays[:count], arrays[count:]
    outputs = model.graph.subgraphs[0].outputs
    answers, alike = [], []
    followed = follow_tensors(model.flatbuffer, inputs, [*places, *outputs])
    for tensors, theirs in zip(followed, zip(*values, strict=True), strict=True):
        pairs = zip(tensors[: len(places)], theirs, strict=True)
        alike.append([one.shape == other.shape and np.array_equal(one, other) for one, other in pairs])
        answers.append(tensors[len(places) :])
    return {
        "outputs": [np.stack(column) for column in zip(*answers, strict=True)],
        "alike": [np.array(column) for column in zip(*alike, strict=True)],
    }


def _answers_are(model: Model, values: Mapping[int, Array], answers: Sequence[Array]) -> bool:
    """Say whether the outputs that were traced are those that the model gave before."""
    pairs = zip(model.graph.subgraphs[0].outputs, answers, strict=False)  # none are known
    traced = [(values[place], answer) for place, answer in pairs if place in values]
    return same_answers(*zip(*traced, strict=True)) if traced else False


def _compare(model: Model, values: Mapping[int, Array], alike: frozenset[int]) -> list[_Row]:
    """Return a row for each operator: that of the reference which is nearest, for a reference may be wrong itself.

    Args:
        model: canonical.
        values: what TFLM has in each tensor (vectors, *shape).
        alike: the places of tensors that hold the same where LiteRT's reference kernels run the whole model: an
            operator between such tensors had equal inputs, and its answers are equal.
    """
    operators = model.graph.subgraphs[0].operators
    written = [[operand.place for operand in activations(operator.outputs)] for operator in operators]
    rows = [_compute(operator, values, written[place]) for place, operator in enumerate(operators)]
    for place, operator in enumerate(operators):
        ends = {*written[place], *(operand.place for operand in activations(operator.reads))}
        if rows[place].difference != 0 and written[place] and ends <= alike:
            rows[place] = _row(0, values, values, written[place])
    for number, resolver in enumerate(RESOLVERS):
        left = [place for place, row in enumerate(rows) if row.difference != 0]
        found = _ask(model, _units(operators, left), values, resolver)
        for place in left:
            if written[place] and found.keys() >= set(written[place]):
                row = _row(number, found, values, written[place])
                rows[place] = min(row, rows[place], key=lambda row: row.difference)
    for place, operator in enumerate(operators):
        states = {operand.place for operand in operator.outputs if operand.variable}
        reader = next((row for row, other in zip(rows, operators, strict=True) if states & _states(other.reads)), None)
        if not written[place] and reader is not None:  # who reads the state was compared behind this operator
            rows[place] = reader._replace(difference=0.0)
    return rows


def _compute(operator: Operator, values: Mapping[int, Array], written: Sequence[int]) -> _Row:
    """Return the row of an operator that is computed here; an unknown one for all others."""
    row = _UNKNOWN
    unpacked = read_decode(operator) or []
    if unpacked and len(unpacked) == len(written) and values.keys() >= set(written):
        count = len(next(iter(values.values())))
        answer = {index: np.stack([array] * count) for index, array in zip(written, unpacked, strict=True)}
        row = _row(len(RESOLVERS), answer, values, written)
    for read in _OWN_KERNELS:
        layer = read(operator)
        # A constant or a state has no values of the vectors: a layer that has one there is left to LiteRT.
        if layer is not None and written and operator.reads[0].place in values:
            answer = {written[0]: layer.answer(values[operator.reads[0].place])}
            row = _row(len(RESOLVERS), answer, values, written)
    return row


def _states(operands: Sequence[Operand]) -> set[int]:
    """Return the places of those that are state."""
    return {operand.place for operand in operands if operand.variable}


def _units(operators: Sequence[Operator], places: Sequence[int]) -> list[list[int]]:
    """Return operators alone, but those that share variables or state together."""
    sharing = [
        place
        for place in places
        if any(operand.type == "resource" for operand in (*operators[place].reads, *operators[place].outputs))
        or not operators[place].outputs
    ]
    units = [sharing] if sharing else []
    for place in places:
        states = _states((*operators[place].reads, *operators[place].outputs))
        same = [
            unit
            for unit in units
            if any(states & _states((*operators[other].reads, *operators[other].outputs)) for other in unit)
        ]
        if place not in sharing:
            units = [unit for unit in units if unit not in same] + [
                [*(other for unit in same for other in unit), place]
            ]
    return units


def _ask(model: Any, units: Sequence[Sequence[int]], values: Mapping[int, Array], resolver: str) -> dict[int, Array]:
    """Return what LiteRT answers for the operators that it has and survives, found by halving."""
    if not units:
        return {}
    cut = cut_apart(model, [place for unit in units for place in unit])
    inputs = [values[index] for index in cut.inputs]
    work = partial(_answer_here, cut.flatbuffer, resolver, len(next(iter(values.values()))))
    answer = attempt_vectors(work, inputs, SECONDS, in_order=find_state(model.graph).kept)
    if answer is not None:
        return dict(zip(cut.outputs, answer["outputs"], strict=True))
    if len(units) == 1:
        return {}
    half = len(units) // 2
    return _ask(model, units[:half], values, resolver) | _ask(model, units[half:], values, resolver)


def _answer_here(flatbuffer: bytes, resolver: str, count: int, inputs: Sequence[Array]) -> dict[str, Any]:
    """Run operators that stand alone: on each vector, or so many times where they read none."""
    return {"outputs": run_vectors(flatbuffer, inputs, resolver, None if inputs else count)}


def _row(number: int, answer: Mapping[int, Array], values: Mapping[int, Array], tensors: Sequence[int]) -> _Row:
    """Compare what one operator wrote."""
    worst, vector, largest = 0.0, 0, 0.0
    for index in tensors:
        got, wanted = (array.reshape(len(array), -1) for array in (values[index], answer[index]))
        if got.shape != wanted.shape:
            return _Row(number, _FAR, 0, 0.0)
        if not np.array_equal(got, wanted):
            far = np.nan_to_num(distance(got, wanted), nan=_FAR, posinf=_FAR)
            if far.max() > worst:
                worst, vector = float(far.max()), int(far.max(axis=1).argmax())
        finite = np.where(np.isfinite(wanted), wanted, 0) if wanted.dtype.kind == "f" else wanted
        largest = max(largest, float(finite.max(initial=0)), -float(finite.min(initial=0)))
    return _Row(number, worst, vector, largest)
