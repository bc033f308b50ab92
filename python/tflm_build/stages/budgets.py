# SPDX-License-Identifier: Apache-2.0
"""Check a model against its budgets of flash, arena and multiply-accumulates."""

from collections.abc import Sequence

from tflm_build.errors import TflmBuildError
from tflm_build.model.values import Layer
from tflm_build.options import Options
from tflm_build.stages.arena import PlannedModel

__all__ = ["check_budgets"]

_SHOWN = 3  # contributors that an error names


def check_budgets(options: Options, arranged: PlannedModel, work: Sequence[Layer]) -> None:
    """Compare what was measured with what is allowed.

    Args:
        options: the budgets.
        arranged: the model as it is shipped, and its memory.
        work: of every layer.

    Raises:
        TflmBuildError: a budget is exceeded; the three largest contributors are named, and what outweighs them.
    """
    weights = [(layer.layer, layer.weight_bytes) for layer in work]
    macs = [(layer.layer, layer.macs) for layer in work]
    flash, need = len(arranged.model.flatbuffer), arranged.need
    structure = flash - sum(size for _, size in weights)
    _hold(options, "max_flash", flash, "B of flash", weights, ("describe", structure))
    _hold(
        options, "max_arena", need.size, "B of arena", arranged.peak, ("are what TFLM keeps for", need.size - need.head)
    )
    _hold(options, "max_macs", sum(layer.macs for layer in work), "MACs", macs)


def _hold(
    options: Options,
    option: str,
    found: int,
    unit: str,
    contributors: Sequence[tuple[str, int]],
    rest: tuple[str, int] = ("", 0),
) -> None:
    """Check one number against its budget; the rest of it depends on how many layers there are, not on their size."""
    allowed = options.budget(option)
    if allowed is None or found <= allowed:
        return
    largest = sorted(contributors, key=lambda pair: -pair[1])[:_SHOWN]
    names = ", ".join(f"'{layer}' {amount:,}" for layer, amount in largest)
    what, amount = rest
    if amount * 2 > found:
        msg = (
            f"`{option.upper()}` is exceeded: got {found:,} {unit}; allowed: {allowed:,}; {amount:,} B {what} layers "
            f"of any size; the largest layers: {names}; use fewer layers, or raise the budget"
        )
        raise TflmBuildError(msg)
    msg = (
        f"`{option.upper()}` is exceeded: got {found:,} {unit}; allowed: {allowed:,}; the largest layers: {names}; "
        "make them smaller, or raise the budget"
    )
    raise TflmBuildError(msg)
