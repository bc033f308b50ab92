# SPDX-License-Identifier: Apache-2.0
"""Representative data: read from a file, or random for trials, and bound to the inputs of a model."""

import hashlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from tflm_build.errors import TflmBuildError

__all__ = ["Bound", "InputSpec", "Samples", "bind", "read_samples"]

Array = np.ndarray[Any, Any]

_SUFFIXES: Final = (".npz", ".npy")
_RANDOM: Final = re.compile(r"random:([1-9][0-9]{0,5})")


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
    """

    option: str
    file: str
    sha256: str
    random: int
    arrays: Mapping[str, Array]

    def to_message(self) -> dict[str, Any]:
        """Return the fields for a child process."""
        return {
            f"{self.option}.fields": [self.file, self.sha256, self.random],
            f"{self.option}.names": list(self.arrays),
            f"{self.option}.arrays": list(self.arrays.values()),
        }

    @staticmethod
    def from_message(message: Mapping[str, Any], option: str) -> "Samples | None":
        """Read what `to_message` wrote; None where there is nothing of that option."""
        if f"{option}.fields" not in message:
            return None
        arrays = dict(zip(message[f"{option}.names"], message[f"{option}.arrays"], strict=True))
        file, sha256, random = message[f"{option}.fields"]
        return Samples(option, file, sha256, random, arrays)


@dataclass(frozen=True)
class Bound:
    """Data in the order of a model's inputs.

    Attributes:
        arrays: one per input, of shape (samples, *input shape without the batch).
        notes: what a user may want to know of how the data was taken.
    """

    arrays: tuple[Array, ...]
    notes: tuple[str, ...]


def read_samples(option: str, source: str) -> Samples:
    """Read an .npz or .npy file, never with pickle.

    Args:
        option: CALIBRATION or TEST_DATA, for messages.
        source: a path, or `random:N`.

    Raises:
        TflmBuildError: the file is missing, of another kind, damaged, or holds Python objects.
    """
    if source.startswith("random:"):
        match = _RANDOM.fullmatch(source)
        if match is None:
            msg = f"{option} got '{source}'; random data is random:N with N from 1 to 999999"
            raise TflmBuildError(msg)
        return Samples(option, source, "", int(match[1]), {})
    path = Path(source)
    if path.suffix.lower() not in _SUFFIXES:
        msg = f"{option} got '{path.name}'; allowed: {' or '.join(_SUFFIXES)}; save the samples with numpy.savez"
        raise TflmBuildError(msg)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        loaded = np.load(path, allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except OSError as error:
        msg = f"{option} '{path.name}' cannot be read: {error.strerror or error}; check the path"
        raise TflmBuildError(msg) from error
    except ValueError as error:
        if "pickle" in str(error).lower():
            msg = f"{option} '{path.name}' holds pickled Python objects, which may run code; save plain numeric arrays"
        else:
            msg = f"{option} '{path.name}' is not a valid {path.suffix} file: {error}; save it again"
        raise TflmBuildError(msg) from error
    except (zipfile.BadZipFile, EOFError, KeyError, MemoryError, NotImplementedError) as error:
        msg = f"{option} '{path.name}' is not a valid {path.suffix} file: {error}; save it again"
        raise TflmBuildError(msg) from error
    if not arrays:
        msg = f"{option} '{path.name}' holds no array; pass an .npz with one array per input"
        raise TflmBuildError(msg)
    return Samples(option, path.name, digest, 0, arrays)


def bind(samples: Samples, inputs: Sequence[InputSpec]) -> Bound:
    """Match data with the inputs of a model, as float32 or as the integers that the data has.

    Arrays are matched by name; one array goes to the only input whatever its name. The first axis counts samples.

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
    if len(inputs) == 1 and len(arrays) == 1:
        arrays = {names[0]: next(iter(arrays.values()))}
    if not set(names) <= set(arrays):
        msg = (
            f"{samples.option} '{samples.file}' has the arrays {', '.join(sorted(arrays))}; the model's inputs are "
            f"{', '.join(names)}; pass an .npz with one array per input, by name"
        )
        raise TflmBuildError(msg)
    notes: list[str] = []
    bound = tuple(_checked(samples, spec, arrays[spec.name], notes) for spec in inputs)
    if len({len(array) for array in bound}) > 1:
        counts = ", ".join(f"{name}: {len(array)}" for name, array in zip(names, bound, strict=True))
        msg = (
            f"{samples.option} '{samples.file}' has different numbers of samples ({counts}); the first axis must agree"
        )
        raise TflmBuildError(msg)
    return Bound(bound, tuple(notes))


def _checked(samples: Samples, spec: InputSpec, array: Array, notes: list[str]) -> Array:
    """Check one array against its input; float64 and float16 are cast, with a note."""
    what = f"{samples.option} '{samples.file}' for input '{spec.name}'"
    wanted = tuple(spec.shape[1:])
    if array.ndim < 1 or array.shape[1:] != wanted:
        sizes = ", ".join(str(size) for size in ("samples", *wanted))
        msg = f"{what} has shape {array.shape}; allowed: ({sizes}); reshape the data"
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
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array)))
            msg = f"{what} has {bad} values that are NaN or infinite; only finite numbers are allowed; clean the data"
            raise TflmBuildError(msg)
    return array


def _random(count: int, inputs: Sequence[InputSpec]) -> Bound:
    """Draw uniform numbers in [-1, 1) from numpy's frozen generator: the same ones in every version of numpy."""
    generator = np.random.RandomState(0)
    arrays = tuple(generator.uniform(-1, 1, (count, *spec.shape[1:])).astype(np.float32) for spec in inputs)
    return Bound(arrays, (f"{count} random samples: ranges and accuracy mean nothing; for trials only",))
