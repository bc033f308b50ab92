# SPDX-License-Identifier: Apache-2.0
"""Search which layers take weights of 4 bits: first those that bring the least noise for a byte that they save.

Each layer is tried alone, which gives the order. Then they are added one by one, as long as the floors and the arena
hold, until the budget of flash is kept. What is not needed for it is given back then, the noisiest first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tflm_build.errors import TflmBuildError
from tflm_build.model.model import Model
from tflm_build.model.values import NarrowStep
from tflm_build.model.workload import model_macs
from tflm_build.options import Options
from tflm_build.passes.narrow import Narrow, narrow_model
from tflm_build.stages.arena import expect_arena
from tflm_build.stages.judge import Judge, Verdict
from tflm_build.stages.prove import lack

__all__ = ["Search"]

_EFFORT: Final = 6_000_000_000
"""Multiply-accumulates that a search may take, half a minute: counted, so that every machine finds the same mix."""

_FEWEST: Final = 16
"""Samples that each model is judged on at least."""


@dataclass(frozen=True)
class _Tried:
    """A model with some layers at 4 bits."""

    bytes: int
    arena: int | None
    verdict: Verdict


class Search:
    """A search in one model.

    Attributes:
        steps: that were taken.
    """

    def __init__(self, options: Options, model: Model, layers: Mapping[int, Narrow]) -> None:
        """Begin a search.

        Args:
            options: the budgets and floors.
            model: canonical, of int8.
            layers: by the place of the operator: its constants with weights of 4 bits.
        """
        self._options, self._model, self._layers = options, model, layers
        self._operators = model.graph.subgraphs[0].operators
        self.steps: list[NarrowStep] = []

    @property
    def most(self) -> int:
        """Samples that each model is judged on at most."""
        return max(_FEWEST, _EFFORT // max(1, model_macs(self._model.graph) * 3 * len(self._layers)))

    def run(self, judge: Judge, part: Callable[[float], None]) -> tuple[int, ...]:
        """Search.

        Args:
            judge: of models.
            part: is told what share of the work is done.

        Returns:
            The places of the operators whose weights take 4 bits.

        Raises:
            TflmBuildError: no mix keeps the budget of flash and the floors.
        """
        allowed = self._options.budget("max_flash")
        chosen: tuple[int, ...] = ()
        best = self._try(judge, chosen)
        if self._options.min_top1 is not None and best.verdict.top1 is None:
            lack("MIN_TOP1")
        self._note(None, 8, best, accepted=True)
        order = self._order(judge, best, part)
        for number, place in enumerate(order):
            if allowed is not None and best.bytes <= allowed:
                break
            part(0.5 + number / len(order) / 2)
            tried = self._try(judge, (*chosen, place))
            accepted = tried.bytes < best.bytes and self._holds(tried)
            self._note(place, 4, tried, accepted=accepted)
            if accepted:
                chosen, best = (*chosen, place), tried
        if allowed is None:
            return chosen
        if best.bytes > allowed:
            noise = f"an SQNR of {best.verdict.sqnr:.1f} dB" if np.isfinite(best.verdict.sqnr) else "no noise"
            msg = (
                f"`WEIGHT_TYPE` auto finds no mix of weights for `MAX_FLASH`: the smallest that it may take has "
                f"{best.bytes:,} B and {noise}; allowed: {allowed:,} B; {self._remedy()}"
            )
            raise TflmBuildError(msg)
        for place in reversed(chosen):
            fewer = tuple(other for other in chosen if other != place)
            if len(narrow_model(self._model, self._of(fewer)).flatbuffer) <= allowed:
                tried = self._try(judge, fewer)
                accepted = self._holds(tried) and tried.verdict.sqnr >= best.verdict.sqnr
                self._note(place, 8, tried, accepted=accepted)
                if accepted:
                    chosen, best = fewer, tried
        return chosen

    def _remedy(self) -> str:
        """Name the options that leave more mixes to choose from."""
        options = self._options
        arena = " or `MAX_ARENA`" if options.max_arena is not None else ""
        floors = [f"`{name.upper()}`" for name in ("min_sqnr", "min_top1") if getattr(options, name) is not None]
        return f"raise it{arena}" + (f", or lower {' and '.join(floors)}" if floors else "")

    def _order(self, judge: Judge, before: _Tried, part: Callable[[float], None]) -> list[int]:
        """Return the layers by the noise that each brings for a byte; last those that save none alone, as by a scale.

        Others of their kind may save it: equal vectors are written once.
        """
        costs = {}
        for number, place in enumerate(self._layers):
            part(number / len(self._layers) / 2)
            tried = self._try(judge, (place,))
            saved = before.bytes - tried.bytes
            noise = _noise(tried.verdict) - _noise(before.verdict)
            costs[place] = noise / saved if saved > 0 else np.inf
        return sorted(costs, key=lambda place: (costs[place], place))

    def _of(self, places: tuple[int, ...]) -> dict[int, Narrow]:
        """Return the constants of some layers, in the order of the model."""
        return {place: self._layers[place] for place in sorted(places)}

    def _try(self, judge: Judge, places: tuple[int, ...]) -> _Tried:
        """Narrow some layers, and judge what that makes."""
        model = narrow_model(self._model, self._of(places))
        return _Tried(len(model.flatbuffer), expect_arena(self._options, model), judge(model))

    def _holds(self, tried: _Tried) -> bool:
        """Say whether a model keeps the floors, and its arena the budget."""
        options, verdict = self._options, tried.verdict
        arena = options.budget("max_arena")
        return (
            (options.min_sqnr is None or verdict.sqnr >= options.min_sqnr)
            and (options.min_top1 is None or (verdict.top1 or 0) >= options.min_top1)
            and (arena is None or tried.arena is None or tried.arena <= arena)
        )

    def _note(self, place: int | None, bits: int, tried: _Tried, *, accepted: bool) -> None:
        """Keep a step."""
        layer, op = ("", "") if place is None else (self._operators[place].layer, self._operators[place].op)
        ratio = tried.verdict.sqnr if np.isfinite(tried.verdict.sqnr) else None
        self.steps.append(NarrowStep(layer, op, bits, accepted, tried.bytes, tried.arena, ratio, tried.verdict.top1))


def _noise(verdict: Verdict) -> float:
    """Return the share of noise in the signal's power."""
    return float(10 ** (-verdict.sqnr / 10))
