# SPDX-License-Identifier: Apache-2.0
"""Match data to the model's inputs, summarize it, and choose the samples of golden vectors."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError
from tflm_build.model.effort import affordable_runs

__all__ = ["GOLDEN_COUNT", "Bound", "InputSpec", "Samples", "bind", "choose", "choose_to_fit", "describe"]

GOLDEN_COUNT: Final = 16
"""Golden vectors that are taken from the data, or drawn at random where there is none."""

_EVALUATED: Final = (100, 1000)
"""The fewest and the most samples of test data that accuracy is worked out on; more would make a build slow."""

_EFFORT: Final = 10_000_000_000
"""Multiply-accumulates that these samples may take beyond the fewest, some 15 s of a processor on TFLM: counted, so
that every machine works with the same ones."""

_FITTED: Final = 256
"""Samples of calibration data that weights of 4 bits are fitted to."""

_LABELS: Final = "labels"
_FEW: Final = 10  # values that may be equal by chance in small data
_SATURATED: Final = 0.05  # share of values at an end of the range that clipping explains better than chance


class InputSpec(Protocol):
    """What binding needs to know of an input of a model."""

    @property
    def name(self) -> str:
        """The name in the signature."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, batch first."""


@dataclass(frozen=True)
class Samples:
    """Data as a user gave it.

    Attributes:
        option: who asked for it, CALIBRATION or TEST_DATA.
        file: base name of the file, or random:N.
        sha256: digest of the file's bytes; empty for random data.
        random: number of random samples, 0 for data from a file.
        arrays: arrays by name; the only one of an .npy has the empty name.
        notes: what the user may want to know of how they were read.
        files: what they depend on, where that is more than their source itself says.
    """

    option: str
    file: str
    sha256: str
    random: int
    arrays: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def to_message(self) -> dict[str, Any]:
        """Return the fields for a child process."""
        return {
            f"{self.option}.fields": [self.file, self.sha256, self.random, list(self.notes)],
            f"{self.option}.names": list(self.arrays),
            f"{self.option}.arrays": list(self.arrays.values()),
        }

    @staticmethod
    def from_message(message: Mapping[str, Any], option: str) -> "Samples | None":
        """Read what `to_message` wrote; None where there is nothing of that option."""
        if f"{option}.fields" not in message:
            return None
        arrays = dict(zip(message[f"{option}.names"], message[f"{option}.arrays"], strict=True))
        file, sha256, random, notes = message[f"{option}.fields"]
        return Samples(option, file, sha256, random, arrays, tuple(notes))


@dataclass(frozen=True)
class Bound:
    """Data in the order of a model's inputs.

    Attributes:
        arrays: one per input, of shape (samples, *input shape without a batch of 1).
        labels: the class of each sample, if the data has an array `labels`.
        notes: what a user may want to know of how the data was matched, and of its values.
    """

    arrays: tuple[Array, ...]
    labels: Array | None
    notes: tuple[str, ...]


def bind(samples: Samples, inputs: Sequence[InputSpec]) -> Bound:
    """Match data with the inputs of a model, as float32 or as the integers that the data has.

    Arrays are matched by name; the only array that is not `labels` goes to the only input, whatever its name. The first
    axis counts samples.

    Args:
        samples: the data.
        inputs: the model's inputs, in order.

    Raises:
        TflmBuildError: an array is missing, of the wrong shape or type, empty, or not finite.
    """
    if samples.random:
        return _random(samples.random, inputs)
    arrays = dict(samples.arrays)
    names = [spec.name for spec in inputs]
    labels = None if _LABELS in names else arrays.pop(_LABELS, None)
    if len(inputs) == 1 and len(arrays) == 1:
        arrays = {names[0]: next(iter(arrays.values()))}
    if not set(names) <= set(arrays):
        msg = (
            f"`{samples.option}` '{samples.file}' has the arrays {', '.join(sorted(arrays))}; the model's inputs are "
            f"{', '.join(names)}; pass an .npz with one array per input, by name"
        )
        raise TflmBuildError(msg)
    notes = list(samples.notes)
    unused = sorted(set(arrays) - set(names))
    if unused:
        hint = f"; the class of each sample is called '{_LABELS}'" if labels is None else ""
        notes.append(
            f"warning: `{samples.option}` '{samples.file}' has arrays that are not used: {', '.join(unused)}{hint}"
        )
    bound = tuple(_checked(samples, spec, arrays[spec.name], notes) for spec in inputs)
    counts = [len(array) for array in bound]
    if labels is not None:
        labels = _checked_labels(samples, labels, counts[0])
    if len(set(counts)) > 1:
        text = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
        msg = (
            f"`{samples.option}` '{samples.file}' has different numbers of samples ({text}); the first axis must agree"
        )
        raise TflmBuildError(msg)
    return Bound(bound, labels, tuple(notes))


def choose(test_data: Bound | None, calibration: Bound | None, *, macs: int, in_order: bool = False) -> Bound | None:
    """Choose the samples that both models answer: test data up to a limit, else calibration data, few without labels.

    The choice is numpy's frozen generator's; `in_order`, for a model with state, the first ones. The first of them, up
    to GOLDEN_COUNT, become golden vectors.

    Args:
        test_data: what the option gave, if it did.
        calibration: likewise.
        macs: multiply-accumulates of one run: a large model answers fewer.
        in_order: the model keeps state.

    Returns:
        The chosen samples; None where there is no data.
    """
    data = test_data or calibration
    if data is None:
        return None
    fewest, most = _EVALUATED
    evaluated = affordable_runs(_EFFORT, macs, fewest=fewest, most=most)
    count = GOLDEN_COUNT if test_data is None and data.labels is None else evaluated
    return _draw(data, count, in_order=in_order)


def choose_to_fit(calibration: Bound, *, in_order: bool = False) -> tuple[Array, ...]:
    """Choose the calibration samples that weights of 4 bits are fitted to: per input an array (samples, ...)."""
    return _draw(calibration, _FITTED, in_order=in_order).arrays


def _draw(data: Bound, count: int, *, in_order: bool) -> Bound:
    """Draw samples, as many as there are up to a count."""
    order = np.arange(len(data.arrays[0])) if in_order else np.random.RandomState(0).permutation(len(data.arrays[0]))
    chosen = order[:count]
    return Bound(
        tuple(array[chosen] for array in data.arrays), None if data.labels is None else data.labels[chosen], ()
    )


def describe(data: Bound, inputs: Sequence[InputSpec]) -> dict[str, Any]:
    """Return what calibration data is like, for the manifest.

    Returns:
        `samples`: their number; `inputs`: for each input `name`, `min`, `max`, and `dead_channels`: the places on the
        last axis that never change.
    """
    return {
        "samples": len(data.arrays[0]),
        "inputs": [
            {
                "name": spec.name,
                "min": float(f"{array.min():.6g}"),
                "max": float(f"{array.max():.6g}"),
                "dead_channels": _dead_channels(array),
            }
            for spec, array in zip(inputs, data.arrays, strict=True)
        ],
    }


def _dead_channels(array: Array) -> list[int]:
    """Return the places on the last axis that never change; a flat input has one channel."""
    channels = array.reshape(-1, array.shape[-1] if array.ndim > 2 else 1)  # noqa: PLR2004 - (samples, length)
    return [int(place) for place in np.flatnonzero(channels.min(axis=0) == channels.max(axis=0))]


def _sample_shape(spec: InputSpec) -> tuple[int, ...]:
    """Return the shape of one sample: the input's, without a batch of 1."""
    return tuple(spec.shape[1:] if spec.shape[:1] == (1,) else spec.shape)


def _checked(samples: Samples, spec: InputSpec, array: Array, notes: list[str]) -> Array:
    """Check one array against its input; float64 and float16 are cast, with a note."""
    what = f"`{samples.option}` '{samples.file}' for input '{spec.name}'"
    wanted = _sample_shape(spec)
    if array.ndim < 1 or array.shape[1:] != wanted:
        sizes = ", ".join(str(size) for size in ("samples", *wanted))
        turned = array.ndim == len(wanted) + 1 and not Counter(wanted) - Counter(array.shape)
        remedy = "transpose" if turned else "reshape"
        msg = f"{what} has shape {array.shape}; allowed: ({sizes}); {remedy} the data"
        raise TflmBuildError(msg)
    if not len(array):
        msg = f"{what} holds no sample; pass at least one"
        raise TflmBuildError(msg)
    if array.dtype.kind not in "fiub":
        msg = f"{what} has elements of {array.dtype}; allowed: floating point or integers; convert the data"
        raise TflmBuildError(msg)
    if array.dtype.kind == "f":
        if array.dtype != np.float32:
            notes.append(f"{what} is {array.dtype}, cast to float32")
            with np.errstate(over="ignore"):  # what is too large for float32 is infinite, which is refused
                array = array.astype(np.float32)
        if not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array)))
            msg = f"{what} has values that are NaN or infinite: {bad}; only finite numbers are allowed; clean the data"
            raise TflmBuildError(msg)
    _warn(what, array, notes)
    return array


def _warn(what: str, array: Array, notes: list[str]) -> None:
    """Warn of data that no range can be learnt from."""
    low, high = array.min(), array.max()
    if low == high:
        notes.append(f"warning: {what} is constant, {low:g}: its range cannot be learnt")
        return
    dead = _dead_channels(array)
    if dead:
        notes.append(
            f"warning: {what} never changes in {len(dead)} of {array.shape[-1]} channels, the first is {dead[0]}"
        )
    for end in (low, high):
        count = np.count_nonzero(array == end)
        often = count > max(_FEW, _SATURATED * array.size)
        if end != 0 and often and array.dtype.kind == "f" and len(np.unique(array)) > 2:  # noqa: PLR2004 - yes or no
            notes.append(f"warning: {what} looks saturated: {count / array.size:.0%} of its values are exactly {end:g}")


def _checked_labels(samples: Samples, labels: Array, count: int) -> Array:
    """Check that there is one class for each sample."""
    whole = labels.dtype.kind in "iu" or (labels.dtype.kind == "f" and bool(np.all(np.mod(labels, 1) == 0)))
    if labels.shape != (count,) or not whole:
        msg = (
            f"`{samples.option}` '{samples.file}' has labels of shape {labels.shape} and type {labels.dtype}; allowed: "
            f"({count},) integers; save the class of each sample"
        )
        raise TflmBuildError(msg)
    return labels.astype(np.int64)


def _random(count: int, inputs: Sequence[InputSpec]) -> Bound:
    """Draw uniform numbers in [-1, 1) from numpy's frozen generator: the same ones in every version of numpy."""
    generator = np.random.RandomState(0)
    arrays = tuple(generator.uniform(-1, 1, (count, *_sample_shape(spec))).astype(np.float32) for spec in inputs)
    return Bound(arrays, None, (f"{count} random samples: ranges and accuracy mean nothing; for trials only",))
