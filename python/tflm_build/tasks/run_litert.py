# SPDX-License-Identifier: Apache-2.0
"""Run a model on LiteRT, in a child process: the check that does not share TFLM's code."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError
from tflm_build.tasks.attempt import SECONDS, attempt_vectors, words

__all__ = ["RESOLVERS", "follow_tensors", "reference_interpreter", "run", "run_on_any", "run_vectors"]

RESOLVERS: Final = ("BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
"""LiteRT's kernels, the simplest first: the reference kernels lack ELU, CEIL, ROUND and BROADCAST_TO."""


def reference_interpreter(flatbuffer: bytes, *, resolver: str = RESOLVERS[0], keep_tensors: bool = False) -> Any:
    """Open a model, with nothing allocated yet.

    Args:
        flatbuffer: the model.
        resolver: one of RESOLVERS.
        keep_tensors: leave all tensors as they were written, to be read after a run.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    return Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=OpResolverType[resolver],
        experimental_preserve_all_tensors=keep_tensors,
        num_threads=1,
    )


def run_vectors(
    flatbuffer: bytes, inputs: Sequence[Array], resolver: str = RESOLVERS[0], count: int | None = None
) -> list[Array]:
    """Run a model on vectors.

    Args:
        flatbuffer: the model.
        inputs: per input an array (vectors, *shape).
        resolver: one of RESOLVERS.
        count: of the vectors; None: as many as the inputs have.

    Returns:
        Per output an array (vectors, *shape).
    """
    interpreter = reference_interpreter(flatbuffer, resolver=resolver)
    interpreter.allocate_tensors()
    places = [detail["index"] for detail in interpreter.get_input_details()]
    results = [detail["index"] for detail in interpreter.get_output_details()]
    outputs: list[list[Any]] = [[] for _ in results]
    for vector in range(len(inputs[0]) if count is None else count):
        for place, values in zip(places, inputs, strict=True):
            interpreter.set_tensor(place, values[vector])
        interpreter.invoke()
        for collected, result in zip(outputs, results, strict=True):
            collected.append(interpreter.get_tensor(result))
    return [np.stack(collected) for collected in outputs]


def follow_tensors(flatbuffer: bytes, inputs: Sequence[Array], tensors: Sequence[int]) -> Iterator[list[Array]]:
    """Yield for each vector what tensors hold after a run on the reference kernels.

    Args:
        flatbuffer: the model.
        inputs: per input an array (vectors, ...).
        tensors: their places in the main subgraph.
    """
    interpreter = reference_interpreter(flatbuffer, keep_tensors=True)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()
    for vector in zip(*inputs, strict=True):
        for detail, value in zip(details, vector, strict=True):
            interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]).reshape(detail["shape"]))
        interpreter.invoke()
        yield [interpreter.get_tensor(tensor) for tensor in tensors]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a model on the first kernels of LiteRT that run it.

    Args:
        request: `flatbuffer`; `inputs`: per input an array (vectors, *shape); a model of none runs once; `in_order`:
            whether an answer depends on the vectors before, true where it is not said.

    Returns:
        `outputs`: per output an array (vectors, *shape).

    Raises:
        TflmBuildError: none does.
    """
    answer = run_on_any(request["flatbuffer"], request["inputs"], in_order=request.get("in_order", True))
    if answer is None:
        msg = f"LiteRT cannot run this model: {words()}"
        raise TflmBuildError(msg)
    return answer


def run_on_any(flatbuffer: bytes, inputs: Sequence[Array], *, in_order: bool) -> dict[str, Any] | None:
    """Return what `run` returns; None where no kernels of LiteRT run the model."""
    for resolver in RESOLVERS:
        work = partial(_run_here, flatbuffer, resolver)
        answer = attempt_vectors(work, inputs, SECONDS, in_order=in_order)
        if answer is not None:
            return answer
    return None


def _run_here(flatbuffer: bytes, resolver: str, inputs: Sequence[Array]) -> dict[str, Any]:
    """Run a model in this process."""
    return {"outputs": run_vectors(flatbuffer, inputs, resolver, None if inputs else 1)}
