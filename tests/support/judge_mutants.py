# SPDX-License-Identifier: Apache-2.0
"""Put changed models to the compiler: all to what it does in this process, some of them to the whole build."""

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from support.every_kind import MODELS
from support.interpreters import Array
from support.mutations import LIMIT, run_build
from support.tree_mutations import Mutant, mutate_tree
from tflm_build.errors import TflmBuildError
from tflm_build.model.layers import describe_layers
from tflm_build.model.ops import check_ops
from tflm_build.model.weights import weight_distributions
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.memory_plan import make_plan, with_plan
from tflm_build.passes.shrink import shrink_model
from tflm_build.source.check_flatbuffer import check_flatbuffer

__all__ = ["KINDS", "Judged", "changed", "judge"]

BUILT_EACH = 20
"""Of so many seeds one goes through the whole build, which starts the interpreters."""
CHEAP_LIMIT = 5  # seconds
KINDS = list(MODELS)


@dataclass(frozen=True)
class Judged:
    """What became of a changed model.

    Attributes:
        model: the kind of its source.
        mutant: how it was changed.
        error: why it is refused; empty: it is not.
        built: whether it went through the whole build.
        seconds: how long that took.
    """

    model: str
    mutant: Mutant
    error: str
    built: bool
    seconds: float


def changed(seed: int) -> Mutant:
    """Change the model whose turn it is."""
    return mutate_tree(MODELS[KINDS[seed % len(KINDS)]](), seed)


def judge(seeds: Iterable[int], see: Callable[[Judged], None]) -> None:
    """Change a model for each seed, of every kind in turn, and see what the compiler makes of it.

    Raises:
        AssertionError: it did what it must not; the message names the seed, the model and the changes.
    """
    with tempfile.TemporaryDirectory() as name:
        for seed in seeds:
            kind, mutant = KINDS[seed % len(KINDS)], changed(seed)
            build = seed // len(KINDS) % BUILT_EACH == 0
            try:
                see(_judge(kind, mutant, Path(name), build=build))
            except Exception as error:
                msg = f"mutation {seed} of '{kind}', {', '.join(mutant.kinds)}: {type(error).__name__}: {error}"
                raise AssertionError(msg) from error


def _judge(kind: str, mutant: Mutant, folder: Path, *, build: bool) -> Judged:
    start = time.monotonic()
    error = _examine(mutant.flatbuffer)
    seconds = time.monotonic() - start
    assert seconds < CHEAP_LIMIT, f"{seconds:.0f} s"
    if build:
        outcome = run_build(mutant.flatbuffer, folder)
        assert outcome.seconds < LIMIT, f"{outcome.seconds:.0f} s"
        assert not error or outcome.error, f"built, though refused before: {error}"
        error, seconds = outcome.error, outcome.seconds
        if mutant.harmless and not error:
            _compare(outcome.answers, _answers(kind))
    if mutant.harmless:
        assert not error, f"refused: {error}"
    return Judged(kind, mutant, error, build, seconds)


def _examine(flatbuffer: bytes) -> str:
    """Do what a build does without starting a process; return the error."""
    try:
        check_flatbuffer(flatbuffer)
        model = canonicalize(flatbuffer)
        check_ops(model.graph)
        describe_layers(model.graph)
        weight_distributions(model.graph)
        plan = make_plan(model)
        shrunk = shrink_model(model).model
    except TflmBuildError as refusal:
        error = str(refusal)
        assert error, "an empty message"
        assert error.isprintable(), repr(error)
        return error
    assert canonicalize(model.flatbuffer).flatbuffer == model.flatbuffer, "the canonical form is not the last word"
    check_flatbuffer(shrunk.flatbuffer)
    assert canonicalize(shrunk.flatbuffer).flatbuffer == shrunk.flatbuffer, "what is shrunk is not canonical"
    if plan is not None:
        check_flatbuffer(with_plan(model, plan).flatbuffer)
    return ""


def _compare(answers: dict[str, Array], expected: dict[str, Array]) -> None:
    assert answers.keys() == expected.keys()
    for name, answer in answers.items():
        np.testing.assert_array_equal(answer, expected[name], err_msg=name)


@cache
def _answers(kind: str) -> dict[str, Array]:
    """Return inputs and answers of a model that nobody changed."""
    with tempfile.TemporaryDirectory() as name:
        outcome = run_build(MODELS[kind](), Path(name))
    assert not outcome.error, outcome.error
    return outcome.answers
