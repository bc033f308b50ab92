# SPDX-License-Identifier: Apache-2.0
"""Representative data: what is matched with which input, and what is cast."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tflm_build.errors import TflmBuildError
from tflm_build.source.read_samples import read_samples
from tflm_build.source.samples import Samples, bind


@dataclass(frozen=True)
class Input:
    """An input of a model that is only described."""

    name: str
    shape: tuple[int, ...]


TWO = (Input("b", (1, 2)), Input("a", (1, 3)))


def test_arrays_are_matched_by_name(tmp_path: Path) -> None:
    a, b = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(8, dtype=np.float32).reshape(4, 2)
    np.savez(tmp_path / "data.npz", a=a, b=b, labels=np.arange(4))
    bound = bind(read_samples("CALIBRATION", str(tmp_path / "data.npz")), TWO)
    assert np.array_equal(bound.arrays[0], b)
    assert np.array_equal(bound.arrays[1], a)
    assert bound.notes == ()


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_one_array_goes_to_the_only_input(suffix: str, tmp_path: Path) -> None:
    path, data = tmp_path / f"data{suffix}", np.arange(6, dtype=np.float32).reshape(3, 2)
    if suffix == ".npy":
        np.save(path, data)
    else:
        np.savez(path, whatever=data)
    (array,) = bind(read_samples("CALIBRATION", str(path)), (Input("x", (1, 2)),)).arrays
    assert np.array_equal(array, data)


def test_float64_is_cast_with_a_note(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.array([[0.1], [0.2]]))
    bound = bind(read_samples("CALIBRATION", str(tmp_path / "data.npy")), (Input("x", (1, 1)),))
    assert bound.arrays[0].dtype == np.float32
    assert bound.notes == ("`CALIBRATION` 'data.npy' for input 'x' is float64, cast to float32",)


def test_float64_beyond_float32_is_not_finite(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.array([[1e300]]))
    with (
        np.errstate(over="ignore"),
        pytest.raises(TflmBuildError, match="has values that are NaN or infinite: 1"),
    ):
        bind(read_samples("CALIBRATION", str(tmp_path / "data.npy")), (Input("x", (1, 1)),))


def test_numbers_of_samples_must_agree(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", a=np.ones((4, 3), "f"), b=np.ones((5, 2), "f"))
    with pytest.raises(TflmBuildError, match=r"different numbers of samples \(b: 5, a: 4\)"):
        bind(read_samples("CALIBRATION", str(tmp_path / "data.npz")), TWO)


def test_random_samples_are_always_the_same() -> None:
    first, second = (bind(read_samples("CALIBRATION", "random:3"), TWO) for _ in range(2))
    assert [array.shape for array in first.arrays] == [(3, 2), (3, 3)]
    assert all(np.array_equal(left, right) for left, right in zip(first.arrays, second.arrays, strict=True))
    # The first draw of Mersenne Twister with seed 0 is 0.5488135 in [0, 1), in every version of numpy.
    assert first.arrays[0][0, 0] == pytest.approx(2 * 0.5488135 - 1, abs=1e-6)


def test_a_decompression_bomb_of_a_header_is_refused(tmp_path: Path) -> None:
    """An .npy that claims more elements than it has must not make us allocate them."""
    path = tmp_path / "data.npy"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (9000000000000, 1), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(TflmBuildError, match=r"is not a valid \.npy file"):
        read_samples("CALIBRATION", str(path))


@pytest.mark.parametrize(("values", "note"), [
    (np.full((6, 2), 3.0), "is constant, 3: its range cannot be learnt"),
    (np.array([[0, 1], [0.5, 1], [0.25, 1]]).reshape(3, 1, 2), "never changes in 1 of 2 channels, the first is 1"),
    (np.clip(np.linspace(0, 2, 40), 0, 1).reshape(20, 2), r"looks saturated: 50% of its values are exactly 1"),
])  # fmt: skip
def test_data_that_no_range_can_be_learnt_from(values: np.ndarray[Any, Any], note: str, tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", values.astype(np.float32))
    spec = Input("x", (1, *values.shape[1:]))
    (found,) = bind(read_samples("CALIBRATION", str(tmp_path / "data.npy")), (spec,)).notes
    assert found == f"warning: `CALIBRATION` 'data.npy' for input 'x' {note}"


@pytest.mark.parametrize(("shape", "remedy"), [((3, 10), "transpose"), ((10, 4), "reshape")])
def test_data_of_another_shape_is_told_what_to_do(shape: tuple[int, ...], remedy: str) -> None:
    data = Samples("CALIBRATION", "x.npy", "", 0, {"": np.ones(shape, np.float32)})
    with pytest.raises(TflmBuildError, match=f"; {remedy} the data$"):
        bind(data, [Input("x", (1, 3))])
