# SPDX-License-Identifier: Apache-2.0
"""Put right what other writers of flatbuffers leave out or write otherwise, where it can mean only one thing."""

from collections.abc import Iterator
from math import prod
from typing import Any, Final

import numpy as np

from tflm_build.model.fixed_point import unpack_int4
from tflm_build.model.flatbuffer import behind_tables, indices, op_name, packed_tensors, schema

__all__ = ["repair"]

_BIAS: Final = 2
"""The number of a layer's input that may be a bias: those before it must be there."""


def repair(model: Any) -> tuple[str, ...]:
    """Repair an unpacked model, in place.

    Args:
        model: what `load` returned, of a flatbuffer that `verify` has accepted.

    Returns:
        One sentence for each kind of fault: what it was, why it is one, and what was done. None for most models.
    """
    _codes(model)
    found = (
        _buffers(model),
        _packed(model),
        _dense(model),
        *_quantization(model),
        _signatures(model),
        _metadata(model),
    )
    return tuple(sentence for sentence in found if sentence)


def _codes(model: Any) -> None:
    """Write each kind of operator once: interpreters take the larger of two codes, the quantizer the younger field.

    Files from before 2020 have the older field alone, as the schema wants it: nothing is said of that.
    """
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
        code.deprecatedBuiltinCode = 0


def _buffers(model: Any) -> str:
    """Say what `load` has done already: TFLM reads no data that lies behind the tables."""
    moved = sum(map(behind_tables, model.buffers))
    return f"{moved} buffers lay behind the tables, where TFLM does not look: moved into them" if moved else ""


def _packed(model: Any) -> str:
    """Drop the quantization of packed bytes: it is that of what they unpack to, which has it too."""
    found = 0
    for subgraph in model.subgraphs:
        for place in packed_tensors(subgraph, model.operatorCodes):
            found += subgraph.tensors[place].quantization is not None
            subgraph.tensors[place].quantization = None
    return f"{found} compressed tensors had the quantization of what they unpack to: left out" if found else ""


def _dense(model: Any) -> str:
    """Give dense layers the same weights in 8 bits: in 4, TFLM runs those of one scale alone."""
    found = 0
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or []:
            places = indices(operator.inputs)
            if op_name(model.operatorCodes[operator.opcodeIndex]) != "FULLY_CONNECTED" or len(places) < _BIAS:
                continue
            kernel = subgraph.tensors[places[1]]
            data, parameters = model.buffers[kernel.buffer].data, kernel.quantization
            scales = 0 if parameters is None or parameters.scale is None else len(parameters.scale)
            if kernel.type != schema.TensorType.INT4 or data is None or scales <= 1:
                continue
            weights = unpack_int4(bytes(data), prod(indices(kernel.shape)))
            kernel.type, kernel.buffer = schema.TensorType.INT8, len(model.buffers)
            model.buffers.append(schema.BufferT(data=weights.view(np.uint8)))
            found += 1
    said = (
        f"{found} dense layers had weights of 4 bits with a scale for each output, which TFLM cannot run: now of 8 bits"
    )
    return said if found else ""


def _quantization(model: Any) -> Iterator[str]:
    """Complete scales, zero points and axes."""
    misaligned = axes = zero_points = 0
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors or []:
            parameters = tensor.quantization
            if parameters is None:
                continue
            given = indices(parameters.zeroPoint)
            # Packing writes them anew. The bytes of a file begin at an aligned place in memory.
            misaligned += isinstance(parameters.zeroPoint, np.ndarray) and not parameters.zeroPoint.flags.aligned
            count = 0 if parameters.scale is None else len(parameters.scale)
            if not count:
                continue
            if len(given) != count:
                parameters.zeroPoint = np.full(count, given[0] if given else 0, np.int64)
                zero_points += 1
            if not 0 <= parameters.quantizedDimension < max(1, len(indices(tensor.shape))):
                parameters.quantizedDimension = 0
                axes += 1
    if misaligned:
        yield (
            f"the zero points of {misaligned} tensors lay at no multiple of 8 bytes, which small cores fault on: moved"
        )
    if zero_points:
        yield (
            f"{zero_points} tensors had fewer zero points than scales, which interpreters refuse or take for no "
            "quantization: the one that was given, or 0, stands for each"
        )
    if axes:
        yield (
            f"{axes} tensors were quantized along an axis that they do not have, which interpreters refuse: they have "
            "one axis or one scale, and axis 0 was written"
        )


def _signatures(model: Any) -> str:
    """Drop signatures that name what does not exist; only the names of inputs and outputs are lost."""

    def right(signature: Any) -> bool:
        if signature.subgraphIndex >= len(model.subgraphs):
            return False
        count = len(model.subgraphs[signature.subgraphIndex].tensors or [])
        return all(entry.tensorIndex < count for entry in (*(signature.inputs or []), *(signature.outputs or [])))

    before = model.signatureDefs or []
    model.signatureDefs = [signature for signature in before if right(signature)]
    dropped = len(before) - len(model.signatureDefs)
    return f"{dropped} signatures named a subgraph or tensor that does not exist: left out" if dropped else ""


def _metadata(model: Any) -> str:
    """Drop metadata without content."""
    before = model.metadata or []
    model.metadata = [entry for entry in before if entry.buffer < len(model.buffers)] or None
    dropped = len(before) - len(model.metadata or [])
    return f"{dropped} entries of metadata named a buffer that does not exist: left out" if dropped else ""
