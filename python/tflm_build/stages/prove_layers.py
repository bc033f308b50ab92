# SPDX-License-Identifier: Apache-2.0
"""Compare each layer on TFLM with an independent reference on the same inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, Final

from tflm_build.errors import TflmBuildError
from tflm_build.model.graph import Graph, Operator

__all__ = ["FLOAT_TOLERANCE", "LayerProof", "prove_layers"]

FLOAT_TOLERANCE: Final = 1e-5
"""Of the largest magnitude in a float32 answer: all run the same algorithm and only add in another order, where each
of n terms brings at most 2^-24 of relative error; 1e-5 holds for dot products of some hundred terms."""

_REFERENCES: Final = ("LiteRT's reference kernels", "LiteRT's optimized kernels", "our own computation")
_BOUNDS: Final = "layer_bounds.tsv"
_RUNS_OTHERS: Final = frozenset({"CALL_ONCE", "IF", "WHILE"})
"""These run other operators, whose known differences add up: integers are compared only where they are equal."""

_WRITE_STATE: Final = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "VAR_HANDLE"})
"""What these write shows where READ_VARIABLE reads it, in the next vector at the latest."""


@dataclass(frozen=True)
class LayerProof:
    """How far one operator on TFLM is from its reference, on the inputs that it has in TFLM.

    Attributes:
        layer, op: which.
        reference: whose answers it is compared with; None where nothing has them, so that it is not compared.
        difference: the largest that was found, in steps of integers, in real numbers for float32; None likewise.
        tolerance: the largest that is allowed.
    """

    layer: str
    op: str
    reference: str | None
    difference: float | None
    tolerance: float


def prove_layers(graph: Graph, compared: Sequence[Any], allowed: int) -> tuple[LayerProof, ...]:
    """Check the layers of the main subgraph against their tolerances.

    Args:
        graph: its operators.
        compared: `layers` of `tasks/compare_layers.py`.
        allowed: steps that the user allows every layer.

    Raises:
        TflmBuildError: a layer differs by more.
    """
    bounds = _bounds()
    proofs = []
    rows = zip(*(column.tolist() for column in compared), strict=True)
    for operator, (reference, difference, vector, largest) in zip(graph.subgraphs[0].operators, rows, strict=True):
        floating = all(operand.type == "float32" for operand in operator.outputs)
        unbounded = operator.op in _RUNS_OTHERS and not floating and difference != 0
        if reference < 0 or not operator.outputs or unbounded:
            proofs.append(LayerProof(operator.layer, operator.op, None, None, 0.0))
            continue
        steps = float(max(allowed, bounds.get((operator.op, operator.outputs[0].type), 0)))
        tolerance = FLOAT_TOLERANCE * max(1e-6, largest) if floating else steps
        who = _REFERENCES[int(reference)]
        if not difference <= tolerance:
            raise TflmBuildError(_refusal(operator, who, difference, int(vector), tolerance, floating=floating))
        proofs.append(LayerProof(operator.layer, operator.op, who, difference, tolerance))
    return _through_state(proofs)


def _through_state(proofs: Sequence[LayerProof]) -> tuple[LayerProof, ...]:
    """Hold what writes nothing but state to what reads it: in each vector, all that the vectors before left there."""
    reads = [proof for proof in proofs if proof.op == "READ_VARIABLE"]
    if not reads or any(proof.difference is None for proof in reads):
        return tuple(proofs)
    worst = max(reads, key=lambda proof: proof.difference or 0.0)
    return tuple(
        replace(worst, layer=proof.layer, op=proof.op) if proof.op in _WRITE_STATE else proof for proof in proofs
    )


def _refusal(operator: Operator, who: str, difference: float, vector: int, tolerance: float, *, floating: bool) -> str:
    """Say which layer is too far away."""
    remedy = "replace the layer, or report the model" if floating else "replace the layer, or allow it with `MAX_LSB`"
    return (
        f"layer '{operator.layer}' ({operator.op}) on TFLM differs from {who} by {difference:g} on equal inputs, in "
        f"golden vector {vector}; allowed: {tolerance:g}; {remedy}"
    )


def _bounds() -> Mapping[tuple[str, str], int]:
    """Read the table of known differences: steps by op and type."""
    table = resources.files("tflm_build.stages").joinpath(_BOUNDS).read_text("utf-8")
    rows = [line.split("\t") for line in table.splitlines() if not line.startswith("#")]
    return {(op, kind): int(steps) for op, kind, steps, _ in rows[1:]}
