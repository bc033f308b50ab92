# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers as values: what they compute in real numbers, and the ranges that they were seen to have."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.cells import Numbers, Range, Step

__all__ = ["UNROLLED", "LstmWeights", "Recurrent"]

UNROLLED: Final = "unrolled"
"""A part of the names of operators of a layer whose steps stand one behind the other."""


@dataclass(frozen=True, eq=False)
class LstmWeights:
    """What UNIDIRECTIONAL_SEQUENCE_LSTM needs: kernel (features, 4 * units), recurrent (units, 4 * units) and bias.

    The four are the input gate, the forget gate, the cell and the output gate, as Keras has them.
    """

    kernel: Array
    recurrent: Array
    bias: Array


@dataclass(frozen=True, eq=False)
class Recurrent:
    """A call of a recurrent layer.

    Attributes:
        layer: its name.
        batch, steps, features: of the sequences that it reads.
        units: of each of its states.
        states: their number; the first is the output.
        stateful: they are kept for the next run of the model.
        rows: of the output: steps, or 1 where only the last one is asked for.
        step: what it computes in each.
        fused: the weights, where TFLM has an operator for the whole; None where the step is run in a loop.
        ranges: of what is computed in a step, in order; none before `follow`.
        seen: ranges of the states.
    """

    layer: str
    batch: int
    steps: int
    features: int
    units: int
    states: int
    stateful: bool
    rows: int
    step: Step
    fused: LstmWeights | None = None
    ranges: tuple[Range, ...] = ()
    seen: tuple[Range, ...] = ()

    def follow(self, sequences: Array) -> tuple[Array, "Recurrent"]:
        """Compute in real numbers.

        Args:
            sequences: (samples, batch, steps, features); a stateful layer has its state of one sample in the next.

        Returns:
            What it writes, (samples, batch * rows, units), and the layer with the ranges that were seen.
        """
        samples = len(sequences)
        if self.stateful:  # one long sequence
            sequences = np.moveaxis(sequences, 0, 1).reshape(1, self.batch, samples * self.steps, -1)
        steps = sequences.reshape(-1, *sequences.shape[2:])
        tape, seen = Numbers(), tuple(Range() for _ in range(self.states))
        states = [np.zeros((len(steps), self.units), np.float32)] * self.states
        written = []
        for place in range(steps.shape[1]):
            tape.begin()
            states = self.step(tape, steps[:, place], states)
            for known, state in zip(seen, states, strict=True):
                known.widen(state)
            written.append(states[0])
        answer = np.stack(written, axis=1).astype(np.float32)
        if self.stateful:
            answer = np.moveaxis(answer.reshape(self.batch, samples, self.steps, -1), 1, 0)
        answer = answer.reshape(samples, self.batch, self.steps, self.units)[:, :, -self.rows :]
        for known, state in zip(seen, states, strict=True):
            known.function = tape.made[id(state)].function
        return answer.reshape(samples, -1, self.units), replace(self, ranges=tuple(tape.ranges), seen=seen)
