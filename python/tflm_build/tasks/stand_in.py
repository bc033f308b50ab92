# SPDX-License-Identifier: Apache-2.0
"""Stand for the tflite-micro wheel where there is none: the arena computed, the answers those of the references.

Each operator is run on what it is compared with on TFLM: our own arithmetic where LiteRT rounds otherwise or errs, else
LiteRT's reference kernels, else its optimized ones. Where operators share variables, LiteRT runs the whole model.
"""

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from tflm_build.arena.layout import HOST
from tflm_build.arena.replay import compute_arena
from tflm_build.arrays import Array
from tflm_build.errors import TflmBuildError
from tflm_build.model.decode import read_decode
from tflm_build.model.fully_connected import read_fully_connected
from tflm_build.model.graph import Operator
from tflm_build.model.model import Model
from tflm_build.model.ops import check_ops
from tflm_build.model.reciprocal_root import read_reciprocal_root
from tflm_build.model.svdf import read_svdf
from tflm_build.model.types import TYPES
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.stand_alone import activations, cut_apart
from tflm_build.tasks.run_litert import RESOLVERS, reference_interpreter

__all__ = ["Interpreter", "InterpreterConfig", "tflm_runtime"]

InterpreterConfig: Final = SimpleNamespace(kAllocationRecording=0, kPreserveAllTensors=1)


def tflm_runtime() -> Any:
    """Return the module of the wheel that has its `Interpreter`, or this one."""
    try:
        from tflite_micro import runtime
    except ImportError:
        return sys.modules[__name__]
    return runtime


class Interpreter:
    """What the tasks and the host backend know of the wheel's class of this name."""

    def __init__(self, model: Model, size: int) -> None:
        """Open a model in an arena of so many bytes.

        Raises:
            RuntimeError: it does not fit, or TFLM or LiteRT does not have an operator.
        """
        try:
            check_ops(model.graph)
        except TflmBuildError as error:
            raise RuntimeError(str(error)) from error
        self._arena = compute_arena(model, HOST)
        if self._arena.bytes is None:
            what = ", ".join(self._arena.unknown)
            msg = f"the arena of {what} is not computed, and only the tflite-micro wheel (Linux on x86-64) measures it"
            raise RuntimeError(msg)
        if size < self._arena.bytes:
            msg = f"Failed to allocate memory: {self._arena.bytes} bytes are needed, {size} are there"
            raise RuntimeError(msg)
        self._main = model.graph.subgraphs[0]
        self._parts = _parts(model)
        self._values: dict[int, Array] = {
            place: np.zeros(tensor.shape, tensor.dtype)
            for place, tensor in zip(self._main.inputs, model.graph.inputs, strict=True)
        }
        self._ends = {
            "input": (self._main.inputs, model.graph.inputs),
            "output": (self._main.outputs, model.graph.outputs),
        }

    @classmethod
    def from_bytes(cls, flatbuffer: bytes, _custom: Any = None, arena_size: int = 1 << 28, _config: Any = None) -> Any:
        """Open a flatbuffer, as the wheel does."""
        return cls(canonicalize(flatbuffer), arena_size)

    def set_input(self, value: Array, index: int) -> None:
        """Give an input its elements."""
        places, tensors = self._ends["input"]
        tensor = tensors[index]
        self._values[places[index]] = np.asarray(value, tensor.dtype).reshape(tensor.shape)

    def invoke(self) -> None:
        """Run all operators."""
        for part in self._parts:
            part.run(self._values)

    def get_output(self, index: int) -> Array:
        """Return the elements of an output."""
        return self._values[self._ends["output"][0][index]]

    def get_input_details(self, index: int) -> dict[str, Any]:
        """Return type and shape of an input; raise IndexError behind the last."""
        return self._details("input", index)

    def get_output_details(self, index: int) -> dict[str, Any]:
        """Return type and shape of an output; raise IndexError behind the last."""
        return self._details("output", index)

    def _details(self, kind: str, index: int) -> dict[str, Any]:
        tensor = self._ends[kind][1][index]
        return {"shape": tensor.shape, "dtype": tensor.dtype}

    def GetTensor(self, place: int, _subgraph: int) -> dict[str, Array]:  # noqa: N802 - the wheel's name
        """Return the elements of a tensor."""
        return {"tensor_data": self._values[place]}

    def print_allocations(self) -> None:
        """Print what TFLM prints of the arena, to where it prints."""
        for part in ("head", "tail"):
            sys.stderr.write(f"Arena allocation {part} {getattr(self._arena, part)} bytes\n")
        sys.stderr.flush()


class _OnLitert:
    """Operators that follow one another, in one interpreter of LiteRT."""

    def __init__(self, model: Model, places: Sequence[int], resolver: str) -> None:
        cut = cut_apart(model, places, joined=True)
        self._places = places
        with self._naming():
            self._interpreter = reference_interpreter(cut.flatbuffer, resolver=resolver)
            self._interpreter.allocate_tensors()
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._inputs = [(detail["index"], place) for detail, place in zip(inputs, cut.inputs, strict=True)]
        self._outputs = [(detail["index"], place) for detail, place in zip(outputs, cut.outputs, strict=True)]

    def run(self, values: dict[int, Array]) -> None:
        for index, place in self._inputs:
            self._interpreter.set_tensor(index, values[place])
        with self._naming():
            self._interpreter.invoke()
        for index, place in self._outputs:
            values[place] = self._interpreter.get_tensor(index)

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        """Say of an operator that LiteRT refuses which one of the whole model it is."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            words = re.sub(r"(?<=ode number )\d+", lambda found: str(self._places[int(found[0])]), str(error))
            msg = f"LiteRT, which stands for TFLM here, says: {words}"
            raise RuntimeError(msg) from error


class _Computed:
    """An operator that is computed here; it may keep something from one vector to the next, so that all are kept."""

    def __init__(self, operator: Operator, layer: Any) -> None:
        self._layer = layer
        self._source, self._target = operator.reads[0].place, operator.outputs[0]
        self._keeps = operator.op == "SVDF"
        self._seen: list[Array] = []

    def run(self, values: dict[int, Array]) -> None:
        self._seen = [*(self._seen if self._keeps else []), values[self._source]]
        answer = self._layer.answer(np.stack(self._seen))[-1]
        values[self._target.place] = answer.reshape(self._target.shape).astype(TYPES[self._target.type].dtype)


class _Unpacked:
    """Constants that are decoded."""

    def __init__(self, operator: Operator, arrays: Sequence[Array]) -> None:
        self._pairs = list(zip((each.place for each in activations(operator.outputs)), arrays, strict=True))

    def run(self, values: dict[int, Array]) -> None:
        values.update(self._pairs)


_Part = _OnLitert | _Computed | _Unpacked


def _parts(model: Model) -> list[_Part]:
    """Divide the main subgraph into what is run by one reference."""
    operators = model.graph.subgraphs[0].operators
    shared = any(operand.type == "resource" for each in operators for operand in (*each.reads, *each.outputs))
    parts: list[_Part] = []
    together: list[int] = []
    for place, operator in enumerate(operators):
        own = None if shared else _own(operator)
        if own is None:
            together.append(place)
            continue
        parts += _on_litert(model, together)
        parts.append(own)
        together = []
    return [*parts, *_on_litert(model, together)]


def _own(operator: Operator) -> _Part | None:
    """Return an operator as it is computed here; None for one of LiteRT's."""
    arrays = read_decode(operator)
    if arrays:
        return _Unpacked(operator, arrays)
    for read in (read_fully_connected, read_reciprocal_root, read_svdf):
        layer = read(operator)
        # A constant has no values of the vectors, and one that more than one operator keeps is LiteRT's.
        if layer is not None and activations(operator.reads[:1]):
            return _Computed(operator, layer)
    return None


def _on_litert(model: Model, places: Sequence[int]) -> list[_Part]:
    """Return operators as LiteRT runs them: together on the reference kernels, or one by one on the first that can."""
    if not places:
        return []
    with contextlib.suppress(RuntimeError, ValueError):
        return [_OnLitert(model, places, RESOLVERS[0])]
    if len(places) == 1:
        return [_OnLitert(model, places, RESOLVERS[1])]
    return [part for place in places for part in _on_litert(model, [place])]
