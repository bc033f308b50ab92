# SPDX-License-Identifier: Apache-2.0
"""Find weights of 4 bits for layers by what their inputs are on samples, in a child process."""

from typing import Any

from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.moments import gather_moments
from tflm_build.passes.narrow import narrow_layer
from tflm_build.tasks.run_litert import follow_tensors

__all__ = ["run"]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Follow samples through a model on LiteRT's reference kernels, and fit the weights of its layers.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (samples, *shape) in the tensor's type; `places`: of the
            operators; `wanted`: for each of them its weights as real numbers (outputs, taps).

    Returns:
        `weights`, `scales`, `biases`: an array for each operator; see `passes.narrow.Narrow`.
    """
    model = canonicalize(request["flatbuffer"])
    operators = [model.graph.subgraphs[0].operators[place] for place in request["places"]]
    sources = [operator.reads[0].place for operator in operators]
    elements = zip(*follow_tensors(request["flatbuffer"], request["inputs"], sources), strict=True)
    found = [
        narrow_layer(operator, gather_moments(operator, samples), wanted)
        for operator, samples, wanted in zip(operators, elements, request["wanted"], strict=True)
    ]
    return {
        "weights": [layer.weights for layer in found],
        "scales": [layer.scales for layer in found],
        "biases": [layer.bias for layer in found],
    }
