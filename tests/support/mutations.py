# SPDX-License-Identifier: Apache-2.0
"""Damage models, the same way for the same seed, and see that a build takes it."""

import random
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from support.hand_made import Model, Op, Tensor, flatbuffer, schema
from support.interpreters import Array
from tflm_build.build import build
from tflm_build.errors import TflmBuildError
from tflm_build.model.flatbuffer import store
from tflm_build.options import Options
from tflm_build.source.check_flatbuffer import check_flatbuffer

LIMIT = 30  # seconds


class Silence:
    """A progress that nobody watches."""

    def stage(self, title: str) -> None:
        pass

    def part(self, share: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@dataclass(frozen=True)
class Outcome:
    """What a build made of a model.

    Attributes:
        error: why it was refused; empty: it was built.
        seconds: how long that took.
        answers: golden inputs and outputs by name, as `m_golden.npz` has them.
    """

    error: str
    seconds: float
    answers: dict[str, Array] = field(default_factory=dict)


def run_build(model: bytes, folder: Path) -> Outcome:
    """Build through the library call, which may only succeed or refuse, and has to leave nothing behind on an error."""
    source, out = folder / "m.tflite", folder / "out"
    source.write_bytes(model)
    error, answers, start = "", {}, time.monotonic()
    try:
        build(Options(name="m", src=str(source)), out, Silence())
        with np.load(out / "m_golden.npz") as arrays:
            answers = {name: array for name, array in arrays.items() if name.startswith(("input", "output"))}
    except TflmBuildError as refusal:
        error = str(refusal)
        assert error, "an empty message"
        assert "\n" not in error, error
        fault = f"a fault of a task: {error} {refusal.trace}"
        assert "failed on this model" not in error, fault
        assert not out.exists(), error
    shutil.rmtree(out, ignore_errors=True)
    return Outcome(error, time.monotonic() - start, answers)


def run_mutations(models: Sequence[bytes], seeds: Sequence[int], see: Callable[[int, Outcome], None]) -> None:
    """Build a mutation for each seed, of the models in turn.

    Raises:
        AssertionError: a build did what it must not; the message names the seed.
    """
    with tempfile.TemporaryDirectory() as name:
        for seed in seeds:
            try:
                outcome = run_build(mutate(models, seed), Path(name))
                assert outcome.seconds < LIMIT, f"{outcome.seconds:.0f} s"
            except Exception as error:
                msg = f"mutation {seed}: {type(error).__name__}: {error}"
                raise AssertionError(msg) from error
            see(seed, outcome)


def mutate(models: Sequence[bytes], seed: int) -> bytes:
    """Damage the model whose turn it is in one to four places: half of the seeds the bytes, half the meaning."""
    generator = random.Random(seed)  # noqa: S311 - damage has to be repeatable, not secret
    original, times = models[seed // 2 % len(models)], generator.choice((1, 1, 1, 2, 4))
    if seed % 2:
        return change_fields(generator, original, times)
    model = bytearray(original)
    for _ in range(times):
        generator.choice(KINDS)(generator, model, generator.choice(models))
    return bytes(model)


def change_fields(generator: random.Random, model: bytes, times: int) -> bytes:
    """Change numbers in tables, and write the model again: damage that no look at the bytes can find."""
    tree = schema.ModelT.InitFromPackedBuf(model)
    fields = list(number_fields(tree))
    for _ in range(times):
        table, name = generator.choice(fields)
        value = getattr(table, name)
        number = generator.choice((-1, 0, 1, 2, 3, 5, 8, 17, 100, 127, 1 << 16, (1 << 31) - 1))
        if isinstance(value, np.ndarray):
            value = value.copy()
            if len(value) and generator.random() < 0.8:
                value[generator.randrange(len(value))] = np.array(number).astype(value.dtype)
            else:
                value = np.resize(value, generator.choice((0, 1, 2, 5))).astype(value.dtype)
        else:
            value = value + generator.choice((-1, 1)) if generator.random() < 0.5 else number
        setattr(table, name, value)
    try:
        return store(tree)
    except (TypeError, ValueError, struct.error, OverflowError):  # the number does not fit into the field
        return model


def number_fields(table: Any) -> Iterator[tuple[Any, str]]:
    """Find all numbers and vectors of numbers in a tree of tables."""
    for name, value in vars(table).items():
        if isinstance(value, bool | int | float | np.ndarray):
            yield table, name
        elif isinstance(value, list):
            for item in value:
                yield from number_fields(item)
        elif hasattr(value, "Pack"):
            yield from number_fields(value)


def flip_bit(generator: random.Random, model: bytearray, _other: bytes) -> None:
    place = generator.randrange(len(model))
    model[place] ^= 1 << generator.randrange(8)


def set_byte(generator: random.Random, model: bytearray, _other: bytes) -> None:
    model[generator.randrange(len(model))] = generator.choice((0, 1, 4, 0x7F, 0x80, 0xFE, 0xFF))


def set_word(generator: random.Random, model: bytearray, _other: bytes) -> None:
    """Set what may be an offset, a length or a number to a value at an end of some range."""
    values = (0, 1, 4, 0x7F, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF, 0x7F800000, len(model))
    struct.pack_into("<I", model, word(generator, model), generator.choice(values))


def add_to_word(generator: random.Random, model: bytearray, _other: bytes) -> None:
    """Let an offset point beside what it pointed at."""
    place = word(generator, model)
    number = struct.unpack_from("<I", model, place)[0] + generator.choice((-64, -8, -4, -1, 1, 4, 8, 64))
    struct.pack_into("<I", model, place, number & 0xFFFFFFFF)


def swap_words(generator: random.Random, model: bytearray, _other: bytes) -> None:
    left, right = word(generator, model), word(generator, model)
    model[left : left + 4], model[right : right + 4] = model[right : right + 4], model[left : left + 4]


def truncate(generator: random.Random, model: bytearray, _other: bytes) -> None:
    del model[generator.randrange(8, len(model)) :]


def extend(generator: random.Random, model: bytearray, _other: bytes) -> None:
    model += generator.randbytes(generator.choice((1, 4, 4096)))


def splice(generator: random.Random, model: bytearray, other: bytes) -> None:
    """Put a piece of a model over another place: mostly a table where another one was."""
    size = 4 * generator.randrange(1, 17)
    source, place = (generator.randrange(0, max(1, len(data) - size), 4) for data in (other, model))
    model[place : place + size] = other[source : source + size]


def remove(generator: random.Random, model: bytearray, _other: bytes) -> None:
    """Take out some words, so that all that follows moves."""
    place = word(generator, model)
    del model[place : place + 4 * generator.randrange(1, 9)]
    model += bytes(max(0, 8 - len(model)))


def word(generator: random.Random, model: bytearray) -> int:
    """Choose the place of an aligned word."""
    if len(model) < 8:
        model += bytes(8)
    return generator.randrange(0, len(model) - 3, 4)


KINDS = (flip_bit, set_byte, set_word, add_to_word, swap_words, truncate, extend, splice, remove)


def small_models() -> list[bytes]:
    """Return two models that are quick to build: dense layers, and a small CNN with a signature and metadata."""
    return [dense(), cnn()]


def dense() -> bytes:
    generator = np.random.default_rng(0)
    weights = [generator.integers(-127, 128, shape, np.int8) for shape in ((3, 4), (2, 3))]
    tensors = [
        Tensor("x", (1, 4), "int8", 0.5, 3),
        Tensor("w0", (3, 4), "int8", 0.011, 0, weights[0]),
        Tensor("b0", (3,), "int32", 0.0055, 0, np.arange(3, dtype=np.int32)),
        Tensor("h", (1, 3), "int8", 0.7, -5),
        Tensor("w1", (2, 3), "int8", 0.013, 0, weights[1]),
        Tensor("y", (1, 2), "int8", 1.9, 1),
    ]
    ops = [
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (0, 1, 2), (3,)),
        Op("FULLY_CONNECTED", "FullyConnectedOptions", (3, 4, -1), (5,)),
    ]
    return flatbuffer(Model("dense", tensors, ops, (0,), (5,), 0))


def cnn() -> bytes:
    generator = np.random.default_rng(1)
    tensors = [
        Tensor("x", (1, 6, 6, 1), "int8", 0.5, 3),
        Tensor("w", (2, 3, 3, 1), "int8", 0.25, 0, generator.integers(-127, 128, (2, 3, 3, 1), np.int8)),
        Tensor("b", (2,), "int32", 0.125, 0, np.arange(2, dtype=np.int32)),
        Tensor("conv", (1, 4, 4, 2), "int8", 8.0, 0),
        Tensor("pool", (1, 2, 2, 2), "int8", 8.0, 0),
        Tensor("shape", (2,), "int32", 0, 0, np.array([1, 8], np.int32)),
        Tensor("flat", (1, 8), "int8", 8.0, 0),
        Tensor("y", (1, 8), "int8", 1 / 256, -128),
    ]
    ops = [
        Op("CONV_2D", "Conv2DOptions", (0, 1, 2), (3,)),
        Op("MAX_POOL_2D", "Pool2DOptions", (3,), (4,)),
        Op("RESHAPE", "ReshapeOptions", (4, 5), (6,)),
        Op("SOFTMAX", "SoftmaxOptions", (6,), (7,)),
    ]
    model = schema.ModelT.InitFromPackedBuf(flatbuffer(Model("cnn", tensors, ops, (0,), (7,), 0)))
    subgraph = model.subgraphs[0]
    conv, pool, _, softmax = (operator.builtinOptions for operator in subgraph.operators)
    conv.padding = pool.padding = schema.Padding.VALID
    conv.strideW = conv.strideH = 1
    pool.strideW = pool.strideH = pool.filterWidth = pool.filterHeight = 2
    softmax.beta = 1.0
    for index, scales in ((1, [0.25, 0.125]), (2, [0.125, 0.0625])):
        subgraph.tensors[index].quantization.scale = scales
        subgraph.tensors[index].quantization.zeroPoint = [0, 0]
    ends = [[schema.TensorMapT(name=name, tensorIndex=index)] for name, index in ((b"x", 0), (b"y", 7))]
    model.signatureDefs = [schema.SignatureDefT(inputs=ends[0], outputs=ends[1], signatureKey=b"serving_default")]
    model.metadata = [schema.MetadataT(name=b"min_runtime_version", buffer=1)]
    packed: bytes = store(model)
    check_flatbuffer(packed)
    return packed
