# SPDX-License-Identifier: Apache-2.0
"""Know the processors and libraries of kernels that an arena can be computed for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from tflm_build.arena.layout import HOST, Layout, given_layout
from tflm_build.arena.replay import ComputedArena, compute_arena
from tflm_build.model.model import Model

__all__ = [
    "ANY_TARGET",
    "HOST_TARGET",
    "REFERENCE",
    "OnTarget",
    "Target",
    "arena_on",
    "arenas_by_target",
    "targets",
    "with_sizes",
]

REFERENCE: Final = "reference"
HOST_TARGET: Final = "host"
ANY_TARGET: Final = "any32"

_KINDS: Final = ("cortex-m0", "cortex-m4", "cortex-m55", "esp32s3", "esp32p4", "riscv32")
"""Targets that differ in what they need: all others need as much as one of them, or nearly."""


@dataclass(frozen=True)
class Target:
    """A processor.

    Attributes:
        name: as users name it.
        layouts: what decides the sizes, by library of kernels; the reference kernels are first. Where there are several
            of a library, the largest size counts.
    """

    name: str
    layouts: dict[str, tuple[Layout, ...]]


@dataclass(frozen=True)
class OnTarget:
    """What a model needs on a target.

    Attributes:
        target: the processor.
        kernels: the library of kernels.
        bytes: of the arena, without those for the interpreter itself.
    """

    target: str
    kernels: str
    bytes: int


@cache
def targets() -> dict[str, Target]:
    """Return the targets, by name."""
    table = resources.files("tflm_build.arena").joinpath("targets.tsv").read_text("utf-8")
    found = {HOST_TARGET: Target(HOST_TARGET, {REFERENCE: (HOST,)})}
    for name, enumeration, library, extension in (
        line.split("\t") for line in table.splitlines() if not line.startswith("#")
    ):
        layouts: dict[str, tuple[Layout, ...]] = {REFERENCE: (Layout(4, int(enumeration)),)}
        if library != "-":
            layouts[library] = (Layout(4, int(enumeration), frozenset({library, extension})),)
        found[name] = Target(name, layouts)
    together: dict[str, tuple[Layout, ...]] = {}
    for kind in _KINDS:
        for library, several in found[kind].layouts.items():
            together[library] = (*together.get(library, ()), *several)
    return found | {ANY_TARGET: Target(ANY_TARGET, together)}


def with_sizes(target: Target, sizes: Mapping[str, tuple[int, int]]) -> Target:
    """Return a target whose TFLM has structures of these sizes, see `given_layout`; the same if they are not its own.

    They are not if pointers have another size: a build for the machine that builds may ask for the arena of a chip.
    """
    libraries = target.layouts.items()
    pointers = {layout.pointer for _, layouts in libraries for layout in layouts}
    if target.name != HOST_TARGET and pointers != {sizes["pointer"][0]}:
        return target
    given = {
        name: tuple(given_layout(sizes, layout.built_with - {"compression", "recording"}) for layout in layouts)
        for name, layouts in libraries
    }
    return Target(target.name, given)


def arena_on(model: Model, target: Target, kernels: str) -> ComputedArena:
    """Return what TFLM needs on a target.

    Args:
        model: canonical.
        target: the processor.
        kernels: the library.
    """
    return max((compute_arena(model, layout) for layout in target.layouts[kernels]), key=lambda arena: arena.bytes or 0)


def arenas_by_target(model: Model) -> tuple[OnTarget, ...]:
    """Return what a canonical model needs on several kinds of chips; nothing where an op has no rule."""
    rows = ((name, kernels) for name in _KINDS for kernels in targets()[name].layouts)
    needs = ((name, kernels, arena_on(model, targets()[name], kernels).bytes) for name, kernels in rows)
    return tuple(OnTarget(name, kernels, size) for name, kernels, size in needs if size is not None)
