# SPDX-License-Identifier: Apache-2.0
"""Compare each operator on TFLM with an independent reference on equal inputs: in a child process."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from tflm_build.model.differences import distances
from tflm_build.model.flatbuffer import indices, load
from tflm_build.model.fully_connected import read_fully_connected
from tflm_build.model.svdf import read_svdf
from tflm_build.passes.stand_alone import activations, cut_apart, keeps_state
from tflm_build.tasks.attempt import attempt
from tflm_build.tasks.run_litert import RESOLVERS, run_vectors
from tflm_build.tasks.trace_tflm import PATTERNS, SECONDS, refuse_stale, trace_ends

__all__ = ["run"]

Array = np.ndarray[Any, Any]

_OWN_KERNELS: Final = (read_fully_connected, read_svdf)
"""What is computed here: LiteRT rounds the one otherwise, and cannot run the other."""

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
        request: `flatbuffer`; `inputs`: per input an array (vectors, *shape) in the tensor's type.

    Returns:
        `layers`: arrays with a number per operator of the main subgraph: the reference, a place in RESOLVERS, one
        behind these for our own computation, -1 for none; the largest difference of all that it writes, infinite
        without a reference; the vector that has it; the largest magnitude in the reference's answer. `outputs`: per
        output what LiteRT answers to the vectors; absent where LiteRT does not run the model.

    Raises:
        TflmBuildError: an operator reads memory that nobody wrote.
    """
    flatbuffer, inputs = request["flatbuffer"], request["inputs"]
    model = load(flatbuffer)
    operators = model.subgraphs[0].operators
    values, other = (trace_ends(flatbuffer, inputs, pattern) for pattern in PATTERNS)
    refuse_stale(flatbuffer, values, other)
    rows = _compare(model, values) if values else [_UNKNOWN] * len(operators)
    return {"layers": list(np.array(rows, np.float64).reshape(-1, 4).T), **_whole(flatbuffer, inputs)}


def _whole(flatbuffer: bytes, inputs: Sequence[Array]) -> dict[str, Any]:
    """Run the model as it is on the first LiteRT that does."""
    for resolver in RESOLVERS:
        answer = attempt(
            lambda name=resolver: {"outputs": run_vectors(flatbuffer, inputs, name)}, SECONDS * len(inputs[0])
        )
        if answer is not None:
            return answer
    return {}


def _compare(model: Any, values: Mapping[int, Array]) -> list[_Row]:
    """Return a row for each operator: that of the reference which is nearest, for a reference may be wrong itself."""
    operators = model.subgraphs[0].operators
    written = [activations(model, operator.outputs) for operator in operators]
    rows = [_UNKNOWN] * len(operators)
    for place, operator in enumerate(operators):
        for read in _OWN_KERNELS:
            layer = read(model, model.subgraphs[0], operator)
            if layer is not None:
                answer = {written[place][0]: layer.answer(values[int(operator.inputs[0])])}
                rows[place] = _row(len(RESOLVERS), answer, values, written[place])
    for number, resolver in enumerate(RESOLVERS):
        left = [place for place, row in enumerate(rows) if row.difference != 0]
        found = _ask(model, _units(model, left), values, resolver)
        for place in left:
            if written[place] and found.keys() >= set(written[place]):
                row = _row(number, found, values, written[place])
                rows[place] = min(row, rows[place], key=lambda row: row.difference)
    return rows


def _units(model: Any, places: Sequence[int]) -> list[list[int]]:
    """Return operators alone, but those that share state together."""
    main = model.subgraphs[0]
    sharing = [
        place
        for place in places
        if any(
            keeps_state(main.tensors[index]) and not main.tensors[index].isVariable
            for index in (*indices(main.operators[place].inputs), *indices(main.operators[place].outputs))
            if index != -1
        )
        or not activations(model, main.operators[place].outputs)
    ]
    return [*([sharing] if sharing else []), *([place] for place in places if place not in sharing)]


def _ask(model: Any, units: Sequence[Sequence[int]], values: Mapping[int, Array], resolver: str) -> dict[int, Array]:
    """Return what LiteRT answers for the operators that it has and survives, found by halving."""
    if not units:
        return {}
    cut = cut_apart(model, [place for unit in units for place in unit])
    inputs = [values[index] for index in cut.inputs]
    count = len(next(iter(values.values())))
    work = partial(_answer_here, cut.flatbuffer, inputs, resolver, count)
    answer = attempt(work, SECONDS * count)
    if answer is not None:
        return dict(zip(cut.outputs, answer["outputs"], strict=True))
    if len(units) == 1:
        return {}
    half = len(units) // 2
    return _ask(model, units[:half], values, resolver) | _ask(model, units[half:], values, resolver)


def _answer_here(flatbuffer: bytes, inputs: Sequence[Array], resolver: str, count: int) -> dict[str, Any]:
    """Run operators that stand alone."""
    return {"outputs": run_vectors(flatbuffer, inputs, resolver, count)}


def _row(number: int, answer: Mapping[int, Array], values: Mapping[int, Array], tensors: Sequence[int]) -> _Row:
    """Compare what one operator wrote."""
    worst, vector, largest = 0.0, 0, 0.0
    for index in tensors:
        got, wanted = (array.reshape(len(array), -1) for array in (values[index], answer[index]))
        if got.shape != wanted.shape:
            return _Row(number, _FAR, 0, 0.0)
        distance = distances(got, wanted)
        if distance.size and distance.max() > worst:
            worst, vector = float(distance.max()), int(distance.max(axis=1).argmax())
        largest = max(
            largest, float(np.abs(np.where(np.isfinite(wanted), wanted, 0).astype(np.float64)).max(initial=0))
        )
    return _Row(number, min(worst, _FAR), vector, largest)
