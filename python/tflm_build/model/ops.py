# SPDX-License-Identifier: Apache-2.0
"""Refuse, by layer name, what TFLM has no kernel for."""

from dataclasses import dataclass
from functools import cache
from importlib import resources

from tflm_build.errors import TflmBuildError
from tflm_build.model.graph import Graph, Operator
from tflm_build.model.typed_kernels import TypedKernel, typed_kernel

__all__ = ["UsedOp", "check_ops", "kernels"]


@dataclass(frozen=True)
class UsedOp:
    """An operator that the model uses.

    Attributes:
        op: name in the schema, or the custom op's own.
        count: in how many places.
        method: the method of MicroMutableOpResolver that registers it.
        kernel: one for the types in all these places alone, if TFLM may have it.
        per_channel: whether weights have a scale for each channel in any of them.
    """

    op: str
    count: int
    method: str
    kernel: TypedKernel | None
    per_channel: bool


@cache
def kernels() -> dict[str, str]:
    """Return the resolver method of each op that TFLM has."""
    table = resources.files("tflm_build.model").joinpath("tflm_ops.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {op: method for op, _kind, method in rows}


def check_ops(graph: Graph) -> tuple[UsedOp, ...]:
    """Return the ops that the model uses, by name.

    Raises:
        TflmBuildError: TFLM has no kernel for one of them, or not for its types, or the model has lost its weights.
    """
    methods = kernels()
    used: dict[str, list[Operator]] = {}
    assigned = any(operator.op == "ASSIGN_VARIABLE" for operator in graph.operators)
    for operator in graph.operators:
        where = f"layer '{operator.layer}' ({operator.op})"
        if operator.op.startswith("Flex"):
            msg = (
                f"{where} is an op of TensorFlow itself, which no microcontroller runs; replace the layer by ops that "
                "TFLite has"
            )
            raise TflmBuildError(msg)
        if operator.op not in methods:
            msg = (
                f"layer '{operator.layer}' needs the op {operator.op}, for which TFLM has no kernel; replace the layer"
            )
            raise TflmBuildError(msg)
        if operator.op == "READ_VARIABLE" and not assigned:
            msg = f"{where} reads what nothing writes: the weights were lost; export with Keras' model.export()"
            raise TflmBuildError(msg)
        _check_types(operator, where)
        used.setdefault(operator.op, []).append(operator)
    return tuple(
        UsedOp(
            op=op,
            count=len(used[op]),
            method=methods[op],
            kernel=typed_kernel(op, used[op]),
            per_channel=any(len(operand.scales) > 1 for operator in used[op] for operand in operator.reads),
        )
        for op in sorted(used)
    )


def _check_types(operator: Operator, where: str) -> None:
    """Refuse what TFLM's kernels do not compute with, whatever they say themselves."""
    reads = operator.reads
    if any(operand.type == "float16" for operand in (*reads, *operator.outputs)):
        msg = f"{where} has float16 weights, which TFLM cannot run; convert without float16, or quantize to int8"
        raise TflmBuildError(msg)
    weights = any(operand.constant and operand.type in {"int4", "int8", "uint8"} for operand in reads)
    floats = any(not operand.constant and operand.type == "float32" for operand in reads)
    if weights and floats and operator.op != "DEQUANTIZE":
        msg = (
            f"{where} has int8 weights under float32 activations: a hybrid (dynamic-range) model, which TFLM cannot "
            "run; pass the float model with `QUANTIZE` int8"
        )
        raise TflmBuildError(msg)
