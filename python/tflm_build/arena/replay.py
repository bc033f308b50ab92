# SPDX-License-Identifier: Apache-2.0
"""Replay what TFLM allocates for a model, call by call, and work out the smallest arena in which nothing fails.

TFLM takes what stays from the arena's end (the tail), and what is planned from its start (the head). Above the head it
puts, for a while, what it only looks at. While operators are prepared, the head holds a list of scratch requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tflm_build.arena.layout import Layout, round_up
from tflm_build.arena.planner import Planned, planned_head
from tflm_build.arena.rules import Persistent, Scratch, kernels, requests
from tflm_build.model.flatbuffer import MEMORY_PLAN
from tflm_build.model.graph import Graph, Operand
from tflm_build.model.lifetimes import Timeline, is_planned, timeline
from tflm_build.model.model import Model
from tflm_build.model.state import Variable, variable_handles

__all__ = ["ComputedArena", "compute_arena"]

_ALIGNMENT: Final = 16  # of what a kernel asks for, and of the arena

_REQUESTS_AHEAD: Final = 12  # scratch requests that TFLM has room for before an operator is prepared

_PLANNER_ROW: Final = 40  # bytes that the greedy planner needs for each planned memory: ten numbers, on every processor

_MOST_TENSORS: Final = 3000  # the time that planning takes grows with their square

_PLAN_HEADER: Final = 3  # numbers in front of the offsets: version, subgraph, count


@dataclass(frozen=True)
class ComputedArena:
    """What TFLM needs of an arena.

    Attributes:
        bytes: the smallest size in which all has a place of its own, a multiple of 16; None where it is not known.
        floor: the smallest size that TFLM itself may accept. It is less in few models: what stays is then laid over
            what TFLM still looks at, which it does not check; whether the model works all the same is chance.
        head: bytes of it that activations and scratch memory share.
        tail: bytes of it that are kept from allocation on.
        scratch: memory that kernels have while they run, which is a part of the head.
        unknown: why there is no size: ops without a rule, or what else is not known.
    """

    bytes: int | None
    floor: int = 0
    head: int = 0
    tail: int = 0
    scratch: tuple[Planned, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass
class _Arena:
    """An arena that grows as far as it has to: how far its parts reach, and what they needed together at the most.

    Its end is a multiple of its alignment, so that sizes decide where things lie.
    """

    layout: Layout
    head: int = 0
    temporary: int = 0
    tail: int = 0
    needed: int = 0
    floor: int = 0
    spare: int = 0  # bytes of the tail that nothing fails without
    overlaid: bool = False  # whether what stays may lie over what is looked at

    def keep(self, size: int, alignment: int = _ALIGNMENT, *, spare: bool = False) -> None:
        """Take bytes from the end; TFLM checks that they do not reach into the head."""
        self.tail = round_up(self.tail + size, alignment)
        self.spare += size if spare else 0
        self.overlaid = self.overlaid or self.temporary > self.head
        self._need(self.temporary, self.head)

    def keep_structures(self, structure: str, count: int = 1, alignment: int | None = None) -> None:
        """Take an array of structures from the end."""
        size = self.layout.size(structure)
        self.keep(size.bytes * count, alignment or size.alignment)

    def look(self, size: int, alignment: int) -> None:
        """Put bytes above the head for a while; TFLM's check is right where nothing is overlaid."""
        self.temporary = round_up(self.temporary, alignment) + size
        self._need(self.temporary, 0 if self.overlaid else self.temporary)

    def resize(self, head: int) -> None:
        """Give back what was looked at, and change the head."""
        self.head = self.temporary = head
        self.overlaid = False
        self._need(head, head)

    def plan(self, count: int) -> None:
        """Take what the planner needs of all that is left: a row for each planned memory."""
        table = round_up(self.temporary, _ALIGNMENT) + _PLANNER_ROW * count + round_up(self.tail, _ALIGNMENT)
        self.needed, self.floor = max(self.needed, table), max(self.floor, table - self.spare)

    def _need(self, reach: int, checked: int) -> None:
        self.needed = max(self.needed, reach + self.tail)
        self.floor = max(self.floor, checked + self.tail - self.spare)


def compute_arena(model: Model, layout: Layout) -> ComputedArena:
    """Return what TFLM with reference kernels needs for a canonical model on a processor."""
    graph = model.graph
    tensors = [operand for subgraph in graph.subgraphs for operand in subgraph.operands]
    lacking = sorted({operator.op for operator in graph.operators} - set(kernels()))
    offsets = _offsets(model)
    line = timeline(graph)
    if lacking:
        return ComputedArena(None, unknown=tuple(lacking))
    if len(tensors) > _MOST_TENSORS:
        return ComputedArena(None, unknown=(f"more than {_MOST_TENSORS:,} tensors",))
    if line is None or (offsets and len(offsets) != len(tensors)) or any(tensor.bytes is None for tensor in tensors):
        return ComputedArena(None, unknown=("a model that TFLM refuses",))
    arena = _Arena(layout)
    replay = _Replay(graph, line, offsets or [-1] * len(tensors), arena)
    try:
        replay.run()
    except (IndexError, ValueError, ZeroDivisionError):
        return ComputedArena(None, unknown=("operators that TFLM refuses",))
    smallest, floor = (round_up(size, _ALIGNMENT) for size in (arena.needed, arena.floor))
    return ComputedArena(smallest, floor, arena.head, arena.tail, tuple(replay.scratch))


def _offsets(model: Model) -> list[int]:
    """Return the offsets of the model's own plan, for the tensors of all subgraphs; -1: TFLM chooses."""
    for metadata in model.tree.metadata or []:
        if metadata.name == MEMORY_PLAN:
            words = np.frombuffer(bytes(model.tree.buffers[metadata.buffer].data), "<i4")
            return [int(word) for word in words[_PLAN_HEADER:]]
    return []


@dataclass
class _Replay:
    """A replay under way."""

    graph: Graph
    line: Timeline
    offsets: list[int]
    arena: _Arena
    scratch: list[Planned] = field(default_factory=list)

    def run(self) -> None:
        """Allocate everything."""
        self._objects()
        self._prepare()
        self._finish()
        for places in (self.graph.subgraphs[0].inputs, self.graph.subgraphs[0].outputs):
            self.arena.keep(self.arena.layout.pointer * len(places))
            for place in places:
                operand = self.graph.subgraphs[0].operands[place]
                self.arena.keep_structures("Tensor")
                if channels := _channels(operand):
                    self.arena.keep_structures("AffineQuantization")
                    self.arena.keep(4 + 4 * channels, 4)

    def _objects(self) -> None:
        """Allocate TFLM's own objects, and what it has for each tensor and operator."""
        arena, subgraphs = self.arena, self.graph.subgraphs
        for structure in ("SingleArenaBufferAllocator", "GreedyMemoryPlanner", "MicroAllocator"):
            arena.keep_structures(structure)
        variables = {variable for subgraph in subgraphs for variable in variable_handles(subgraph).values()}
        if variables:
            arena.keep_structures("ResourceVariables", alignment=_ALIGNMENT)
            arena.keep_structures("ResourceVariable", len(variables), _ALIGNMENT)
        arena.keep_structures("BuiltinDataAllocator")
        self._resize_requests()
        arena.keep_structures("SubgraphAllocations", len(subgraphs))
        for subgraph in subgraphs:
            arena.keep_structures("EvalTensor", len(subgraph.operands))
        for subgraph in subgraphs:
            arena.keep_structures("NodeAndRegistration", len(subgraph.operators))
        for operator in self.graph.operators:
            if (params := kernels()[operator.op].params) != "-":
                arena.keep_structures(params)
        for operator in self.graph.operators:
            data = kernels()[operator.op].data
            spare = data.endswith("?") and operator.reads[0].type == "float32"
            size = 0 if data == "-" else arena.layout.size(data.rstrip("?")).bytes
            if size:
                arena.keep(size, spare=spare)

    def _prepare(self) -> None:
        """Prepare the operators of all subgraphs."""
        had: set[Variable] = set()
        for index, subgraph in enumerate(self.graph.subgraphs):
            handles, lives = variable_handles(subgraph), self.line.operators[index]
            for number, operator in enumerate(subgraph.operators):
                for request in requests(operator, self.arena.layout):
                    if isinstance(request, Scratch):
                        self.scratch.append(Planned(round_up(request.bytes, _ALIGNMENT), *lives.get(number, (-1, -1))))
                    elif not isinstance(request, Persistent):
                        self._look_at(request.operand)
                    elif operator.op != "ASSIGN_VARIABLE":
                        self.arena.keep(request.bytes)
                    elif (variable := handles.get(operator.reads[0].place)) and variable not in had:
                        had.add(variable)
                        self.arena.keep(request.bytes)
                self._resize_requests()

    def _look_at(self, operand: Operand) -> None:
        """Look at a tensor: if it is quantized, at its zero points too, which are copied."""
        arena = self.arena
        arena.look(*arena.layout.size("Tensor"))
        if channels := _channels(operand):
            arena.look(*arena.layout.size("AffineQuantization"))
            arena.look(4 + 4 * channels, 4)

    def _resize_requests(self) -> None:
        """Keep room in the head for the scratch requests of the next operator."""
        count = len(self.scratch) + _REQUESTS_AHEAD
        self.arena.resize(count * self.arena.layout.size("ScratchRequest").bytes)

    def _finish(self) -> None:
        """Allocate states, and plan all that is left."""
        arena, layout = self.arena, self.arena.layout
        tensors = [operand for subgraph in self.graph.subgraphs for operand in subgraph.operands]
        offsets = self.offsets
        for _subgraph in self.graph.subgraphs:
            if self.scratch:
                arena.keep_structures("ScratchHandle", len(self.scratch))
        arena.look(layout.pointer * len(self.graph.subgraphs), layout.pointer)
        info = layout.size("AllocationInfo")
        arena.look(info.bytes * (len(tensors) + len(self.scratch)), info.alignment)
        for operand, offset in zip(tensors, offsets, strict=True):
            if operand.variable and offset < 0:
                assert operand.bytes is not None
                arena.keep(operand.bytes)
        planned = self._planned(offsets)
        arena.plan(len(planned))
        arena.resize(0)
        arena.resize(planned_head(tuple(planned)))

    def _planned(self, offsets: Sequence[int]) -> list[Planned]:
        """Return what is planned: tensors, then scratch memory."""
        planned = []
        of_tensor = iter(offsets)
        for subgraph, lives in zip(self.graph.subgraphs, self.line.tensors, strict=True):
            handles = variable_handles(subgraph)
            for operand, offset in zip(subgraph.operands, of_tensor, strict=False):
                wanted = (is_planned(operand) and operand.place not in handles) or (operand.variable and offset >= 0)
                if wanted and operand.bytes:
                    life = lives.get(operand.place, (-1, -1))
                    size = round_up(operand.bytes, _ALIGNMENT)
                    planned.append(Planned(size, *life, offset if offset >= 0 else None))
        return [*planned, *self.scratch]


def _channels(operand: Operand) -> int:
    """Return the number of scales that TFLM keeps for a tensor."""
    return len(operand.scales) if len(operand.zero_points) else 0
