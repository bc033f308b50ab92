# SPDX-License-Identifier: Apache-2.0
"""Whatever a source is made of: a build succeeds or refuses in one line, in time, and leaves nothing behind."""

import io
import os
import shutil
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.every_kind import MODELS
from support.interpreters import HELLO_WORLD, Run
from support.judge_mutants import KINDS, Judged, changed, judge
from support.mutations import LIMIT, Outcome, mutate, run_build, run_mutations, small_models
from support.tree_mutations import CHANGES
from tflm_build.model.flatbuffer import load, store

KERAS = HELLO_WORLD / "hello_world.keras"
LIBRARY, LIBRARY_CHUNK = 1000, 100
COMMAND, COMMAND_CHUNK = 100, 10
TREES, TREES_CHUNK = 1000, 50


@pytest.mark.parametrize("first", range(0, LIBRARY, LIBRARY_CHUNK))
def test_mutations_through_the_library(first: int) -> None:
    outcomes: list[Outcome] = []
    run_mutations(small_models(), range(first, first + LIBRARY_CHUNK), lambda _, outcome: outcomes.append(outcome))
    assert len(outcomes) == LIBRARY_CHUNK
    assert any(not outcome.error for outcome in outcomes), "no mutation was harmless: the models are not valid"


@pytest.mark.parametrize("first", range(LIBRARY, LIBRARY + COMMAND, COMMAND_CHUNK))
def test_mutations_through_the_command(first: int, tflm_build: Run, tmp_path: Path) -> None:
    for seed in range(first, first + COMMAND_CHUNK):
        source = tmp_path / "m.tflite"
        source.write_bytes(mutate(small_models(), seed))
        convert(tflm_build, source)


@pytest.mark.parametrize("first", range(0, TREES, TREES_CHUNK))
def test_mutations_of_what_a_model_says(first: int) -> None:
    judged: list[Judged] = []
    judge(range(first, first + TREES_CHUNK), judged.append)
    assert {one.model for one in judged} == set(KINDS)
    assert {bool(one.error) for one in judged} == {False, True}


def test_every_kind_of_change_is_made() -> None:
    """A kind that fails on every model, for the schema has changed, would be left out in silence."""
    made = {kind for seed in range(TREES) for kind in changed(seed).kinds}
    assert made == set(CHANGES)


def test_an_end_of_the_model_that_is_made_from_nothing(tmp_path: Path) -> None:
    """The step of a float output is looked for behind DEQUANTIZE: this one reads nothing."""
    tree = load(MODELS["int8, float io"]())
    tree.subgraphs[0].operators[2].inputs = []
    outcome = run_build(store(tree), tmp_path)
    assert "layer 'y' (DEQUANTIZE): TFLM cannot run this model: " in outcome.error
    assert "NumInputs(node) != 1 (0 != 1); Node DEQUANTIZE (number 2) failed to prepare" in outcome.error


def convert(tflm_build: Run, source: Path) -> str:
    """Convert through the command, with a folder for temporary files empty again afterwards; return the error."""
    out = source.with_name("out")
    temporary = out.with_name("temporary")
    temporary.mkdir(exist_ok=True)
    arguments = ("convert", "--name", "m", "--src", source, "--out-dir", out, "--quiet")
    result = tflm_build(*arguments, timeout=LIMIT, env={**os.environ, "TMPDIR": str(temporary)})
    assert result.returncode in {0, 1}, result
    assert not list(temporary.iterdir())
    if result.returncode == 1:
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("tflm-build: error: m: "), result.stderr
        assert not out.exists(), result.stderr
    else:
        shutil.rmtree(out)
    return result.stderr


def archive(change: Callable[[zipfile.ZipFile], None], *, kept: tuple[str, ...] = ()) -> bytes:
    """Take the entries that are kept from the example's archive, and add others."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(KERAS) as source,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
    ):
        for name in kept:
            target.writestr(name, source.read(name))
        change(target)
    return stream.getvalue()


def add_zeros(name: str, gigabytes: int = 1) -> Callable[[zipfile.ZipFile], None]:
    def add(target: zipfile.ZipFile) -> None:
        with target.open(name, "w", force_zip64=True) as entry:
            for _ in range(gigabytes << 6):
                entry.write(bytes(1 << 24))

    return add


def add(name: str, content: bytes = b"x") -> Callable[[zipfile.ZipFile], None]:
    return lambda target: target.writestr(name, content)


def add_link(target: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("assets/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    target.writestr(entry, "/etc/passwd")


def add_many(target: zipfile.ZipFile) -> None:
    for index in range(20_000):
        target.writestr(f"assets/{index}", b"")


def add_bzip2(target: zipfile.ZipFile) -> None:
    target.writestr("assets/x", bytes(1 << 20), zipfile.ZIP_BZIP2)


def lie_about_a_size(data: bytes) -> bytes:
    """Let the directory say of the last entry that it is small."""
    place = data.rindex(b"PK\x01\x02")
    return data[: place + 24] + (10).to_bytes(4, "little") + data[place + 28 :]


ALL = ("metadata.json", "config.json", "model.weights.h5")
ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb of weights": (lambda: archive(add_zeros("model.weights.h5"), kept=ALL[:2]), "unpack to 1,0"),
    "a bomb of a config": (lambda: archive(add_zeros("config.json")), "'config.json' has 1,0"),
    "a bomb among the assets": (lambda: archive(add_zeros("assets/x"), kept=ALL), "unpack to 1,0"),
    "a bomb that lies": (lambda: lie_about_a_size(archive(add_zeros("assets/x"), kept=ALL)), "is damaged"),
    "many entries": (lambda: archive(add_many, kept=ALL), "it has 20003 entries; allowed: 1000"),
    "a path that leads out": (lambda: archive(add("../../x"), kept=ALL), r"has the entry '../../x'"),
    "an asset that leads out": (lambda: archive(add("assets/../../x"), kept=ALL), r"has the entry 'assets/../../x'"),
    "an absolute path": (lambda: archive(add("/usr/x"), kept=ALL), "has the entry '/usr/x'"),
    "a path of Windows": (lambda: archive(add("assets/..\\..\\x"), kept=ALL), "has the entry"),
    "a link": (lambda: archive(add_link, kept=ALL), "'assets/link' is neither a file nor a folder"),
    "a program": (lambda: archive(add("sitecustomize.py"), kept=ALL), "has the entry 'sitecustomize.py'"),
    "another method": (lambda: archive(add_bzip2, kept=ALL), "by a method that Keras never uses"),
    "an empty archive": (lambda: archive(lambda _: None), "it has no config.json"),
    "no config": (lambda: archive(lambda _: None, kept=ALL[2:]), "it has no config.json"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_that_keras_cannot_have_written(case: str, tflm_build: Run, tmp_path: Path) -> None:
    make, message = ARCHIVES[case]
    source = tmp_path / "m.keras"
    source.write_bytes(make())
    assert source.stat().st_size < 8 << 20
    assert message in convert(tflm_build, source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras", "temporary"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name(tflm_build: Run, tmp_path: Path) -> None:
    source = tmp_path / "m.keras"
    source.write_bytes(archive(add("config.json"), kept=ALL))
    assert "two entries of the same name" in convert(tflm_build, source)


@pytest.mark.parametrize("seed", range(3))
def test_truncated_archives_are_refused_before_tensorflow_starts(seed: int, tflm_build: Run, tmp_path: Path) -> None:
    data = KERAS.read_bytes()
    source = tmp_path / "m.keras"
    source.write_bytes(data[: len(data) * (seed + 1) // 4])
    start = time.monotonic()
    assert "--src is not a model that Keras can load" in convert(tflm_build, source)
    assert time.monotonic() - start < 5
