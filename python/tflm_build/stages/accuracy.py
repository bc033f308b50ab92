# SPDX-License-Identifier: Apache-2.0
"""Work out how much of the float model is left in the shipped one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError
from tflm_build.model.values import Tensor
from tflm_build.stages.golden import dequantize

__all__ = ["Accuracy", "WorstSample", "work_out_accuracy"]

_WORST: Final = 5
"""Samples that are described; the others are in the numbers alone."""


@dataclass(frozen=True)
class WorstSample:
    """What was answered to a sample that is far from the float model, or that got the wrong class.

    Attributes:
        sample: its place.
        output: the output that is farthest.
        element: the element of it that is farthest.
        got, wanted: what TFLM and the float model have there.
        difference: of the two; it and wanted are None without a float model.
        classes: the largest element of TFLM's answer, of the float model's, and the label; None for each of them that
            does not exist.
    """

    sample: int
    output: int
    element: int
    got: float
    wanted: float | None
    difference: float | None
    classes: tuple[int | None, int | None, int | None]


@dataclass(frozen=True)
class Accuracy:
    """What TFLM answers to samples of data, against the float model and the labels.

    Attributes:
        samples: their number.
        float_error: per output: largest difference from the float model, in real numbers; empty without one.
        worst_sample: per output: the sample that has it.
        sqnr: per output: signal-to-quantization-noise ratio in dB; infinite where there is no difference.
        labelled: whether top1 and float_top1 are by labels.
        top1: share of samples whose largest output is the label's, or the float model's without labels; None where
            the model does not have one vector as output.
        float_top1: the float model's share by labels; None without labels or float model.
        worst: the samples with the largest differences, largest first; without a float model the first of those that
            got another class than their label.
    """

    samples: int
    float_error: tuple[float, ...]
    worst_sample: tuple[int, ...]
    sqnr: tuple[float, ...]
    labelled: bool
    top1: float | None
    float_top1: float | None
    worst: tuple[WorstSample, ...]


def work_out_accuracy(
    outputs: Sequence[Tensor],
    answers: Sequence[Array],
    float_answers: Sequence[Array] | None,
    labels: Array | None,
) -> Accuracy | None:
    """Compare TFLM's answers with the float model's.

    Args:
        outputs: the model's outputs.
        answers: per output an array (samples, *shape): what TFLM answered.
        float_answers: per output an array (samples, ...): what the float model answered; None: there is none.
        labels: the class of each sample; None: there are none.

    Returns:
        None where there is neither a float model nor a label.

    Raises:
        TflmBuildError: a model answers with NaN or infinity.
    """
    samples = len(answers[0])
    if not samples or (float_answers is None and labels is None):
        return None
    real = [dequantize(answer, tensor).astype(np.float64) for answer, tensor in zip(answers, outputs, strict=True)]
    wanted = [
        answer.astype(np.float64).reshape(mine.shape)
        for mine, answer in zip(real, float_answers or (), strict=float_answers is not None)
    ]
    _refuse_infinite("the float model", wanted)
    _refuse_infinite("the model", real)
    noise = [np.abs(mine - theirs).reshape(samples, -1) for mine, theirs in zip(real, wanted, strict=False)]
    classes = _largest(real)
    float_classes = _largest(wanted)
    judge = labels if labels is not None else float_classes
    return Accuracy(
        samples=samples,
        float_error=tuple(float(each.max()) for each in noise),
        worst_sample=tuple(int(each.max(axis=1).argmax()) for each in noise),
        sqnr=tuple(_decibels(theirs, each) for theirs, each in zip(wanted, noise, strict=True)),
        labelled=labels is not None,
        top1=None if classes is None or judge is None else float(np.mean(classes == judge)),
        float_top1=None if float_classes is None or labels is None else float(np.mean(float_classes == labels)),
        worst=_worst(real, wanted, noise, (classes, float_classes, labels)),
    )


def _refuse_infinite(who: str, answers: Sequence[Array]) -> None:
    """Refuse answers that are not numbers."""
    for answer in answers:
        odd = ~np.isfinite(answer.reshape(len(answer), -1)).all(axis=1)
        if odd.any():
            msg = (
                f"{who} answers {int(odd.sum())} of {len(answer)} samples with NaN or infinity, first sample "
                f"{int(odd.argmax())}; only finite numbers can be compared; check the weights and the data"
            )
            raise TflmBuildError(msg)


def _worst(
    real: Sequence[Array], wanted: Sequence[Array], noise: Sequence[Array], classes: tuple[Array | None, ...]
) -> tuple[WorstSample, ...]:
    """Describe the worst samples: by difference, or by class where there is nothing to differ from."""
    mine, theirs, labels = classes
    if wanted:
        farthest = np.stack([each.max(axis=1) for each in noise])
        places = np.argsort(-farthest.max(axis=0), kind="stable")[:_WORST]
        outputs = farthest.argmax(axis=0)
    else:
        wrong = mine is not None and labels is not None
        places = np.flatnonzero(mine != labels)[:_WORST] if wrong else np.zeros(0, np.int64)
        outputs = np.zeros(len(real[0]), np.int64)
    found = []
    for sample in map(int, places):
        output = int(outputs[sample])
        answer = real[output][sample].reshape(-1)
        element = int(noise[output][sample].argmax() if wanted else answer.argmax())
        found.append(
            WorstSample(
                sample,
                output,
                element,
                float(answer[element]),
                float(wanted[output][sample].reshape(-1)[element]) if wanted else None,
                float(noise[output][sample][element]) if wanted else None,
                (_at(mine, sample), _at(theirs, sample), _at(labels, sample)),
            )
        )
    return tuple(found)


def _at(classes: Array | None, sample: int) -> int | None:
    """Return the class of a sample, where there are classes."""
    return None if classes is None else int(classes[sample])


def _largest(outputs: Sequence[Array]) -> Array | None:
    """Return the place of the largest element in each sample; None unless there is one output, and it is a vector."""
    if len(outputs) != 1:
        return None
    vectors = outputs[0].reshape(len(outputs[0]), -1)
    return vectors.argmax(axis=1) if vectors.shape[1] > 1 else None


def _decibels(signal: Array, noise: Array) -> float:
    """Return the ratio of the power of a signal to that of its noise, in dB."""
    power, noise_power = float(np.sum(signal**2)), float(np.sum(noise**2))
    if noise_power == 0:
        return float("inf")
    return float(10 * np.log10(power / noise_power)) if power else float("-inf")
