# SPDX-License-Identifier: Apache-2.0
"""Run a model's bytes on TFLM and compare the answers with its golden vectors, as runtime/src/model_test.c does."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array, distance, equal
from tflm_build.child.run import run_in_child
from tflm_build.child.table import RUN_TFLM
from tflm_build.errors import TflmBuildError
from tflm_build.manifest.read import Manifest
from tflm_build.source.read_samples import read_samples

__all__ = ["verify_vectors"]

_END: Final = "_golden.npz"


def verify_vectors(manifest: Manifest, flatbuffer: bytes) -> str:
    """Run a model on its golden vectors.

    Args:
        manifest: the golden vectors lie beside it.
        flatbuffer: the bytes that run.

    Returns:
        How many vectors there are, and who answered them.

    Raises:
        TflmBuildError: there are no vectors, they are not those of this model, TFLM does not run the model, or answers
            otherwise.
    """
    path = manifest.beside(_END)
    if manifest.read(_END) is None:
        msg = f"{path.name} does not lie beside {manifest.path.name}; keep the files of convert together"
        raise TflmBuildError(msg)
    arrays = read_samples("GOLDEN", str(path)).arrays
    inputs = _tensors(path.name, arrays, "input", manifest.inputs)
    expected = _tensors(path.name, arrays, "output", manifest.outputs)
    tolerance = arrays.get("tolerance", np.zeros(0))
    counts = {len(array) for array in (*inputs, *expected)}
    right = tolerance.shape == (len(expected),) and tolerance.dtype == np.float64 and bool(np.all(tolerance >= 0))
    if len(counts) != 1 or 0 in counts or not right:
        msg = f"{path.name} does not have one answer for each input, or one tolerance for each output; convert again"
        raise TflmBuildError(msg)
    request = {"flatbuffer": flatbuffer, "inputs": inputs, "output_count": len(expected)}
    answer = run_in_child(RUN_TFLM, request)
    for index, (got, wanted, allowed) in enumerate(zip(answer["outputs"], expected, tolerance, strict=True)):
        _compare(index, got, wanted, float(allowed))
    who = "TFLM" if answer["versions"] else "the references of its layers; TFLM itself was not run"
    return f"{counts.pop()} vectors on {who}"


def _tensors(
    file: str, arrays: Mapping[str, Array], kind: str, tensors: Sequence[tuple[np.dtype[Any], tuple[int, ...]]]
) -> list[Array]:
    """Return the arrays (vectors, *shape) of one kind, if they are those of the tensors."""
    found = []
    for index, (dtype, shape) in enumerate(tensors):
        array = arrays.get(f"{kind}_{index}")
        if array is None or array.ndim == 0 or (array.dtype, array.shape[1:]) != (dtype, shape):
            got = "none" if array is None else f"{array.dtype}{list(array.shape[1:])}"
            msg = f"{file} is of another model: {kind} {index} is {dtype}{list(shape)}, there {got}; convert it again"
            raise TflmBuildError(msg)
        found.append(array)
    return found


def _compare(output: int, got: Array, wanted: Array, allowed: float) -> None:
    """Refuse answers that are too far away; name the first."""
    if (got.dtype, got.shape) != (wanted.dtype, wanted.shape):
        msg = f"output {output} is {got.dtype}{list(got.shape[1:])}; expected {wanted.dtype}{list(wanted.shape[1:])}"
        raise TflmBuildError(msg)
    away = distance(got, wanted)
    # Two int64 can be other numbers and the same float64; a NaN is too far from every number.
    wrong = ~equal(got, wanted) & ~((away > 0) & (away <= allowed))
    if wrong.any():
        place = tuple(int(each[0]) for each in np.nonzero(wrong))
        element = int(np.ravel_multi_index(place[1:], wrong.shape[1:])) if wrong.ndim > 1 else 0
        msg = (
            f"golden vector {place[0]}, output {output}, element {element}: the image's model answers {got[place]}; "
            f"expected {wanted[place]}, at most {allowed:g} away; {int(wrong.sum())} of {wrong.size} elements "
            "are wrong; convert the model again"
        )
        raise TflmBuildError(msg)
