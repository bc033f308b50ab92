# SPDX-License-Identifier: Apache-2.0
"""The command as a process: what goes to which stream, and how it ends."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from interpreters import ROOT, Run

import tflm_build as package


def test_help_needs_neither_tensorflow_nor_numpy(tflm_build: Run, tmp_path: Path) -> None:
    for module in ("tensorflow", "numpy", "ai_edge_litert", "tflite_micro", "rich"):
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
    assert result.stdout.count("\n") == 1
    assert result.stdout.startswith("cnn: ")
    lines = result.stderr.splitlines()
    assert lines[0] == "tflm-build: cnn: reading"
    assert all(line.startswith("tflm-build: cnn: ") for line in lines)


def test_quiet_says_nothing_but_the_summary(cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    result = tflm_build("convert", "--name", "cnn", "--src", cnn / "cnn.tflite", "--out-dir", tmp_path, "--quiet")
    assert (result.stderr, result.stdout.count("\n")) == ("", 1)


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
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # Linux reports the end of a terminal so
                break
            if not chunk:
                break
            shown += chunk
        output = process.stdout.read() if process.stdout else b""
    os.close(ours)
    assert process.returncode == 0
    assert output.startswith(b"cnn: ")
    assert "━".encode() in shown
    assert b"cnn: measuring on TensorFlow Lite for Microcontrollers" in shown


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
