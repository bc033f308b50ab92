# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers as values: their weights, and what they compute in real numbers."""

from dataclasses import dataclass, replace

import numpy as np

from tflm_build.arrays import Array

__all__ = ["Lstm", "Recurrent"]


@dataclass(frozen=True, eq=False)
class Lstm:
    """A call of an LSTM with tanh and sigmoid.

    Attributes:
        layer: its name.
        batch, steps: of the sequences.
        stateful: its state is kept for the next run of the model.
        kernel, recurrent, bias: (features, 4 * units), (units, 4 * units), (4 * units,): of the input gate, the forget
            gate, the cell and the output gate, as Keras has them.
        cell_range, output_range: the largest magnitude of the cell's state, and of the output; what was seen.
    """

    layer: str
    batch: int
    steps: int
    stateful: bool
    kernel: Array
    recurrent: Array
    bias: Array
    cell_range: float = 1.0
    output_range: float = 1.0

    @property
    def units(self) -> int:
        """Return the size of its state."""
        return len(self.recurrent)

    @property
    def features(self) -> int:
        """Return the size of a step that it reads."""
        return len(self.kernel)

    def follow(self, sequences: Array) -> tuple[Array, "Lstm"]:
        """Compute in real numbers.

        Args:
            sequences: (samples, batch, steps, features); a stateful layer has its state of one sample in the next.

        Returns:
            What it writes, (samples, batch, steps, units), and the layer with the ranges that were seen.
        """
        samples = len(sequences)
        if self.stateful:  # one long sequence
            sequences = np.moveaxis(sequences, 0, 1).reshape(1, self.batch, samples * self.steps, -1)
        steps = sequences.reshape(-1, sequences.shape[2], sequences.shape[3])
        hidden = cell = np.zeros((len(steps), self.units), np.float32)
        written = []
        largest = 0.0
        for place in range(steps.shape[1]):
            gates = steps[:, place] @ self.kernel + hidden @ self.recurrent + self.bias
            enter, forget, candidate, leave = np.split(gates, 4, axis=1)
            cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(candidate)
            hidden = _sigmoid(leave) * np.tanh(cell)
            largest = max(largest, float(np.abs(cell).max()))
            written.append(hidden)
        answer = np.stack(written, axis=1).astype(np.float32)
        if self.stateful:
            answer = np.moveaxis(answer.reshape(self.batch, samples, self.steps, -1), 1, 0)
        seen = replace(self, cell_range=largest, output_range=float(np.abs(answer).max()))
        return answer.reshape(samples, self.batch, self.steps, self.units), seen


Recurrent = Lstm


def _sigmoid(values: Array) -> Array:
    """Compute the logistic function, without overflow."""
    result: Array = 0.5 * (np.tanh(0.5 * values) + 1)
    return result
