# SPDX-License-Identifier: Apache-2.0
"""Run a model on the TFLM interpreter, in a child process, and find the smallest arena that it works in.

Where its size was computed, few runs show that it is right: in an arena of that size the model works, and in one that
is smaller TFLM's allocations fail. Else, and where they show otherwise, it is bisected for.

TFLM may kill its process on a damaged model or in an arena that is too small, so every attempt is a fork of the child.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tflm_build.arrays import Array, same_answers
from tflm_build.errors import TflmBuildError
from tflm_build.passes.canonical import canonicalize
from tflm_build.tasks.attempt import SECONDS, attempt_vectors, words
from tflm_build.tasks.run_vectors import outputs_of, run_vectors_on_tflm
from tflm_build.tasks.stand_in import tflm_runtime
from tflm_build.tasks.trace_tflm import SIZES, lacks_memory, printed_allocations, refuse_stale, trace_ends
from tflm_build.used_memory import PATTERNS, fill_memory

__all__ = ["run"]

_STEP: Final = 16  # bytes: what the arena's size is exact to


@dataclass(frozen=True)
class _Model:
    """What an attempt runs."""

    flatbuffer: bytes
    output_count: int
    in_order: bool


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a model on TFLM, and measure its arena.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (vectors, *shape) in the tensor's type; `output_count`;
            `in_order`: whether an answer depends on the vectors before, true where it is not said; where the arena was
            computed, `computed` and `floor`: its bytes, and those of the smallest that TFLM may accept.

    Returns:
        `arena`: bytes, the smallest that allocates, invokes and answers the same; `head` and `tail`: bytes of it that
        activations share, and that are kept from allocation on; `outputs`: per output an array
        (vectors, *shape), computed in an arena of that size; `versions` of the interpreter,
        empty where there is none and the references stand for it.

    Raises:
        TflmBuildError: TFLM refuses the model, is killed by it, needs more than 256 MiB, or answers otherwise in an
            arena that held other data before.
    """
    model = _Model(request["flatbuffer"], request["output_count"], request.get("in_order", True))
    found = _as_computed(model, request["inputs"], request.get("computed", 0), request.get("floor", 0))
    smallest, outputs, (head, tail) = found or _measured(model, request["inputs"])
    return {
        "arena": smallest,
        "head": head,
        "tail": tail,
        "outputs": outputs,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    """Return the version of the interpreter; nothing where there is none."""
    try:
        import tflite_micro
    except ImportError:
        return {}
    return {"tflite-micro": tflite_micro.__version__}


_Found = tuple[int, list[Array], tuple[int, int]]  # the arena, what it answers in it, and its head and tail


def _as_computed(model: _Model, inputs: Sequence[Array], computed: int, floor: int) -> _Found | None:
    """Show that the arena's size is as it was computed; None where it is not, or none was.

    Between the floor and what was computed, only trying tells.
    """
    first = [array[:1] for array in inputs]
    roomy = next((size for size in SIZES if size > computed), computed)
    expected = _attempt(model, roomy, first, PATTERNS[1]) if computed else None
    if expected is None:
        return None
    smallest = _bisect(model, first, expected, floor // _STEP - 1, computed // _STEP)
    outputs = _attempt(model, smallest, inputs, PATTERNS[0])
    if outputs is None or not same_answers(expected, [output[:1] for output in outputs]):
        return None
    parts = printed_allocations()
    if smallest == floor and _attempt(model, floor - _STEP, first, PATTERNS[1]) is not None:
        return None
    return smallest, outputs, parts


def _measured(model: _Model, inputs: Sequence[Array]) -> _Found:
    """Find the smallest arena, with nothing known of it, and run all inputs in it."""
    first = [array[:1] for array in inputs]
    roomy, expected = _roomy(model, first)
    other = _attempt(model, roomy, first, PATTERNS[1])
    if other is None or not same_answers(other, expected):
        _refuse_stale(model, first)
    low, high = 0, 64
    while high < roomy // _STEP and not _works(model, high, first, expected):
        low, high = high, 2 * high
    smallest = _bisect(model, first, expected, low, high)
    outputs = _attempt(model, smallest, inputs, PATTERNS[0])
    if outputs is None:
        msg = f"TFLM answers the first golden input but not all of them: {words()}"
        raise TflmBuildError(msg)
    return smallest, outputs, printed_allocations()


def _roomy(model: _Model, inputs: Sequence[Array]) -> tuple[int, list[Array]]:
    """Run in an arena that leaves no doubt about its size, or say why TFLM does not run the model."""
    for size in SIZES:
        outputs = _attempt(model, size, inputs, PATTERNS[0])
        if outputs is not None:
            return size, outputs
        if not lacks_memory():
            break
    msg = f"TFLM cannot run this model: {words()}"
    raise TflmBuildError(msg)


def _refuse_stale(model: _Model, inputs: Sequence[Array]) -> None:
    """Name the operator that reads memory which nobody wrote, or say that there is one."""
    opened = canonicalize(model.flatbuffer)
    refuse_stale(opened, *(trace_ends(opened, inputs, pattern) for pattern in PATTERNS))
    msg = (
        "TFLM answers otherwise in an arena that held other data before; only an answer that the inputs alone decide "
        "is allowed; change the layers that read more than their inputs"
    )
    raise TflmBuildError(msg)


def _bisect(model: _Model, inputs: Sequence[Array], expected: Sequence[Array], low: int, high: int) -> int:
    """Return the smallest arena, in bytes, in which the model gives the expected outputs; low fails, high works."""
    while high - low > 1:
        middle = (low + high) // 2
        if _works(model, middle, inputs, expected):
            high = middle
        else:
            low = middle
    return high * _STEP


def _works(model: _Model, steps: int, inputs: Sequence[Array], expected: Sequence[Array]) -> bool:
    """Say whether the model gives the expected outputs in an arena; memory is filled otherwise from size to size."""
    outputs = _attempt(model, steps * _STEP, inputs, PATTERNS[steps % len(PATTERNS)])
    return outputs is not None and same_answers(outputs, expected)


def _attempt(model: _Model, arena: int, inputs: Sequence[Array], pattern: int) -> list[Array] | None:
    """Allocate and invoke in forks, in memory that is filled with a pattern; None when that fails or dies."""
    work = partial(_attempt_here, model, arena, pattern)
    answer = attempt_vectors(work, inputs, SECONDS, in_order=model.in_order)
    return None if answer is None else list(answer["outputs"])


def _attempt_here(model: _Model, arena: int, pattern: int, inputs: Sequence[Array]) -> dict[str, Any]:
    """Allocate and invoke in this process."""
    fill_memory(pattern)
    interpreter = tflm_runtime().Interpreter.from_bytes(model.flatbuffer, arena_size=arena)
    answers = run_vectors_on_tflm(interpreter, zip(*inputs, strict=True), outputs_of(interpreter, model.output_count))
    interpreter.print_allocations()
    return {"outputs": answers}
