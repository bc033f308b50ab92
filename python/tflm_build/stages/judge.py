# SPDX-License-Identifier: Apache-2.0
"""Judge what is left of a model's answers: before a final SOFTMAX, where noise is not yet squeezed together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_build.arrays import Array
from tflm_build.child.run import run_in_child
from tflm_build.child.table import ANSWER, RUN_LITERT
from tflm_build.model.fixed_point import scaling
from tflm_build.model.graph import Operand
from tflm_build.model.model import Model
from tflm_build.model.state import find_state
from tflm_build.model.values import Tensor
from tflm_build.passes.before_softmax import open_softmax
from tflm_build.stages.accuracy import work_out_accuracy
from tflm_build.stages.activations import float_order
from tflm_build.stages.convert import Converted
from tflm_build.stages.deaths import naming_layers
from tflm_build.stages.golden import GoldenInputs, dequantize

__all__ = ["Judge", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """What is left.

    Attributes:
        sqnr: the lowest of all outputs, in dB; infinite where nothing differs.
        top1: share of samples whose largest output is that of the label, or else the judge's; None where the model does
            not have one vector as output.
    """

    sqnr: float
    top1: float | None


class Judge:
    """What the answers of models are compared with.

    Attributes:
        who: "the float model", or "the int8 model" where there is none.
        samples: the number of samples that are answered.
    """

    def __init__(self, converted: Converted, model: Model, golden: GoldenInputs, most: int) -> None:
        """Let the judge itself answer.

        Args:
            converted: the float model, if there is one, the samples and labels.
            model: of integers, which is the judge where there is no float model.
            golden: the samples in the types of the model's inputs.
            most: samples that are answered at most.

        Raises:
            TflmBuildError: an interpreter does not run a model, or a model answers with NaN or infinity.
        """
        self._inputs = tuple(
            np.concatenate([first[: golden.from_data], rest])[:most]
            for first, rest in zip(golden.arrays, golden.further, strict=True)
        )
        self.samples = len(self._inputs[0])
        self._labels = None if converted.labels is None else converted.labels[: self.samples]
        order, real = float_order(converted), converted.float_model
        if order is not None and real is not None and converted.float_outputs is not None:
            self.who = "the float model"
            self._wanted = self._float_signals(real, converted.samples or (), order)
            self._wanted_outputs = [output[: self.samples] for output in converted.float_outputs]
        else:
            self.who = "the int8 model"
            self._wanted, self._wanted_outputs = self._answer(model)

    def __call__(self, model: Model) -> Verdict:
        """Judge a model of the same inputs and outputs.

        Raises:
            TflmBuildError: TFLM does not run it.
        """
        signals, outputs = self._answer(model)
        signal = work_out_accuracy(_real(len(signals)), signals, self._wanted, None)
        whole = work_out_accuracy(_real(len(outputs)), outputs, self._wanted_outputs, self._labels)
        assert signal is not None
        assert whole is not None
        return Verdict(min(signal.sqnr), whole.top1)

    def _answer(self, model: Model) -> tuple[list[Array], list[Array]]:
        """Return, as real numbers, what a model has before a final SOFTMAX, and what it answers."""
        opened = open_softmax(model)
        request = {
            "flatbuffer": opened.flatbuffer,
            "inputs": self._inputs,
            "outputs": opened.count,
            "in_order": find_state(model.graph).kept,
        }
        with naming_layers(ANSWER, model, self._inputs):
            found = run_in_child(ANSWER, request)["outputs"]
        signals = [
            dequantize(found[place], _tensor(operand))
            for place, operand in zip(opened.places, opened.signals, strict=True)
        ]
        ends = model.graph.outputs
        outputs = [dequantize(answer, tensor) for answer, tensor in zip(found[: len(ends)], ends, strict=True)]
        return signals, outputs

    def _float_signals(self, model: Model, samples: Sequence[Array], order: Sequence[int]) -> list[Array]:
        """Return what the float model has before a final SOFTMAX."""
        opened = open_softmax(model)
        inputs = [
            samples[place][: self.samples].astype(tensor.dtype).reshape(-1, *tensor.shape)
            for place, tensor in zip(order, model.graph.inputs, strict=True)
        ]
        request = {"flatbuffer": opened.flatbuffer, "inputs": inputs, "in_order": find_state(model.graph).kept}
        found = run_in_child(RUN_LITERT, request)["outputs"]
        return [found[place] for place in opened.places]


def _tensor(operand: Operand) -> Tensor:
    """Return an operand as an output."""
    scale, zero_point = scaling(operand) if len(operand.scales) else (0.0, 0)
    return Tensor("", operand.type, operand.shape, scale, zero_point)


def _real(count: int) -> list[Tensor]:
    """Return so many outputs of real numbers."""
    return [Tensor("", "float32", (), 0.0, 0)] * count
