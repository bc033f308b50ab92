# SPDX-License-Identifier: Apache-2.0
"""Link the C runtime with its native backend and a real TFLM, and drive it as firmware does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT
from support.every_kind import counter
from support.narrowed import small_cnn
from support.tiny_models import DENSE_DEFINES, MODELS, RUNTIME, SANITIZE, c_source, compile_c, run
from support.vendor_tflm import NATIVE, RENAMED, SOURCES, compile_cxx, link, undefined_symbols

HERE = Path(__file__).parent
VARIABLES = HERE / "standins" / "variables.cc"


def compile_together(folder: Path, sources: list[Path], *flags: str | Path, renamed: str = RENAMED) -> Path:
    """Compile C++ sources as one: reading TFLM's headers takes nearly all of a compiler's time."""
    together = folder / "together.cc"
    together.write_text("".join(f'#include "{source}"\n' for source in sources))
    return compile_cxx(folder / "together.o", *flags, together, renamed=renamed)


@pytest.fixture(scope="module")
def mlperf_like(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folder of what each model became; see `save_mlperf_like_models.py`. One has weights of 4 bits."""
    folder = tmp_path_factory.mktemp("models like MLPerf's")
    script = ROOT / "tests" / "support" / "save_mlperf_like_models.py"
    subprocess.run([sys.executable, script, ROOT / "examples" / "hello_world", folder], check=True, capture_output=True)
    converted = {}
    for source in folder.glob("*.tflite"):
        converted[source.stem] = folder / source.stem
        subprocess.run(
            [sys.executable, "-m", "tflm_build", "convert", "--name", source.stem, "--src", source,
             "--embed", "array", "--out-dir", folder / source.stem, "--quiet"],
            check=True,
        )  # fmt: skip
    converted["small_cnn"] = folder / "small_cnn"
    (folder / "small_cnn.tflite").write_bytes(small_cnn())
    subprocess.run(
        [sys.executable, "-m", "tflm_build", "convert", "small_cnn.tflite", "--quantize", "int8", "--calibration",
         "random:9", "--weight-type", "int4", "--embed", "array", "--out-dir", folder / "small_cnn", "--quiet"],
        check=True, cwd=folder,
    )  # fmt: skip
    return converted


def golden_test(
    folder: Path, name: str, converted: Path, version: str = "tflite_micro", *objects: Path
) -> subprocess.CompletedProcess[str]:
    """Compile what a model became and the runtime for a version of TFLM, link the golden test, and run it."""
    sources = [converted / f"{name}{end}" for end in (".c", "_data.c", "_golden.c")]
    of_c = [
        compile_c(folder / f"{source.stem}.o", "-c", "-DTFLM_BUILD_NATIVE", f"-DTFLM_GOLDEN={name}_golden",
                  "-I", converted, source)
        for source in (*sources, RUNTIME / "src" / "model_test.c", *SOURCES)
    ]  # fmt: skip
    flags = () if version == "tflite_micro" else ("-isystem", HERE / "standins" / version)
    own = [NATIVE, converted / f"{name}_ops.cc"]
    of_cxx = compile_together(folder, own, "-O1", "-I", converted, *flags, renamed=f"-Dtflite={version}")
    return run(link(folder / name, *of_c, of_cxx, *objects))


def expect_equal(done: subprocess.CompletedProcess[str], name: str) -> None:
    """Hold what a golden test printed, and show it."""
    assert done.returncode == 0, done.stdout + done.stderr
    equal = f"{name}: \\d+ vectors: equal to TensorFlow Lite for Microcontrollers"
    assert re.fullmatch(equal + ".*\n", done.stdout)
    print(done.stdout, end="")


@pytest.mark.parametrize(
    "name", ["hello_world", "keyword_spotting", "image_classification", "anomaly_detection", "small_cnn"]
)
def test_golden_outputs(mlperf_like: dict[str, Path], name: str, tmp_path: Path) -> None:
    """Give exactly what the compiler's interpreter gave, in an arena of the size that it measured."""
    expect_equal(golden_test(tmp_path, name, mlperf_like[name]), name)


@pytest.mark.parametrize("version", ["moved", "old"])
def test_other_versions(mlperf_like: dict[str, Path], version: str, tmp_path: Path) -> None:
    """Compile for other versions of TFLM, by the stand-ins in `standins`, and run."""
    name = "image_classification"
    expect_equal(golden_test(tmp_path, name, mlperf_like[name], version), name)


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what a model with a variable became, whose first value is not zero."""
    folder = tmp_path_factory.mktemp("streaming")
    (folder / "source.tflite").write_bytes(counter(2.5))
    words: list[str | Path] = [
        "--name",
        "streaming",
        "--src",
        folder / "source.tflite",
        "--embed",
        "array",
        "--out-dir",
        folder,
    ]
    subprocess.run([sys.executable, "-m", "tflm_build", "convert", *words, "--quiet"], check=True)
    return folder


@pytest.mark.parametrize("version", ["tflite_micro", "moved", "old"])
def test_state(streaming: Path, version: str, tmp_path: Path) -> None:
    """Answer as the compiler's interpreter did, vector after vector, and again after a reset; in every layout."""
    done = golden_test(tmp_path, "streaming", streaming, version, compile_cxx(tmp_path / "variables.o", VARIABLES))
    expect_equal(done, "streaming")
    assert done.stdout.endswith(", after tflm_reset() too\n")


@pytest.mark.parametrize("backend", ["native", "host"])
def test_threads(streaming: Path, backend: str, tmp_path: Path) -> None:
    """Open sessions of one model in several threads at the same moment, under ThreadSanitizer."""
    thread = ("-g", "-O1", "-fsanitize=thread")
    native = backend == "native"
    sources = [*SOURCES, HERE / "threads.c", *(streaming / f"streaming{end}" for end in (".c", "_data.c", "_golden.c"))]
    sources += [] if native else [RUNTIME / "src" / "host.c", RUNTIME / "src" / "host_process.c"]
    defines = ["-DTFLM_GOLDEN=streaming_golden", *(["-DTFLM_BUILD_NATIVE"] if native else [])]
    objects = [
        compile_c(tmp_path / f"{source.stem}.o", "-c", *thread, *defines, "-I", streaming, source) for source in sources
    ]
    own = [NATIVE, VARIABLES, streaming / "streaming_ops.cc"]
    objects += [compile_together(tmp_path, own, *thread, "-I", streaming)] if native else []
    done = run(link(tmp_path / "threads", "-fsanitize=thread", *objects))
    assert (done.returncode, done.stdout) == (0, "0 of 4 threads failed\n"), done.stdout + done.stderr


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return one C file per tiny model, with its ops."""
    folder = tmp_path_factory.mktemp("models")
    for name, model in MODELS.items():
        (folder / f"{name}.c").write_text(c_source(model, "tiny_op_resolver"))
    return [folder / f"{name}.c" for name in MODELS]


class Programs:
    """The programs of scenarios, linked with objects that they share."""

    def __init__(self, folder: Path, models: list[Path], flags: list[str], *backend_flags: str) -> None:
        """Compile what they share."""
        self._folder, self._flags = folder, flags
        self._shared = [compile_c(folder / f"{source.stem}.o", "-c", *flags, source) for source in (*models, *SOURCES)]
        others = [HERE / "tiny_ops.cc", VARIABLES]
        if backend_flags:
            self._shared.append(compile_cxx(folder / "native backend.o", *flags, *backend_flags, NATIVE))
        else:
            others.insert(0, NATIVE)
        self._shared.append(compile_together(folder, others, *flags))

    def __getitem__(self, name: str) -> Path:
        """Return a program, compiled when it is first wanted."""
        program = self._folder / name
        if not program.exists():
            source = compile_c(self._folder / f"{name}.o", "-c", *self._flags, *DENSE_DEFINES, HERE / f"{name}.c")
            link(program, *self._flags, source, *self._shared)
        return program


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory, models: list[Path]) -> Programs:
    """Return the programs with the sanitizers; TFLM's library has none."""
    return Programs(tmp_path_factory.mktemp("sanitized"), models, SANITIZE)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, models: list[Path]) -> Programs:
    """Return the programs for valgrind, which looks into the library too."""
    return Programs(tmp_path_factory.mktemp("plain"), models, ["-g", "-O1"])


# The host backend goes through the same ones, see test_runtime.py.
COMMON = [
    ("sessions", "answers"),
    ("sessions", "several_tensors"),
    ("sessions", "wrong_sizes"),
    ("sessions", "shared_arena"),
    ("sessions", "closed"),
    ("sessions", "two_sessions"),
    ("sessions", "state"),
    ("sessions", "copied"),
    ("sessions", "same_arena"),
    ("sessions", "many_invokes"),
    ("refusals", "bad_arguments"),
    ("refusals", "bad_descriptor"),
    ("refusals", "corrupt_data"),
    ("refusals", "other_model"),
    ("refusals", "small_arena"),
    ("refusals", "small_arena_modest_descriptor"),
]
OWN = [
    ("native", name)
    for name in (
        "interleaved",
        "in_turn",
        "inside",
        "too_small",
        "no_ops",
        "other_ops",
        "not_a_model",
        "other_outputs",
        "failing_invoke",
    )
]


@pytest.mark.parametrize(("program", "scenario"), COMMON + OWN)
def test_scenario(sanitized: Programs, program: str, scenario: str) -> None:
    """Serve, and refuse, as the header promises."""
    done = run(sanitized[program], scenario)
    assert done.returncode == 0, done.stdout + done.stderr


VALGRIND = (
    "valgrind",
    "--quiet",
    "--error-exitcode=9",
    "--leak-check=full",
    "--show-leak-kinds=all",
    "--track-fds=yes",
)


@pytest.mark.parametrize(
    ("program", "scenario"),
    [
        ("sessions", "several_tensors"),
        ("sessions", "state"),
        ("sessions", "same_arena"),
        ("native", "failing_invoke"),
        ("native", "interleaved"),
        ("native", "in_turn"),
        ("native", "other_ops"),
    ],
)
def test_valgrind_finds_nothing(plain: Programs, program: str, scenario: str) -> None:
    """Read nothing that was not written, write nothing outside, and keep nothing."""
    done = run(*VALGRIND, plain[program], scenario)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mixed_static_memory(models: list[Path], tmp_path: Path) -> None:
    """Refuse, and name the macro, where TFLM was compiled with another TF_LITE_STATIC_MEMORY than the backend."""
    done = run(Programs(tmp_path, models, SANITIZE, "-DTF_LITE_STATIC_MEMORY")["native"], "mixed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("compiled with the same TF_LITE_STATIC_MEMORY?") == 4


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("no_ops", "tflm-build: dense: no ops; compile dense.c with TFLM_BUILD_NATIVE defined"),
        ("not_a_model", "tflm-build: dense: the data are not a TensorFlow Lite model of version 3"),
        ("other_outputs", "tflm-build: dense: TFLM's tensors are not those of the descriptor"),
        ("too_small", "tflm-build: dense: the arena is too small; got 16 bytes, built for 4096; build with TARGET and"),
    ],
)
def test_reasons_in_the_log(sanitized: Programs, scenario: str, words: str) -> None:
    """State why a model is refused."""
    done = run(sanitized["native"], scenario)
    assert words in done.stdout + done.stderr


@pytest.mark.parametrize("flags", [(), ("-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_STRIP_ERROR_STRINGS", "-DNDEBUG")])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_what_it_needs(compiler: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    """Compile without a warning, and want neither heap nor the C++ library: only the interpreter and its log."""
    symbols = undefined_symbols(compile_cxx(tmp_path / "native.o", "-Os", *flags, NATIVE, compiler=compiler))
    classes = (
        "GreedyMemoryPlanner",
        "MicroAllocator",
        "MicroInterpreter",
        "MicroResourceVariables",
        "SingleArenaBufferAllocator",
    )
    theirs = re.compile(rf"(non-virtual thunk to )?tflite_micro::({'|'.join(classes)})::.*")
    others = {symbol for symbol in symbols if not theirs.fullmatch(symbol)}
    allowed = {"strncmp", "_setjmp", "longjmp"}
    allowed |= set() if flags else {"MicroPrintf(char const*, ...)", "__assert_fail"}
    assert others <= allowed
