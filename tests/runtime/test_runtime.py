# SPDX-License-Identifier: Apache-2.0
"""Compile the C runtime with its host backend and drive it as firmware does, one process per scenario."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from support import ROOT
from support.tiny_models import (
    DENSE_DEFINES,
    MODELS,
    RUNTIME,
    SANITIZE,
    SOURCES,
    STRICT,
    c_source,
    compile_c,
    dense_expected,
    run,
)

HERE = Path(__file__).parent
SESSIONS = (
    "answers",
    "several_tensors",
    "wrong_sizes",
    "shared_arena",
    "closed",
    "failing_invoke",
    "killed",
    "hung",
    "two_sessions",
    "state",
    "copied",
    "same_arena",
    "many_invokes",
    "hundred_thousand_invokes",
    "interrupt_key",
    "ignored_children",
    "closed_stdio",
)
REFUSALS = (
    "bad_arguments",
    "bad_descriptor",
    "corrupt_data",
    "other_model",
    "too_large",
    "small_arena",
    "small_arena_modest_descriptor",
)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one C file per model."""
    folder = tmp_path_factory.mktemp("models")
    for name, model in MODELS.items():
        (folder / f"{name}.c").write_text(c_source(model))
    return {name: folder / f"{name}.c" for name in MODELS}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> dict[str, Path]:
    """Return the scenario programs, with the sanitizers and a helper that counts as hung after some seconds."""
    folder = tmp_path_factory.mktemp("programs")
    defines = ["-DTFLM_BUILD_HOST_TIMEOUT=10", *DENSE_DEFINES]
    return {
        name: compile_c(folder / name, *SANITIZE, *defines, HERE / f"{name}.c", *models.values(), *SOURCES)
        for name in ("sessions", "refusals")
    }


def succeed(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program printed on stderr, if it succeeded."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("scenario", SESSIONS)
def test_session(programs: dict[str, Path], scenario: str) -> None:
    """Serve open sessions, and survive the end of their helpers, without a leak."""
    succeed(run(programs["sessions"], scenario))


@pytest.mark.parametrize("scenario", ["answers", "killed", "state", "closed", "same_arena"])
def test_valgrind_finds_nothing(scenario: str, models: dict[str, Path], tmp_path: Path) -> None:
    """Read nothing that was not written, write nothing outside, and keep neither memory nor descriptors."""
    program = compile_c(
        tmp_path / "sessions", "-g", "-O1", *DENSE_DEFINES, HERE / "sessions.c", *models.values(), *SOURCES
    )
    words = succeed(run("valgrind", "--error-exitcode=9", "--leak-check=full", "--track-fds=yes", program, scenario))
    assert "ERROR SUMMARY: 0 errors" in words
    assert "FILE DESCRIPTORS: 3 open (3 std) at exit" in words


@pytest.mark.parametrize("scenario", REFUSALS)
def test_refusal(programs: dict[str, Path], scenario: str) -> None:
    """Refuse with the status that the header promises."""
    succeed(run(programs["refusals"], scenario))


def test_reasons_on_stderr(programs: dict[str, Path]) -> None:
    """State why a model is refused in one line each."""
    words = succeed(run(programs["refusals"], "other_model"))
    assert "input 0 has 4 bytes of int8 in the model, 5 of int8 in its descriptor" in words
    assert "input 0 has 4 bytes of int8 in the model, 4 of type 77 in its descriptor" in words
    assert "1 inputs in the model, 0 in its descriptor" in words
    assert "1 inputs in the model, 2 in its descriptor" in words
    assert "out of range" not in words
    words = succeed(run(programs["refusals"], "small_arena_modest_descriptor"))
    assert "the arena is too small for the model; got 600 bytes; pass a larger one, or build for this host" in words


def test_status_texts(programs: dict[str, Path]) -> None:
    """Give every status a sentence of its own, and one to a number that is none."""
    done = run(programs["refusals"], "texts")
    lines = done.stdout.splitlines()
    assert len(lines) == len(set(lines)) == 11
    assert lines[-1] == "The status is unknown"
    assert all(line[0].isupper() and not line.endswith(".") for line in lines)


def test_python_missing(programs: dict[str, Path]) -> None:
    """Name the Python that could not be started."""
    words = succeed(run(programs["refusals"], "unavailable", TFLM_BUILD_PYTHON="/nonexistent/python"))
    assert words == (
        "tflm-build: error: host backend: /nonexistent/python: No such file or directory; set TFLM_BUILD_PYTHON in the "
        "environment to a Python that has tflm-build[host]\n"
    )


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """Return a Python without any package."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    return str(tmp_path / "bare" / "bin" / "python")


def test_python_without_our_package(programs: dict[str, Path], bare_python: str) -> None:
    """Report a Python that knows nothing of tflm-build as unavailable."""
    words = succeed(run(programs["refusals"], "unavailable", TFLM_BUILD_PYTHON=bare_python))
    assert "No module named 'tflm_build'" in words
    assert "the helper of this version of tflm-build did not start: it ended with status 1; set TFLM_BUILD_" in words


def test_python_without_tflite_micro(programs: dict[str, Path], bare_python: str) -> None:
    """Name the package that the helper lacks."""
    (packages,) = Path(bare_python).parents[1].glob("lib/*/site-packages")
    (packages / "checkout.pth").write_text(str(ROOT / "python"))
    words = succeed(run(programs["refusals"], "unavailable", TFLM_BUILD_PYTHON=bare_python))
    assert words.startswith(
        f"tflm-build: error: host backend: needs the tflite-micro package in {bare_python}; got none; "
        'pip install "tflm-build[host]"\n'
    )


@pytest.mark.parametrize(("script", "words"), [
    ("echo 'something else than hello' >&0; cat >/dev/null", "ended with status 1"),
    ("echo 'something else than hello' >&0; exec sleep 100", "gave no right answer"),
    ("exit 3", "ended with status 3"),
    ("kill -9 $$", "ended with signal 9"),
])  # fmt: skip
def test_python_that_is_none(programs: dict[str, Path], tmp_path: Path, script: str, words: str) -> None:
    """Report a program that does not speak the protocol as unavailable, and how it ended."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    said = succeed(run(programs["refusals"], "unavailable", TFLM_BUILD_PYTHON=str(program)))
    assert f": the helper of this version of tflm-build did not start: it {words}; set TFLM_BUILD_PYTHON" in said


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Path:
    """Return the sessions without sanitizers."""
    folder = tmp_path_factory.mktemp("plain")
    return compile_c(folder / "sessions", *DENSE_DEFINES, HERE / "sessions.c", *models.values(), *SOURCES)


def test_variables_that_are_for_the_program(plain: Path, tmp_path: Path) -> None:
    """Start the helper where the program embeds another Python, or has a sanitizer loaded before all else."""
    for module in ("encodings", "numpy"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('imported from PYTHONPATH')\n")
    sanitizer = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout
    words = run(
        plain, "answers", LD_PRELOAD=sanitizer.strip(), ASAN_OPTIONS="detect_leaks=0", PYTHONHOME="/nonexistent",
        PYTHONPATH=str(tmp_path), PYTHONWARNINGS="error",
    )  # fmt: skip
    assert succeed(words) == ""


def test_without_tflite_micro_the_references_answer(tmp_path: Path, models: dict[str, Path]) -> None:
    """Give the same answers, keep state, refuse a small arena, and say who answers."""
    (tmp_path / "tflite_micro.py").write_text("raise ImportError('no wheel for this system')\n")
    path, defines = f'-DTFLM_BUILD_PYTHONPATH="{tmp_path}"', DENSE_DEFINES
    programs = {
        name: compile_c(tmp_path / name, path, *defines, HERE / f"{name}.c", *models.values(), *SOURCES)
        for name in ("sessions", "refusals")
    }
    note = "LiteRT's reference kernels answer for TFLM, for tflite-micro is not installed"
    for scenario in ("answers", "several_tensors", "state"):
        words = succeed(run(programs["sessions"], scenario))
        assert set(words.splitlines()) == {f"tflm-build: note: host backend: {note}"}
    assert "arena is too small" in succeed(run(programs["refusals"], "small_arena_modest_descriptor"))


@pytest.mark.parametrize("scenario", ["answers", "state"])
def test_few_open_files(plain: Path, scenario: str) -> None:
    """Start the helper where the program may open no more files: its own limit is as before."""
    assert succeed(run("/bin/sh", "-c", f"ulimit -Sn 4 && exec '{plain}' {scenario}")) == ""


def test_too_few_open_files(programs: dict[str, Path]) -> None:
    """Say so where the limit cannot be raised: it is no matter of the Python."""
    words = succeed(run("/bin/sh", "-c", f"ulimit -n 4 && exec '{programs['refusals']}' unavailable"))
    assert words == (
        "tflm-build: error: host backend: Too many open files; close some, or raise the limit, as with 'ulimit -n'\n"
    )


def test_working_directory_is_not_imported(programs: dict[str, Path], tmp_path: Path) -> None:
    """Leave alone what happens to lie where the firmware's tests run."""
    for module in ("numpy", "tflite_micro", "tflm_build"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('imported from the working directory')\n")
    assert "imported" not in succeed(run("/bin/sh", "-c", f"cd '{tmp_path}' && '{programs['sessions']}' answers"))


def test_macros_name_python(tmp_path: Path, models: dict[str, Path]) -> None:
    """Start the Python that was named at compile time, in a path with a space, with the checkout's package."""
    folder = tmp_path / "a folder"
    shutil.copytree(ROOT / "python" / "tflm_build", folder / "tflm_build")
    # A script and not a link, which would lose the virtual environment that Python finds by its own path.
    python = folder / "python 3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    program = compile_c(
        tmp_path / "program",
        "-O2",
        f'-DTFLM_BUILD_PYTHON="{python}"',
        f'-DTFLM_BUILD_PYTHONPATH="{folder}"',
        *DENSE_DEFINES,
        HERE / "sessions.c",
        *models.values(),
        *SOURCES,
    )
    succeed(run(program, "answers", TFLM_BUILD_PYTHON="", PYTHONPATH=""))


def test_windows_branch(tmp_path: Path, models: dict[str, Path]) -> None:
    """Compile where there is no POSIX, and report the backend as unavailable."""
    objects = []
    for source in SOURCES:
        objects.append(tmp_path / f"{source.stem}.o")
        compile_c(objects[-1], "-c", "-D_WIN32", source)
    succeed(run(compile_c(tmp_path / "program", HERE / "refusals.c", *models.values(), *objects), "unavailable"))


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_header_in_cpp(tmp_path: Path, standard: str) -> None:
    """Serve C++ firmware too, down to the arena's alignment."""
    source = tmp_path / "app.cc"
    source.write_text(
        '#include "tflm_build/golden.h"\n'
        "static TFLM_ALIGNED uint8_t arena[64];\n"
        "int main() { return reinterpret_cast<uintptr_t>(arena) % TFLM_ALIGNMENT != 0; }\n"
    )
    command = ["g++", f"-std={standard}", *STRICT[1:], "-I", str(RUNTIME / "include"), str(source), "-o"]
    subprocess.run([*command, str(tmp_path / "app")], check=True)
    succeed(run(tmp_path / "app"))


VECTORS = [(10, -20, 30, 127), (1, 0, 0, 0), (-128, 127, -128, 127), (10, -20, 30, 127)]


def golden(models: dict[str, Path], output: Path, outputs: list[int], count: int = 3) -> Path:
    """Compile the golden runner for the dense model."""

    def array(name: str, values: list[int]) -> str:
        return f"static const int8_t {name}[] = {{{', '.join(map(str, values))}}};\n"

    source = output.with_suffix(".c")
    source.write_text(
        '#include "tflm_build/golden.h"\n'
        + array("in0", [value for vector in VECTORS for value in vector])
        + array("out0", outputs)
        + "static const void *const in[] = {in0}, *const out[] = {out0};\n"
        "static const double tolerance[] = {0};\n"
        "extern const tflm_model dense_model;\n"
        "extern const tflm_golden dense_golden;\n"
        f'const tflm_golden dense_golden = {{&dense_model, {count}, in, out, tolerance, "the test"}};\n'
    )
    runner = RUNTIME / "src" / "model_test.c"
    return compile_c(output, *SANITIZE, "-DTFLM_GOLDEN=dense_golden", runner, source, models["dense"], *SOURCES)


def test_golden_passes(models: dict[str, Path], tmp_path: Path) -> None:
    """Pass with one line where outputs are equal."""
    right = [value for vector in VECTORS for value in dense_expected(vector)]
    done = run(golden(models, tmp_path / "golden", right))
    succeed(done)
    assert done.stdout == "dense: 3 vectors: equal to the test\n"


def test_golden_fails(models: dict[str, Path], tmp_path: Path) -> None:
    """Fail on an output that is one step off, and say where."""
    right = [value for vector in VECTORS for value in dense_expected(vector)]
    outputs = right.copy()
    outputs[4] += 1
    done = run(golden(models, tmp_path / "golden", outputs))
    assert done.returncode == 1
    assert done.stdout == (
        f"dense: vector 1, output 0 (y), element 1: got {right[4]}; expected {outputs[4]}, at most 0 away\n"
        "dense: 1 comparisons failed over 3 vectors\n"
    )


def test_golden_counts_many_failures(models: dict[str, Path], tmp_path: Path) -> None:
    """Print ten failures and the number of the others."""
    done = run(golden(models, tmp_path / "golden", [-100] * 12, count=4))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    assert lines[-2:] == ["dense: ... 2 more", "dense: 12 comparisons failed over 4 vectors"]


def test_golden_without_vectors_or_helper(models: dict[str, Path], tmp_path: Path) -> None:
    """Pass nothing that has not been run."""
    right = [value for vector in VECTORS for value in dense_expected(vector)]
    done = run(golden(models, tmp_path / "none", right, count=0))
    assert (done.returncode, done.stdout) == (1, "dense: no golden vectors; generate them with at least one\n")
    done = run(golden(models, tmp_path / "all", right), TFLM_BUILD_PYTHON="/nonexistent/python")
    assert done.returncode == 1
    assert done.stdout == "dense: the model does not run: The interpreter could not be started\n"
