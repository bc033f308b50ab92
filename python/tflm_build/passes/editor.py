# SPDX-License-Identifier: Apache-2.0
"""Add tensors and operators to a model, and take operators out of it."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tflm_build.arrays import Array
from tflm_build.model.flatbuffer import indices, op_name, schema

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


class Editor:
    """A model that is changed, in place.

    Attributes:
        model: what `load` returned.
        main: the subgraph that is worked on.
    """

    def __init__(self, model: Any, main: Any = None) -> None:
        """Begin with a model; without `main`, its first subgraph is worked on."""
        self.model = model
        self.main = main or model.subgraphs[0]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: Any,
        scaling: Scaling = None,
        data: Array | None = None,
        *,
        variable: bool = False,
    ) -> int:
        """Add a tensor; return its place."""
        tensor = schema.TensorT(name=name.encode(), shape=list(shape), type=kind, isVariable=variable, hasRank=True)
        if scaling is not None:
            scale, zero_point = scaling
            tensor.quantization = schema.QuantizationParametersT(
                scale=np.array([scale], np.float32), zeroPoint=np.array([zero_point], np.int64)
            )
        tensor.buffer = 0
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
        self.main.tensors.append(tensor)
        return len(self.main.tensors) - 1

    def constant(self, name: str, data: Array, scaling: Scaling = None) -> int:
        """Add a constant; return its place."""
        return self.tensor(name, data.shape, _TYPES[data.dtype], scaling, data)

    def operator(
        self, op: str, inputs: Sequence[int], output: int, kind: str = "", version: int = 1, **options: Any
    ) -> Any:
        """Add an operator; return it."""
        code = getattr(schema.BuiltinOperator, op)
        known = [op_name(entry) == op and entry.version == version for entry in self.model.operatorCodes]
        if not any(known):
            entry = schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=version)
            self.model.operatorCodes.append(entry)
            known.append(True)
        operator = schema.OperatorT(opcodeIndex=known.index(True), inputs=list(inputs), outputs=[output])
        if kind:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
            for name, value in options.items():
                setattr(operator.builtinOptions, name, value)
        self.main.operators.append(operator)
        return operator

    def named(self, operator: Any) -> str:
        """Return the name of an operator's op."""
        return op_name(self.model.operatorCodes[operator.opcodeIndex])

    def scaling(self, place: int) -> Scaling:
        """Return scale and zero point of a tensor that has one of each."""
        found = self.main.tensors[place].quantization
        if found is None or found.scale is None or len(found.scale) != 1:
            return None
        return float(found.scale[0]), int(found.zeroPoint[0])

    def writer(self, place: int) -> Any:
        """Return the operator that writes a tensor, None for none."""
        return next((found for found in self.main.operators if place in indices(found.outputs)), None)

    def readers(self, place: int) -> list[Any]:
        """Return the operators that read a tensor."""
        return [found for found in self.main.operators if place in indices(found.inputs)]

    def after_quantize(self, place: int) -> int:
        """Return an input, or what the QUANTIZE behind it makes of it, which is taken off."""
        readers = self.readers(place)
        if len(readers) != 1 or self.named(readers[0]) != "QUANTIZE":
            return place
        self.main.operators.remove(readers[0])
        return indices(readers[0].outputs)[0]

    def before_dequantize(self, place: int) -> int:
        """Return an output, or what the DEQUANTIZE in front of it is made from, which is taken off."""
        writer = self.writer(place)
        if writer is None or self.named(writer) != "DEQUANTIZE":
            return place
        self.main.operators.remove(writer)
        return indices(writer.inputs)[0]

    def reshape(self, place: int, shape: Sequence[int], target: int | None = None) -> int:
        """Add a RESHAPE, into a tensor that is there or a new one; return that."""
        source = self.main.tensors[place]
        if target is None:
            target = self.tensor(f"{bytes(source.name).decode()}/shaped", shape, source.type, self.scaling(place))
        sizes = self.constant("shape", np.array(shape, np.int32))
        self.operator("RESHAPE", [place, sizes], target, "ReshapeOptions", newShape=list(shape))
        return target

    def order(self) -> None:
        """Put each operator behind those that it reads from, and otherwise leave the order as it is."""
        waiting = list(self.main.operators)
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
        self.main.operators = ordered

    def join_reshapes(self) -> None:
        """Leave out RESHAPEs that only another RESHAPE reads, and those that change nothing."""
        for operator in list(self.main.operators):
            source, target = indices(operator.inputs)[:1], indices(operator.outputs)[0]
            if self.named(operator) != "RESHAPE":
                continue
            same = indices(self.main.tensors[source[0]].shape) == indices(self.main.tensors[target].shape)
            readers, outputs = self.readers(target), indices(self.main.outputs)
            given = target in outputs
            if given and (not same or self.writer(source[0]) is None or source[0] in outputs):
                continue
            if same or all(self.named(reader) == "RESHAPE" for reader in readers):
                for reader in readers:
                    reader.inputs = [source[0] if place == target else place for place in indices(reader.inputs)]
                self.main.outputs = [source[0] if place == target else place for place in outputs]
                self.main.operators.remove(operator)
