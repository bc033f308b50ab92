# SPDX-License-Identifier: Apache-2.0
"""Add tensors and operators to a model, and take operators out of it."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import indices, schema
from tflm_build.passes.draft import Draft

__all__ = ["Editor", "Scaling"]

Scaling = tuple[float, int] | None
"""Scale and zero point of a tensor; None for real numbers and plain integers."""

_TYPES: Final = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
}


class Editor(Draft):
    """A subgraph that is added to, in any order; `order` then puts its operators into one in which they can run.

    Attributes:
        tree: what `load` returned.
    """

    def __init__(self, tree: Any, subgraph: Any = None) -> None:
        """Begin with a subgraph, by default the first one."""
        super().__init__(tree, subgraph or tree.subgraphs[0])
        self.tree = tree

    def add_tensor(
        self, name: str, shape: Sequence[int], kind: Any, scaling: Scaling = None, *, variable: bool = False
    ) -> int:
        """Add an activation; return its place."""
        tensor = schema.TensorT(name=name.encode(), shape=list(shape), type=kind, isVariable=variable, hasRank=True)
        if scaling is not None:
            scale, zero_point = scaling
            tensor.quantization = schema.QuantizationParametersT(
                scale=np.array([scale], np.float32), zeroPoint=np.array([zero_point], np.int64)
            )
        return self._add(tensor)

    def add_constant(self, name: str, values: Array, scaling: Scaling = None) -> int:
        """Add a constant; return its place."""
        place = self.add_tensor(name, values.shape, _TYPES[values.dtype], scaling)
        self.hold(place, values)
        return place

    def add_operator(self, op: str, inputs: Sequence[int], *outputs: int, **options: Any) -> Any:
        """Add an operator behind all others; return it."""
        operator = self.new_operator(op, inputs, outputs, **options)
        self.operators = [*self.operators, operator]
        return operator

    def step(self, place: int) -> Scaling:
        """Return scale and zero point of a tensor that has one of each."""
        scales, zero_points = self.scaling(place)
        return (scales[0], zero_points[0]) if len(scales) == 1 else None

    def after_quantize(self, place: int) -> int:
        """Return an input, or what the QUANTIZE behind it makes of it, which is taken off."""
        readers = self.readers(place)
        if len(readers) != 1 or self.op(readers[0]) != "QUANTIZE":
            return place
        self.replace(readers[0], ())
        return indices(readers[0].outputs)[0]

    def before_dequantize(self, place: int) -> int:
        """Return an output, or what the DEQUANTIZE in front of it is made from, which is taken off."""
        writer = self.writer(place)
        if writer is None or self.op(writer) != "DEQUANTIZE":
            return place
        self.replace(writer, ())
        return indices(writer.inputs)[0]

    def reshape(self, place: int, shape: Sequence[int], target: int | None = None) -> int:
        """Add a RESHAPE, into a tensor that is there or a new one; return that."""
        source = self.tensor(place)
        if target is None:
            target = self.add_tensor(f"{bytes(source.name).decode()}/shaped", shape, source.type, self.step(place))
        sizes = self.add_constant("shape", np.array(shape, np.int32))
        self.add_operator("RESHAPE", [place, sizes], target, newShape=list(shape))
        return target

    def order(self) -> None:
        """Put each operator behind those that it reads from, and otherwise leave the order as it is."""
        waiting = self.operators
        ordered: list[Any] = []
        while waiting:
            pending = {place for operator in waiting for place in indices(operator.outputs)}
            ready = next(
                operator
                for operator in waiting
                if not pending.intersection(set(indices(operator.inputs)) - set(indices(operator.outputs)))
            )
            waiting.remove(ready)
            ordered.append(ready)
        self.operators = ordered

    def join_reshapes(self) -> None:
        """Leave out RESHAPEs that only another RESHAPE reads, and those that change nothing."""
        for operator in self.operators:
            if self.op(operator) != "RESHAPE":
                continue
            source, target = indices(operator.inputs)[0], indices(operator.outputs)[0]
            same, readers = self.shape(source) == self.shape(target), self.readers(target)
            if target in self.outputs and (not same or self.writer(source) is None or source in self.outputs):
                continue
            if same or all(self.op(reader) == "RESHAPE" for reader in readers):
                for reader in readers:
                    reader.inputs = [source if place == target else place for place in indices(reader.inputs)]
                self.outputs = [source if place == target else place for place in self.outputs]
                self.replace(operator, ())
