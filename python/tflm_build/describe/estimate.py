# SPDX-License-Identifier: Apache-2.0
"""Estimate how long a model takes on a core, from its multiply-accumulates and published measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from tflm_build.describe.quantity import read_quantity
from tflm_build.errors import TflmBuildError
from tflm_build.model.values import Layer

__all__ = ["Conditions", "Estimate", "Rate", "estimate", "rates", "read_conditions"]

_FAMILIES: Final = {"CONV_2D": "conv", "DEPTHWISE_CONV_2D": "depthwise", "FULLY_CONNECTED": "fully_connected"}
_OTHER: Final = "other"
_REFERENCE: Final = "reference"


@dataclass(frozen=True)
class Rate:
    """A published measurement: a row of cycles.tsv.

    Attributes:
        core: class of the core.
        kernels: reference, or the library of optimized kernels.
        family: conv, depthwise or fully_connected.
        cycles: that were taken.
        macs: that were done meanwhile.
        derivation: how both come from the source.
        source: where it was published.
    """

    core: str
    kernels: str
    family: str
    cycles: int
    macs: int
    derivation: str
    source: str

    @property
    def cycles_per_mac(self) -> float:
        """Cycles of one multiply-accumulate."""
        return self.cycles / self.macs


@dataclass(frozen=True)
class Conditions:
    """Where a model is to run, and how often.

    Attributes:
        core: class of the core.
        hertz: its clock.
        kernels: reference, or the library of optimized kernels.
        period: seconds from one run to the next; None: it was not given.
        active_power, sleep_power: watts while it runs, and while it waits; None likewise.
    """

    core: str
    hertz: float
    kernels: str
    period: float | None
    active_power: float | None
    sleep_power: float | None


@dataclass(frozen=True)
class Estimate:
    """What one run of a model takes.

    Attributes:
        conditions: that it holds for.
        layers: cycles of each layer; None for one of whose family nothing is published. Without MACs there are none.
        left_out: multiply-accumulates, by family, that are in no number.
        rates: what was used.
    """

    conditions: Conditions
    layers: tuple[int | None, ...]
    left_out: dict[str, int]
    rates: tuple[Rate, ...]

    @property
    def cycles(self) -> int:
        """Cycles of one run."""
        return sum(cycles or 0 for cycles in self.layers)

    @property
    def seconds(self) -> float:
        """Time of one run."""
        return self.cycles / self.conditions.hertz

    @property
    def duty_cycle(self) -> float | None:
        """Share of the time that it runs; above 1 it does not keep up."""
        return None if self.conditions.period is None else self.seconds / self.conditions.period

    @property
    def energy(self) -> float | None:
        """Joules of one run."""
        return None if self.conditions.active_power is None else self.seconds * self.conditions.active_power

    @property
    def mean_power(self) -> float | None:
        """Watts in the long run, with the time in between spent asleep."""
        given = self.conditions
        if self.energy is None or given.period is None or given.sleep_power is None:
            return None
        asleep = max(0.0, given.period - self.seconds)
        return (self.energy + asleep * given.sleep_power) / max(given.period, self.seconds)


@cache
def rates() -> tuple[Rate, ...]:
    """Return the table of published measurements."""
    table = resources.files("tflm_build.describe").joinpath("cycles.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return tuple(
        Rate(core, kernels, family, int(cycles), int(macs), derivation, source)
        for core, kernels, family, cycles, macs, derivation, source in rows
    )


def read_conditions(
    *, target: str, kernels: str | None, period: str | None, active_power: str | None, sleep_power: str | None
) -> Conditions:
    """Read what the user asks for.

    Args:
        target: core and clock, such as cortex-m4@80MHz.
        kernels: reference, or a library; None: the library that is published for the core.
        period: such as 100ms.
        active_power: such as 20mW.
        sleep_power: such as 10uW.

    Raises:
        TflmBuildError: a value is not allowed, or nothing is published for the core.
    """
    core, _, clock = target.partition("@")
    known = {rate.core: dict[str, None]() for rate in rates()}
    for rate in rates():
        known[rate.core][rate.kernels] = None
    if core.lower() not in known or not clock:
        msg = (
            f"`TARGET` got '{target}'; allowed: CORE@CLOCK, such as cortex-m4@80MHz, with a core for which cycles are "
            f"published: {', '.join(known)}; choose the nearest"
        )
        raise TflmBuildError(msg)
    libraries = known[core.lower()]
    if kernels is None:
        kernels = next(iter([*(name for name in libraries if name != _REFERENCE), *libraries]))
    elif kernels not in libraries:
        msg = (
            f"`KERNELS` got '{kernels}'; allowed for {core.lower()}: {', '.join(libraries)}, for which cycles are "
            "published; leave it out"
        )
        raise TflmBuildError(msg)
    if sleep_power is not None and (active_power is None or period is None):
        msg = "`SLEEP_POWER` needs `ACTIVE_POWER` and `PERIOD` to compute mean power; pass all three"
        raise TflmBuildError(msg)
    return Conditions(
        core=core.lower(),
        hertz=read_quantity("TARGET", clock, "Hz", "cortex-m4@80MHz"),
        kernels=kernels,
        period=None if period is None else read_quantity("PERIOD", period, "s", "100ms"),
        active_power=None if active_power is None else read_quantity("ACTIVE_POWER", active_power, "W", "20mW"),
        sleep_power=None if sleep_power is None else read_quantity("SLEEP_POWER", sleep_power, "W", "10uW"),
    )


def estimate(layers: Sequence[Layer], conditions: Conditions) -> Estimate:
    """Multiply each layer's multiply-accumulates by the cycles that one was measured to take."""
    known = {
        rate.family: rate for rate in rates() if (rate.core, rate.kernels) == (conditions.core, conditions.kernels)
    }
    cycles: list[int | None] = []
    left_out: dict[str, int] = {}
    used: dict[str, Rate] = {}
    for layer in layers:
        family = _FAMILIES.get(layer.op, _OTHER)
        if not layer.macs:
            cycles.append(0)
        elif family in known:
            cycles.append(round(layer.macs * known[family].cycles_per_mac))
            used[family] = known[family]
        else:
            cycles.append(None)
            left_out[family] = left_out.get(family, 0) + layer.macs
    return Estimate(conditions, tuple(cycles), left_out, tuple(used.values()))
