# SPDX-License-Identifier: Apache-2.0
"""Planned memory: nothing lies on anything that lives, nothing answers otherwise, and the arena shrinks."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import ROOT
from support.every_kind import MODELS
from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import Run, litert_outputs, read_manifest, tflm_outputs
from tflm_build.arena.layout import HOST
from tflm_build.arena.replay import compute_arena
from tflm_build.child.run import run_in_child
from tflm_build.child.table import RUN_TFLM
from tflm_build.model.flatbuffer import load, schema, store
from tflm_build.model.lifetimes import Block, lifetimes, live_bytes
from tflm_build.model.model import Model as CanonicalModel
from tflm_build.passes import memory_plan as plan_module
from tflm_build.passes.canonical import canonicalize
from tflm_build.passes.memory_plan import greedy_head, lower_bound, make_plan, place, with_plan

METADATA = b"OfflineMemoryAllocation"


@pytest.fixture(scope="module")
def quantized(tflm_build: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quantize the models of `save_plan_models.py`: the folder of all their files."""
    folder = tmp_path_factory.mktemp("plan models")
    subprocess.run([sys.executable, ROOT / "tests" / "support" / "save_plan_models.py", folder], check=True)
    for name in ("mobilenet", "branching"):
        result = tflm_build(
            "convert", "--name", name, "--src", folder / f"{name}.keras", "--quantize", "int8",
            "--calibration", "random:8", "--out-dir", folder,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
    return folder


def unplanned(data: bytes) -> CanonicalModel:
    """Leave the planning to TFLM, whatever the command decided."""
    model = load(data)
    model.metadata = None
    return canonicalize(store(model))


def measure(data: bytes, inputs: np.ndarray[Any, Any]) -> tuple[int, np.ndarray[Any, Any]]:
    """Return the smallest arena and what TFLM answers in it."""
    answer = run_in_child(RUN_TFLM, {"flatbuffer": data, "inputs": [inputs], "output_count": 1})
    return answer["arena"], answer["outputs"][0]


def tflm_head(data: bytes, capfd: pytest.CaptureFixture[str]) -> int:
    """Ask TFLM how many bytes its planned memory takes."""
    from tflite_micro import runtime

    capfd.readouterr()
    runtime.Interpreter.from_bytes(data, arena_size=1 << 20).print_allocations()
    match = re.search(r"allocation head (\d+) bytes", capfd.readouterr().err)
    assert match
    return int(match[1])


@pytest.mark.parametrize(
    ("name", "bound", "greedy", "arena"), [("mobilenet", 55_296, 73_728, 85_792), ("branching", 4_608, 5_888, None)]
)
def test_the_arena_shrinks_to_the_lower_bound_and_no_answer_changes(
    quantized: Path, capfd: pytest.CaptureFixture[str], name: str, bound: int, greedy: int, arena: int | None
) -> None:
    model = unplanned((quantized / f"{name}.tflite").read_bytes())
    data = model.flatbuffer
    plan = make_plan(model)
    assert plan
    assert (plan.head, plan.lower_bound, plan.greedy_head) == (bound, bound, greedy)
    planned = with_plan(model, plan).flatbuffer
    assert canonicalize(planned).flatbuffer == planned
    assert tflm_head(data, capfd) == greedy
    assert tflm_head(planned, capfd) == bound

    shape = load(data).subgraphs[0].tensors[load(data).subgraphs[0].inputs[0]].shape
    inputs = np.random.RandomState(3).randint(-128, 128, (20, *shape)).astype(np.int8)
    arena_before, before = measure(data, inputs)
    arena_after, after = measure(planned, inputs)
    assert arena_before - arena_after == greedy - bound
    assert arena is None or arena_after <= arena
    assert np.array_equal(before, after)
    assert len({output.tobytes() for output in after}) > 1
    for vector in inputs:
        assert np.array_equal(litert_outputs(data, [vector])[0], litert_outputs(planned, [vector])[0])


def reshaped(*shapes: tuple[int, ...]) -> CanonicalModel:
    """Make a model of RESHAPEs, one behind the other, and pool what they give, unless the last one is the output."""
    tensors = [Tensor(f"t{place}", shape, "int8", 0.1) for place, shape in enumerate(shapes)]
    ops = [
        Op("RESHAPE", "ReshapeOptions", (place,), (place + 1,), {"newShape": list(shape)})
        for place, shape in enumerate(shapes[1:])
    ]
    if len(shapes[-1]) == 4:
        tensors.append(Tensor("pooled", (1, shapes[-1][1] // 2, shapes[-1][2] // 2, 1), "int8", 0.1))
        pool = {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2, "padding": 1}
        ops.append(Op("MAX_POOL_2D", "Pool2DOptions", (len(shapes) - 1,), (len(shapes),), pool))
    return canonicalize(flatbuffer(Model("m", tensors, ops, (0,), (len(tensors) - 1,), 0)))


def test_reshape_works_in_place(capfd: pytest.CaptureFixture[str]) -> None:
    """Its kernel compares the places, and copies nothing where they are one."""
    model = reshaped((1, 1024), (1, 16, 64), (1, 32, 32, 1))
    plan = make_plan(model)
    assert plan
    assert (plan.head, plan.lower_bound, plan.greedy_head) == (1280, 2048, 2048)
    assert plan.offsets[0] == plan.offsets[1] == plan.offsets[2] != plan.offsets[3]
    planned = with_plan(model, plan)
    assert tflm_head(planned.flatbuffer, capfd) == 1280
    inputs = np.random.RandomState(4).randint(-128, 128, (20, 1, 1024)).astype(np.int8)
    (arena_before, before), (arena_after, after) = (measure(each.flatbuffer, inputs) for each in (model, planned))
    assert arena_before - arena_after == 2048 - 1280
    assert compute_arena(planned, HOST).bytes == arena_after
    assert np.array_equal(before, after)
    assert np.array_equal(after.reshape(20, 16, 16), inputs.reshape(20, 16, 2, 16, 2).max(axis=(2, 4)))


def test_an_input_shares_no_memory_with_an_output() -> None:
    assert make_plan(reshaped((1, 1024), (1, 32, 32))) is None


def test_the_summary_says_what_the_arena_is_without_a_plan(quantized: Path, tflm_build: Run, tmp_path: Path) -> None:
    source = tmp_path / "source.tflite"
    source.write_bytes(unplanned((quantized / "branching.tflite").read_bytes()).flatbuffer)
    titles, arenas = {}, {}
    for plan in ("auto", "off"):
        result = tflm_build("convert", "--name", "m", "--src", source, "--plan", plan, "--out-dir", tmp_path / plan)
        assert result.returncode == 0, result.stderr
        titles[plan] = result.stdout
        match = re.search(r"([0-9,]+) B of arena, [0-9,]+ MACs", result.stdout)
        assert match
        arenas[plan] = match[1]
    assert arenas["auto"] != arenas["off"]
    assert f", {arenas['off']} B of arena otherwise\n" in titles["auto"]
    assert "otherwise" not in titles["off"]
    planned, left = (read_manifest(tmp_path / plan) for plan in ("auto", "off"))
    assert (planned["arena"]["planned"], left["arena"]["planned"]) == (True, False)
    # The plan is in the model that is compared: each layer has a reference, and is as far from it as without a plan.
    assert len(planned["proof"]["layers"]) == len(planned["layers"])
    assert all(layer["difference"] <= layer["tolerance"] for layer in planned["proof"]["layers"])
    assert planned["proof"] == left["proof"]


def random_network(seed: int) -> Model:
    """Make a network whose operators read whatever came before them."""
    generator = np.random.RandomState(seed)
    tensors = [Tensor("x", (1, 8), "float32")]
    activations, ops = [0], []
    for _ in range(12):
        left = activations[generator.randint(len(activations))]
        width = tensors[left].shape[1]
        alike = [index for index in activations if tensors[index].shape[1] == width and index != left]
        if alike and generator.randint(2):
            inputs: tuple[int, ...] = (left, alike[generator.randint(len(alike))])
            code = "ADD"
        else:
            wider = int(generator.choice([3, 8, 40, 100]))
            weights = generator.uniform(-1, 1, (wider, width)).astype(np.float32)
            tensors.append(Tensor("w", weights.shape, "float32", data=weights))
            inputs, width, code = (left, len(tensors) - 1, -1), wider, "FULLY_CONNECTED"
        options = {"ADD": "AddOptions", "FULLY_CONNECTED": "FullyConnectedOptions"}[code]
        activations.append(len(tensors))
        ops.append(Op(code, options, inputs, (len(tensors),)))
        tensors.append(Tensor("y", (1, width), "float32"))
    outputs = tuple(sorted({activations[-1], activations[generator.randint(1, len(activations))]}))
    return Model("network", tensors, ops, (0,), outputs, 0)


def test_tflm_agrees_on_random_networks(capfd: pytest.CaptureFixture[str]) -> None:
    plans = 0
    for seed in range(60):
        network = random_network(seed)
        model = canonicalize(flatbuffer(network))
        data = model.flatbuffer
        blocks = lifetimes(model.graph)
        assert blocks
        assert tflm_head(data, capfd) == greedy_head(blocks)
        plan = make_plan(model)
        if plan:
            plans += 1
            planned = with_plan(model, plan).flatbuffer
            assert tflm_head(planned, capfd) == plan.head < plan.greedy_head
            vector = [np.random.RandomState(seed).uniform(-1, 1, (1, 8)).astype(np.float32)]
            count = len(network.outputs)
            for before, after in zip(
                tflm_outputs(data, vector, count), tflm_outputs(planned, vector, count), strict=True
            ):
                assert np.array_equal(before, after)
        else:
            assert greedy_head(blocks) == lower_bound(blocks)
    assert plans >= 5


def paint(blocks: Sequence[Block], offsets: Sequence[int]) -> tuple[int, int, int]:
    """Count the owners of every 16 bytes at every step: the most of any, the bytes taken, the most bytes at once."""
    assert all(offset >= 0 and offset % 16 == 0 for offset in offsets)
    steps = 1 + max(block.last for block in blocks) + 1  # step -1 is in front
    owners = np.zeros((steps, sum(block.bytes for block in blocks) // 16), int)
    for block, offset in zip(blocks, offsets, strict=True):
        for step in range(block.first, block.last + 1):
            owners[step + 1, offset // 16 : (offset + block.bytes) // 16] += 1
    taken = np.flatnonzero(owners.any(axis=0))
    return int(owners.max()), 16 * (int(taken[-1]) + 1), 16 * int(owners.sum(axis=1).max())


@st.composite
def random_blocks(draw: st.DrawFn) -> list[Block]:
    sizes_and_lives = draw(
        st.lists(st.tuples(st.integers(1, 40), st.integers(-1, 12), st.integers(0, 6)), min_size=1, max_size=24)
    )
    return [Block(tensor, 16 * size, first, first + life) for tensor, (size, first, life) in enumerate(sizes_and_lives)]


@settings(derandomize=True, deadline=None, max_examples=300)
@given(random_blocks())
def test_nothing_lies_on_anything_that_lives(blocks: list[Block]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "_EFFORT", 50_000)
        offsets = place(blocks)
        assert place(blocks) == offsets
    owners, head, at_once = paint(blocks, offsets)
    assert owners == 1
    assert lower_bound(blocks) == at_once <= head <= greedy_head(blocks)


def test_the_search_is_bounded_by_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    first_fit = plan_module._first_fit

    def counted(*arguments: Any) -> list[int]:
        calls.append(None)
        return first_fit(*arguments)

    monkeypatch.setattr(plan_module, "_first_fit", counted)
    monkeypatch.setattr(plan_module, "lower_bound", lambda _: 0)  # out of reach
    monkeypatch.setattr(plan_module, "_EFFORT", 60_000)
    place([Block(0, 16, 0, 1), Block(1, 32, 1, 2), Block(2, 48, 2, 3)])
    assert 500 < len(calls) < 1_200


def chain(*sizes: int) -> Any:
    """Make a model that passes vectors of these many bytes from operator to operator."""
    tensors = [Tensor("t", (size,), "int8") for size in sizes]
    ops = [Op("ADD", "AddOptions", (index, index), (index + 1,)) for index in range(len(sizes) - 1)]
    return load(flatbuffer(Model("chain", tensors, ops, (0,), (len(sizes) - 1,), 0)))


def test_lifetimes_are_those_of_tflm() -> None:
    model = chain(100, 16, 17, 1)
    (subgraph,) = model.subgraphs
    subgraph.outputs = [1, 3, 7, 8]
    model.buffers.append(schema.BufferT(data=np.zeros(50, np.uint8)))
    subgraph.tensors += [
        schema.TensorT(shape=[50], type=schema.TensorType.INT8, buffer=len(model.buffers) - 1),
        schema.TensorT(shape=[50], type=schema.TensorType.INT8, isVariable=True),
        schema.TensorT(shape=[50, 0], type=schema.TensorType.INT8),
        schema.TensorT(shape=None, type=schema.TensorType.INT64),
        schema.TensorT(shape=[5], type=schema.TensorType.FLOAT32),
    ]
    subgraph.operators[1].inputs = [1, 0, -1]
    assert lifetimes(canonicalize(store(model)).graph) == [
        Block(0, 112, 0, 2),
        Block(1, 16, 1, 3),
        Block(2, 32, 2, 3),
        Block(3, 16, 3, 3),
        Block(4, 16, 3, 3),
        Block(5, 32, 3, 3),
    ]


def test_what_lives_while_each_operator_runs() -> None:
    for seed in range(20):
        graph = canonicalize(flatbuffer(random_network(seed))).graph
        blocks = lifetimes(graph)
        assert blocks
        live = live_bytes(graph)
        assert live == [
            sum(block.bytes for block in blocks if block.first <= step <= block.last)
            for step in range(1, len(graph.operators) + 1)
        ]
        assert max(live) == lower_bound(blocks)


@pytest.mark.parametrize("name", ["variable", "if", "while"])
def test_tflm_agrees_on_models_that_run_subgraphs(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    model = canonicalize(MODELS[name]())
    blocks, live = lifetimes(model.graph), live_bytes(model.graph)
    assert blocks
    assert live
    assert len(model.graph.subgraphs) > 1
    assert tflm_head(model.flatbuffer, capfd) == greedy_head(blocks)
    assert max(live) <= lower_bound(blocks)
    assert len(live) == len(model.graph.operators)


@pytest.mark.parametrize("what", ["subgraphs", "type"])
def test_what_cannot_be_told_is_not_planned(what: str) -> None:
    model = chain(32, 16, 16, 32)
    assert make_plan(canonicalize(store(model)))
    if what == "subgraphs":
        model.subgraphs.append(schema.SubGraphT())
    else:
        model.subgraphs[0].tensors[1].type = schema.TensorType.STRING
    canonical = canonicalize(store(model))
    assert (lifetimes(canonical.graph) is None) == (what == "type")
    assert (live_bytes(canonical.graph) is None) == (what == "type")
    assert make_plan(canonical) is None


def test_where_tflm_leaves_no_gap_there_is_no_plan() -> None:
    assert make_plan(canonicalize(store(chain(64, 64, 32, 16)))) is None


@pytest.mark.parametrize("name", [b"t", None])
def test_a_plan_takes_the_place_of_another(name: bytes | None) -> None:
    unplanned = canonicalize(store(chain(32, 16, 16, 32)), keep_names=name is not None)
    plan = make_plan(unplanned)
    assert plan
    planned = with_plan(unplanned, plan)
    assert make_plan(planned) == plan
    assert with_plan(planned, plan).flatbuffer == planned.flatbuffer
    assert unplanned.tree.metadata is None
    model = load(planned.flatbuffer)
    assert model.subgraphs[0].tensors[0].name == name
    (entry,) = model.metadata
    assert entry.name == METADATA
    words = model.buffers[entry.buffer].data.view("<i4").tolist()
    assert words == [1, 0, len(plan.offsets), *plan.offsets]
    assert canonicalize(planned.flatbuffer, keep_names=name is not None).flatbuffer == planned.flatbuffer
