# SPDX-License-Identifier: Apache-2.0
"""Follow samples through a model on LiteRT's reference kernels, in a child process, and through its float model."""

from typing import Any

import numpy as np

from tflm_build.tasks.run_litert import follow_tensors

__all__ = ["run"]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Compare what layers write in both models, sample by sample.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (samples, *shape); `tensors` to follow; `scales` and
            `zero_points` of these, scale 0 for real numbers; `float_flatbuffer`, empty if there is none;
            `float_inputs`, in the order of its inputs; `float_tensors`: the counterpart of each tensor, -1 for none;
            `kept`: per tensor, which channels of its counterpart it still has; an array of length 0: all.

    Returns:
        `results`: arrays with a number per tensor: the smallest and the largest element seen, infinite where there is
        none; the share of elements at an end of the integer type, where that does not stand for 0; the sums of squares
        of the float model's numbers, and of the model's differences from them, 0 where there is no counterpart.
    """
    counterpart = request["float_tensors"]
    paired = [index for index, place in enumerate(counterpart) if place != -1]
    places = [counterpart[index] for index in paired]
    followed = follow_tensors(request["flatbuffer"], request["inputs"], request["tensors"])
    others = follow_tensors(request["float_flatbuffer"], request["float_inputs"], places)
    count = len(request["tensors"])
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    ends, elements, signal, noise = (np.zeros(count) for _ in range(4))
    for tensors in followed:
        wanted = dict(zip(paired, next(others), strict=True)) if paired else {}
        for index, tensor in enumerate(tensors):
            if not tensor.size or tensor.dtype.kind not in "iufb":
                continue
            low[index], high[index] = min(low[index], tensor.min()), max(high[index], tensor.max())
            elements[index] += tensor.size
            if tensor.dtype.kind in "iu":
                limits = np.iinfo(tensor.dtype)
                for end in {limits.min, limits.max} - {request["zero_points"][index]}:  # a ReLU's zeros are no loss
                    ends[index] += np.count_nonzero(tensor == end)
            if index in wanted:
                kept = request["kept"][index]
                theirs = (wanted[index][..., kept] if len(kept) else wanted[index]).astype(np.float64).reshape(-1)
                mine = tensor.astype(np.float64).reshape(-1)
                if request["scales"][index]:
                    mine = (mine - request["zero_points"][index]) * request["scales"][index]
                signal[index] += np.sum(theirs**2)
                noise[index] += np.sum((mine - theirs) ** 2)
    return {"results": [low, high, ends / np.maximum(elements, 1), signal, noise]}
