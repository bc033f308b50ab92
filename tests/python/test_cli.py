# SPDX-License-Identifier: Apache-2.0
"""The command as a process: what goes to which stream, and how it ends."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tflm_build as package
from support import ROOT
from support.interpreters import Run
from support.terminal import read_to_end
from tflm_build.cli import _EMITTED
from tflm_build.command_options import GROUPS
from tflm_build.manifest.schema import EMITTED


def test_help_needs_neither_tensorflow_nor_numpy(tflm_build: Run, tmp_path: Path) -> None:
    for module in ("tensorflow", "numpy", "ai_edge_litert", "tflite_micro", "elftools", "rich"):
        (tmp_path / f"{module}.py").write_text("import os; os._exit(77)\n")
    result = tflm_build("--help", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    assert "convert" in result.stdout


def test_version_and_cmake_dir(tflm_build: Run) -> None:
    assert tflm_build("--version").stdout == f"tflm-build, version {package.__version__}\n"
    folder = Path(tflm_build("--cmake-dir").stdout.strip())
    assert (folder / "tflm_build-config.cmake").samefile(ROOT / "cmake" / "tflm_build-config.cmake")


def test_only_the_summary_goes_to_standard_output(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("convert", "--name", "cnn", "--src", cnn / "cnn.tflite", "--out-dir", tmp_path)
    first, *others = result.stdout.splitlines()
    assert re.fullmatch(r"cnn: int8, [\d,]+ B of flash, [\d,]+ B of arena, [\d,]+ MACs", first)
    assert [line.split()[0] for line in others] == ["arena", "peak", "proof", "ops"]
    lines = result.stderr.splitlines()
    assert lines[0] == "tflm-build: cnn: reading"
    assert all(line.startswith("tflm-build: cnn: ") for line in lines)


def test_quiet_says_nothing_but_the_summary(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("convert", "--name", "cnn", "--src", cnn / "cnn.tflite", "--out-dir", tmp_path, "--quiet")
    assert (result.stderr, result.stdout.count("\n")) == ("", 5)


def test_a_terminal_gets_a_bar(cnn: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tflm_build", "convert", "--name", "cnn", "--src", str(cnn / "cnn.tflite")]
    with subprocess.Popen(
        [*command, "--out-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        shown = read_to_end(ours)
        output = process.stdout.read() if process.stdout else b""
    assert process.returncode == 0
    assert output.startswith(b"cnn: ")
    assert "━".encode() in shown
    assert b"cnn: measuring the arena" in shown


def test_wrong_usage_is_exit_2(tflm_build: Run) -> None:
    result = tflm_build("convert", "--nmae", "x")
    assert result.returncode == 2
    assert "--name" in result.stderr


def test_verbose_shows_where_it_happened(tflm_build: Run, tmp_path: Path) -> None:
    arguments = ["convert", "--name", "m", "--src", str(tmp_path / "no.tflite"), "--out-dir", str(tmp_path / "out")]
    assert "Traceback" not in tflm_build(*arguments).stderr
    assert "read_source" in tflm_build(*arguments, "--verbose").stderr


def test_a_folder_that_cannot_be_written_to(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "out"
    result = tflm_build("convert", "--name", "cnn", "--src", cnn / "cnn.tflite", "--out-dir", out, "--quiet")
    assert result.returncode == 1
    assert "cannot be written to: Not a directory; choose another folder" in result.stderr


def test_a_folder_that_no_dependency_file_can_name(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    out = tmp_path / "o\nut"
    result = tflm_build("convert", "--name", "cnn", "--src", cnn / "cnn.tflite", "--out-dir", out, "--quiet")
    assert result.returncode == 1
    assert "o\\nut' has a line break or tab in its name, which no dependency file can carry" in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(("emit", "end"), [("data", "_data.c"), ("header", ".h"), ("manifest", ".json")])
def test_one_file_alone_has_the_bytes_that_it_has_among_all(
    emit: str, end: str, cnn: Path, keras_models: Path, tflm_build: Run, tmp_path: Path
) -> None:
    result = tflm_build(
        "convert", "--name", "cnn", "--src", keras_models / "cnn.keras", "--quantize", "int8", "--calibration",
        "random:20", "--emit", emit, "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (path,) = tmp_path.iterdir()
    assert path.name == f"cnn{end}"
    assert path.read_bytes() == (cnn / path.name).read_bytes()


def test_the_data_alone_is_a_better_xxd(cnn: Path, tmp_path: Path) -> None:
    """It compiles without any other file, const and aligned, with its length."""
    (tmp_path / "main.c").write_text(
        "#include <stdio.h>\n#include <stdint.h>\n"
        "extern const unsigned char cnn_data[]; extern const size_t cnn_data_len;\n"
        'int main(void) { printf("%d ", (int)((uintptr_t)cnn_data % 16));'
        " return fwrite(cnn_data, 1, cnn_data_len, stdout) != cnn_data_len; }\n"
    )
    for compiler, language in (("gcc", "c"), ("g++", "c++")):
        subprocess.run(
            [compiler, "-Wall", "-Wextra", "-Werror", "-x", language, cnn / "cnn_data.c", "-c", "-o", tmp_path / "d.o"],
            check=True,
        )
        subprocess.run(["gcc", tmp_path / "main.c", tmp_path / "d.o", "-o", tmp_path / "program"], check=True)
        output = subprocess.run([tmp_path / "program"], capture_output=True, check=True).stdout
        assert output == b"0 " + (cnn / "cnn.tflite").read_bytes()
        sections = subprocess.run(["nm", tmp_path / "d.o"], capture_output=True, text=True, check=True).stdout
        assert re.search(r" R cnn_data$", sections, re.MULTILINE)  # read-only


def test_an_unknown_file(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("convert", "--name", "m", "--src", cnn / "cnn.tflite", "--emit", "bits", "--out-dir", tmp_path)
    assert result.returncode == 2
    assert all(f"'{name}'" in result.stderr for name in EMITTED)
    assert tuple(EMITTED) == _EMITTED


def test_a_file_that_embed_does_not_make(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    arguments = ("--src", cnn / "cnn.tflite", "--embed", "array", "--emit", "assembly", "--out-dir", tmp_path / "out")
    result = tflm_build("convert", "--name", "m", *arguments)
    assert result.returncode == 1
    message = "--emit got 'assembly', which --embed array does not make; leave --embed out"
    assert result.stderr == f"tflm-build: error: m: {message}\n"  # before any work: no stage is told
    assert not (tmp_path / "out").exists()


def test_a_command_without_what_it_needs_is_wrong_usage(tflm_build: Run) -> None:
    for command in ("diff", "inspect", "report", "size", "vendor", "verify"):
        result = tflm_build(command)
        assert (result.returncode, "Error: Missing" in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize(("words", "message"), [
    ((), "pass MODEL, or --src with --name and --out-dir"),
    (("a.keras", "--src", "b.keras"), "pass MODEL, or --src with --name and --out-dir"),
    (("--src", "a.keras", "--out-dir", "out"), "--src needs --name"),
    (("--src", "a.keras", "--name", "a"), "--src needs --out-dir"),
])  # fmt: skip
def test_what_convert_needs_is_said_in_one_line(words: tuple[str, ...], message: str, tflm_build: Run) -> None:
    result = tflm_build("convert", *words)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == f"Error: {message}"


def test_a_model_alone_gets_its_name_and_folder_from_the_file(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    model = tmp_path / "a model-2.tflite"
    shutil.copyfile(cnn / "cnn.tflite", model)
    result = tflm_build("convert", str(model), "--quiet")
    assert result.stdout.startswith("a_model_2: ")
    assert result.stdout.endswith(f"  files  {tmp_path / 'a_model_2.tflm'}\n")
    assert (tmp_path / "a_model_2.tflm" / "a_model_2.h").exists()


def test_the_help_shows_options_in_groups(tflm_build: Run) -> None:
    shown = tflm_build("convert", "--help").stdout
    headings = re.findall(r"^(\w.*):$", shown, re.MULTILINE)
    assert headings == list(GROUPS.values())
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.index("Budgets:") < shown.index("  --max-flash ") < shown.index("What is emitted:")
    for group in ((), ("export",)):
        commands = tflm_build(*group, "--help").stdout.partition("Commands:")[2]
        assert commands.strip()
        assert "..." not in commands


@pytest.mark.parametrize(("words", "completed"), [
    ("tflm-build con", ["plain,convert"]),
    ("tflm-build convert --quantize int", ["plain,int8", "plain,int16x8"]),
    ("tflm-build convert --emit golden-a", ["plain,golden-arrays"]),
    ("tflm-build convert --calibration da", ["file,da"]),
    ("tflm-build convert mo", ["file,mo"]),
])  # fmt: skip
def test_a_shell_completes(words: str, completed: list[str]) -> None:
    command = [Path(sys.executable).with_name("tflm-build")]
    variables = {"_TFLM_BUILD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    result = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == completed


@pytest.mark.parametrize(("command", "who"), [
    (("report", "."), "."),
    (("inspect", "."), "."),
    (("size", ".."), ".."),
    (("diff", ".", "."), "."),
    (("verify", "/", "--model", "m"), "/"),
    (("convert", "--name", "", "--src", "m.tflite", "--out-dir", "out"), "convert"),
])  # fmt: skip
def test_an_error_always_says_who(command: tuple[str, ...], who: str, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build(*command, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"tflm-build: error: {who}: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_goes_on_when_the_command_is_ended(number: signal.Signals, keras_models: Path, tmp_path: Path) -> None:
    source = str(keras_models / "cnn.keras")
    command = [
        sys.executable,
        "-m",
        "tflm_build",
        "convert",
        "--name",
        "m",
        "--src",
        source,
        "--out-dir",
        str(tmp_path),
    ]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 60
        while not (started := children.read_text().split()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert started  # and not even done with its imports
        process.send_signal(number)
    for _ in range(100):
        if not any(alive(child) for child in started):
            return
        time.sleep(0.1)
    pytest.fail("a child goes on")


def alive(process: str) -> bool:
    """Say whether a process is there and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
