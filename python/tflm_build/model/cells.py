# SPDX-License-Identifier: Apache-2.0
"""One step of each recurrent cell, written once for what computes it and for what writes it down as operators."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from tflm_build.arrays import Array

__all__ = ["FIXED", "Numbers", "Range", "Step", "Tape", "gru", "lstm", "simple_rnn"]

FIXED: Final = frozenset({"sigmoid", "tanh"})
"""Functions whose output has the range to 1 that kernels for integers are made for."""


class Tape(Protocol):
    """What runs a step: values go in and out by handles of its own."""

    def dense(self, value: Any, weights: Array, bias: Array | None = None) -> Any:
        """Multiply a vector by weights (inputs, outputs)."""

    def combine(self, op: str, one: Any, other: Any) -> Any:
        """ADD, SUB or MUL two vectors."""

    def rest(self, value: Any) -> Any:
        """Subtract a vector from one."""

    def apply(self, function: str, value: Any) -> Any:
        """Apply linear, relu, sigmoid or tanh."""


Step = Callable[[Tape, Any, Sequence[Any]], list[Any]]
"""From what a step reads and the states to the new states, of which the first is the output."""


def simple_rnn(kernel: Array, recurrent: Array, bias: Array, activation: str) -> Step:
    """Return the step of a SimpleRNN."""

    def step(tape: Tape, value: Any, states: Sequence[Any]) -> list[Any]:
        total = tape.combine("ADD", tape.dense(value, kernel, bias), tape.dense(states[0], recurrent))
        return [tape.apply(activation, total)]

    return step


def lstm(kernel: Array, recurrent: Array, bias: Array, activation: str, gate: str) -> Step:
    """Return the step of an LSTM, whose second state is its cell."""
    weights = [np.split(array, 4, axis=-1) for array in (kernel, recurrent, bias)]

    def step(tape: Tape, value: Any, states: Sequence[Any]) -> list[Any]:
        hidden, cell = states
        enter, forget, candidate, leave = (
            tape.apply(function, tape.combine("ADD", tape.dense(value, ours, offset), tape.dense(hidden, theirs)))
            for ours, theirs, offset, function in zip(*weights, (gate, gate, activation, gate), strict=True)
        )
        cell = tape.combine("ADD", tape.combine("MUL", forget, cell), tape.combine("MUL", enter, candidate))
        return [tape.combine("MUL", leave, tape.apply(activation, cell)), cell]

    return step


def gru(kernel: Array, recurrent: Array, bias: Array, activation: str, gate: str, *, reset_after: bool) -> Step:
    """Return the step of a GRU; its bias is (2, 3 * units) where it resets after the matrix product."""
    ours, theirs = np.split(kernel, 3, axis=-1), np.split(recurrent, 3, axis=-1)
    biases = np.split(np.atleast_2d(bias), 3, axis=-1)

    def gated(tape: Tape, value: Any, hidden: Any, place: int) -> Any:
        total = biases[place].sum(axis=0)
        read = tape.dense(value, ours[place], total)
        return tape.apply(gate, tape.combine("ADD", read, tape.dense(hidden, theirs[place])))

    def step(tape: Tape, value: Any, states: Sequence[Any]) -> list[Any]:
        hidden = states[0]
        keep, reset = gated(tape, value, hidden, 0), gated(tape, value, hidden, 1)
        if reset_after:
            before = tape.combine("MUL", reset, tape.dense(hidden, theirs[2], biases[2][-1]))
        else:
            before = tape.dense(tape.combine("MUL", reset, hidden), theirs[2])
        candidate = tape.apply(activation, tape.combine("ADD", tape.dense(value, ours[2], biases[2][0]), before))
        taken = tape.combine("MUL", tape.rest(keep), candidate)
        return [tape.combine("ADD", tape.combine("MUL", keep, hidden), taken)]

    return step


@dataclass
class Range:
    """What a value was in all steps: its ends, and the function that it comes from, where it does."""

    low: float = 0.0
    high: float = 0.0
    function: str = ""

    def widen(self, values: Array) -> None:
        """Take in more values."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))


@dataclass
class Numbers:
    """A tape that computes real numbers, and keeps the range of each value in the order of the calls.

    Attributes:
        ranges: of what was computed, over all steps.
        place: of the next value among them; 0 at the begin of a step.
        made: the ranges of the arrays of this step, by their identity.
    """

    ranges: list[Range] = field(default_factory=list)
    place: int = 0
    made: dict[int, Range] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin a step."""
        self.place = 0
        self.made = {}

    def dense(self, value: Array, weights: Array, bias: Array | None = None) -> Array:
        """Multiply vectors by weights."""
        product: Array = value @ weights
        return self._keep(product if bias is None else product + bias)

    def combine(self, op: str, one: Array, other: Array) -> Array:
        """ADD, SUB or MUL."""
        return self._keep({"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}[op](one, other))

    def rest(self, value: Array) -> Array:
        """Subtract from one."""
        return self._keep(1 - value)

    def apply(self, function: str, value: Array) -> Array:
        """Apply a function."""
        if function == "linear":
            return value
        known: dict[str, Callable[[Array], Array]] = {"relu": _relu, "sigmoid": _sigmoid, "tanh": np.tanh}
        return self._keep(known[function](value), function)

    def _keep(self, values: Array, function: str = "") -> Array:
        if self.place == len(self.ranges):
            self.ranges.append(Range(function=function))
        self.ranges[self.place].widen(values)
        self.made[id(values)] = self.ranges[self.place]
        self.place += 1
        return values


def _relu(values: Array) -> Array:
    """Cut off what is below zero."""
    return np.maximum(values, 0)


def _sigmoid(values: Array) -> Array:
    """Compute the logistic function, without overflow."""
    result: Array = 0.5 * (np.tanh(0.5 * values) + 1)
    return result
