# SPDX-License-Identifier: Apache-2.0
"""Write a recurrent layer down as a loop over its steps, for which TFLM has the operator WHILE."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.cells import FIXED, Range
from tflm_build.model.flatbuffer import schema
from tflm_build.model.recurrent import Recurrent
from tflm_build.passes.editor import Editor, Scaling

__all__ = ["insert_loop", "scaling_of", "weights", "wide_bias"]

_FUNCTIONS: Final = {"relu": "RELU", "sigmoid": "LOGISTIC", "tanh": "TANH"}
_LARGEST: Final = 32767


def insert_loop(draft: Editor, layer: Recurrent, sequences: int) -> int:
    """Add a WHILE and its two subgraphs.

    The loop carries the place that it reads and writes next, the sequence (steps, features), the states, and what it
    writes where that is more than the last state. Where activations are integers it computes with int16: the roundings
    of int8 add up from step to step.

    Args:
        draft: the model.
        layer: of batch 1.
        sequences: the tensor that it reads, (steps, features).

    Returns:
        The tensor that it writes, (rows, units), of float32 or int16.
    """
    kind, given = draft.tensor(sequences).type, draft.step(sequences)
    if kind == schema.TensorType.INT8 and given is not None:
        kind = schema.TensorType.INT16
        wide = draft.add_tensor(f"{layer.layer}/wide", (layer.steps, layer.features), kind, (given[0], 0))
        draft.add_operator("QUANTIZE", [sequences], wide)
        sequences = wide
    real = kind == schema.TensorType.FLOAT32
    scalings = [None] * layer.states if real else [scaling_of(seen) for seen in layer.seen]
    carried: list[_Carried] = [
        *([_Carried(layer.layer, (layer.rows, layer.units), kind, scalings[0])] if layer.rows > 1 else []),
        *(_Carried("state", (1, layer.units), kind, scaling) for scaling in scalings),
        _Carried("place", (2,), schema.TensorType.INT32, None),
        _Carried("sequences", (layer.steps, layer.features), kind, draft.step(sequences)),
    ]
    kept = range(len(carried) - 2 - layer.states, len(carried) - 2) if layer.stateful else ()
    begin = [
        each.tensor(draft, variable=True)
        if index in kept
        else zeros(draft, f"{layer.layer}/{each.title}", each.shape, kind, each.scaling)
        for index, each in enumerate(carried[:-2])
    ]
    begin += [draft.add_constant("place", np.zeros(2, np.int32)), sequences]
    ends = [begin[index] if index in kept else each.tensor(draft) for index, each in enumerate(carried)]
    draft.tensor(ends[0]).name = layer.layer.encode()
    operator = draft.add_operator("WHILE", begin, *ends)
    for part, fill in (("cond", _condition), ("body", _body)):
        subgraph = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[])
        inner = Editor(draft.tree, subgraph)
        subgraph.inputs = [each.tensor(inner) for each in carried]
        subgraph.outputs = fill(inner, layer, subgraph.inputs, kind)
        setattr(operator.builtinOptions, f"{part}SubgraphIndex", len(draft.tree.subgraphs))
        draft.tree.subgraphs.append(subgraph)
    return ends[0]


class _Carried(NamedTuple):
    """What a loop hands from step to step."""

    title: str
    shape: tuple[int, ...]
    kind: Any
    scaling: Scaling

    def tensor(self, draft: Editor, *, variable: bool = False) -> int:
        """Add a tensor for it."""
        return draft.add_tensor(self.title, self.shape, self.kind, self.scaling, variable=variable)


def _condition(draft: Editor, layer: Recurrent, inputs: Sequence[int], _kind: Any) -> list[int]:
    """Go on while the place is before the last step."""
    first, one = draft.add_constant("first", np.zeros(1, np.int32)), draft.add_constant("one", np.ones(1, np.int32))
    place = draft.add_tensor("place", (1,), schema.TensorType.INT32)
    draft.add_operator("SLICE", [inputs[-2], first, one], place)
    more = draft.add_tensor("more", (1,), schema.TensorType.BOOL)
    draft.add_operator("LESS", [place, draft.add_constant("steps", np.array([layer.steps], np.int32))], more)
    return [more]


def _body(draft: Editor, layer: Recurrent, inputs: Sequence[int], kind: Any) -> list[int]:
    """Take a step."""
    *written, place, sequences = inputs
    states = written[-layer.states :]
    value = draft.add_tensor("step", (1, layer.features), kind, draft.step(sequences))
    size = draft.add_constant("size", np.array([1, layer.features], np.int32))
    draft.add_operator("SLICE", [sequences, place, size], value)
    after = layer.step(_Operators(draft, layer, kind), value, states)
    for old, new in zip(states, after, strict=True):
        draft.tensor(new).quantization = draft.tensor(old).quantization
    rows = []
    if layer.rows > 1:  # the oldest row goes, the newest comes behind: after all steps there are only new ones
        shape, scaling = (layer.rows - 1, layer.units), draft.step(states[0])
        later = draft.add_tensor("later", shape, kind, scaling)
        bounds = [draft.add_constant("bound", np.array(bound, np.int32)) for bound in ([1, 0], [0, 0], [1, 1])]
        draft.add_operator("STRIDED_SLICE", [written[0], *bounds], later, endMask=3)
        rows.append(draft.add_tensor("written", (layer.rows, layer.units), kind, scaling))
        draft.add_operator("CONCATENATION", [later, after[0]], rows[0], axis=0)
    following = draft.add_tensor("next", (2,), schema.TensorType.INT32)
    draft.add_operator("ADD", [place, draft.add_constant("one", np.array([1, 0], np.int32))], following)
    return [*rows, *after, following, sequences]


class _Operators:
    """A tape that writes a step down as operators; the ranges of its values come in the order of the calls."""

    def __init__(self, draft: Editor, layer: Recurrent, kind: Any) -> None:
        self.draft = draft
        self.layer = layer
        self.kind = kind
        self.real = kind == schema.TensorType.FLOAT32
        self.ranges = iter(layer.ranges)

    def dense(self, value: int, matrix: Array, bias: Array | None = None) -> int:
        """Add a FULLY_CONNECTED."""
        kernel = weights(self.draft, "kernel", np.ascontiguousarray(matrix.T), quantized=not self.real)
        offset = -1
        if bias is not None:
            offset = wide_bias(self.draft, "bias", bias, value, kernel, self.kind)
        target = self._target(matrix.shape[1])
        self.draft.add_operator("FULLY_CONNECTED", [value, kernel, offset], target)
        return target

    def combine(self, op: str, one: int, other: int) -> int:
        """Add an ADD, SUB or MUL."""
        target = self._target(self.layer.units)
        scaled = {} if op == "MUL" else {"potScaleInt16": False}
        self.draft.add_operator(op, [one, other], target, **scaled)
        return target

    def rest(self, value: int) -> int:
        """Add a SUB from one."""
        one = np.array([[1]], np.float32) if self.real else np.array([[_LARGEST]], np.int16)
        whole = self.draft.add_constant("one", one, None if self.real else (1 / _LARGEST, 0))
        target = self._target(self.layer.units)
        self.draft.add_operator("SUB", [whole, value], target, potScaleInt16=False)
        return target

    def apply(self, function: str, value: int) -> int:
        """Add an activation."""
        if function == "linear":
            return value
        target = self._target(self.layer.units)
        self.draft.add_operator(_FUNCTIONS[function], [value], target)
        return target

    def _target(self, size: int) -> int:
        """Add the tensor of a value."""
        scaling = None if self.real else scaling_of(next(self.ranges))
        return self.draft.add_tensor("value", (1, size), self.kind, scaling)


def scaling_of(seen: Range) -> Scaling:
    """Return what int16 stands for a range with: a step, and the zero point 0 that TFLite asks for."""
    if seen.function in FIXED:
        return 1 / (_LARGEST + 1), 0
    return max(abs(seen.low), abs(seen.high)) / _LARGEST or 1.0, 0


def weights(draft: Editor, name: str, matrix: Array, *, quantized: bool) -> int:
    """Add weights, as int8 with one scale where they are quantized."""
    if not quantized:
        return draft.add_constant(name, matrix.astype(np.float32))
    scale = float(np.abs(matrix).max()) / 127 or 1.0
    return draft.add_constant(name, np.round(matrix / scale).astype(np.int8), (scale, 0))


def wide_bias(draft: Editor, name: str, bias: Array, value: int, kernel: int, kind: Any) -> int:
    """Add a bias in the products' steps: int32 for int8, int64 for int16."""
    given, scaled = draft.step(value), draft.step(kernel)
    if given is None or scaled is None:
        return draft.add_constant(name, np.ascontiguousarray(bias, np.float32))
    scale = given[0] * scaled[0]
    dtype = np.int32 if kind == schema.TensorType.INT8 else np.int64
    return draft.add_constant(name, np.round(bias.astype(np.float64) / scale).astype(dtype), (scale, 0))


def zeros(draft: Editor, name: str, shape: Sequence[int], kind: Any, scaling: Scaling) -> int:
    """Add a tensor of real zeros that needs no data; FILL, which TFLM lacks for int16, writes what QUANTIZE widens."""
    filled = schema.TensorType.INT8 if kind == schema.TensorType.INT16 else kind
    zero = np.float32(0) if scaling is None else np.int8(scaling[1])
    sizes = draft.add_constant("shape", np.array(shape, np.int32))
    target = draft.add_tensor(name, shape, filled, (1.0, 0) if filled != kind else scaling)
    draft.add_operator("FILL", [sizes, draft.add_constant("zero", np.array(zero), draft.step(target))], target)
    if filled == kind:
        return target
    wide = draft.add_tensor(f"{name}/wide", shape, kind, scaling)
    draft.add_operator("QUANTIZE", [target], wide)
    return wide
