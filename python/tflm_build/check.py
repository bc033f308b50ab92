# SPDX-License-Identifier: Apache-2.0
"""Refuse, by layer name, what TFLM has no kernel for."""

from dataclasses import dataclass
from functools import cache
from importlib import resources

from tflm_build.errors import TflmBuildError
from tflm_build.graph import Graph

__all__ = ["UsedOp", "check_ops"]


@dataclass(frozen=True)
class UsedOp:
    """An operator that the model uses.

    Attributes:
        op: name in the schema, or the custom op's own.
        count: in how many places.
        method: the method of MicroMutableOpResolver that registers it.
    """

    op: str
    count: int
    method: str


@cache
def _kernels() -> dict[str, str]:
    """Return the resolver method of each op that TFLM has."""
    table = resources.files("tflm_build").joinpath("tflm_ops.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {op: method for op, _kind, method in rows}


def check_ops(graph: Graph) -> tuple[UsedOp, ...]:
    """Return the ops that the model uses, by name.

    Raises:
        TflmBuildError: TFLM has no kernel for one of them.
    """
    kernels = _kernels()
    counts: dict[str, int] = {}
    for operator in graph.operators:
        if operator.op not in kernels:
            msg = (
                f"layer '{operator.layer}' needs the op {operator.op}, for which TFLM has no kernel; replace the layer "
                "by ops that TFLM has"
            )
            raise TflmBuildError(msg)
        counts[operator.op] = counts.get(operator.op, 0) + 1
    return tuple(UsedOp(op, counts[op], kernels[op]) for op in sorted(counts))
