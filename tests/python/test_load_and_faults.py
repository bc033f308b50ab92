# SPDX-License-Identifier: Apache-2.0
"""Many builds at once, builds that are killed or interrupted, and files that change meanwhile."""

import os
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.interpreters import HELLO_WORLD, Run
from tflm_build.own_folder import own_folder

PATTERNS = HELLO_WORLD.parent / "cortex_m_qemu" / "patterns.tflite"
COMMAND = (sys.executable, "-m", "tflm_build", "convert", "--name", "m", "--quiet")
SLOW = """
import os, time
from pathlib import Path
def model():
    Path("started").write_text(str(os.getpid()))
    time.sleep(60)
"""


def wait_for(file: Path) -> None:
    """Wait for a process to write a file."""
    for _ in range(600):
        if file.exists() and file.read_text():
            return
        time.sleep(0.1)
    pytest.fail(f"{file.name} was never written")


def is_gone(process: int) -> bool:
    """Say whether a process has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_twelve_models_into_one_folder_at_once(tflm_build: Run, tmp_path: Path) -> None:
    def convert(number: int) -> subprocess.CompletedProcess[str]:
        return tflm_build(
            "convert", "--quiet", "--name", f"m{number}", "--src", PATTERNS, "--out-dir", tmp_path / "out"
        )

    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(convert, range(12)))
    assert [result.stderr for result in results if result.returncode] == []
    assert len(list((tmp_path / "out").glob("m*.json"))) == 12
    assert not list((tmp_path / "out").glob(".tflm-build-*"))


def test_only_the_folders_of_the_dead_are_swept(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tflm_build.own_folder import own_folder\n"
        "with own_folder(Path(sys.argv[1]), 'own-') as folder:\n"
        "    (folder / 'file').write_text('x'); print(folder, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        left = Path(owner.stdout.readline().strip())
        with own_folder(tmp_path, "own-") as mine:
            assert left.is_dir()
            assert mine != left
        owner.kill()
        owner.wait()
        assert left.is_dir()
        with own_folder(tmp_path, "own-"):
            assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_replaced_meanwhile_is_newer_than_what_was_made_of_it(tmp_path: Path) -> None:
    source, out = tmp_path / "model.py", tmp_path / "out"
    lines = ("import keras, os", "def model():", f"    os.utime({str(source)!r})", "    return keras.Sequential([")
    source.write_text("\n".join([*lines, "        keras.Input((2,)), keras.layers.Dense(1)])"]))
    subprocess.run([*COMMAND, "--src", f"{source}:model", "--out-dir", out], check=True)
    assert all(file.stat().st_mtime_ns < source.stat().st_mtime_ns for file in out.iterdir())


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_work(tflm_build: Run, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    source = tmp_path / "model.py"
    source.write_text("from pathlib import Path\ndef model():\n    Path('ran').touch()\n")
    result = tflm_build("convert", "--name", "m", "--src", f"{source}:model", "--out-dir", tmp_path / "out")
    assert result.returncode == 1
    assert "cannot be written to" in result.stderr
    assert "reading" not in result.stderr


def test_a_full_folder_for_temporary_files_is_one_line(tmp_path: Path) -> None:
    convert = shlex.join([*COMMAND, "--src", str(PATTERNS), "--out-dir", str(tmp_path / "out")])
    command = f"ulimit -f 1; exec {convert}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "cannot be written to: File too large; make room" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list((tmp_path / "out").glob("m*"))


@pytest.mark.parametrize("delay", [0.6, 1.5, 3.0])
def test_an_interrupt_is_one_line(tmp_path: Path, delay: float) -> None:
    source = tmp_path / "model.py"
    source.write_text("import time\ndef model():\n    time.sleep(60)\n")
    command = [*COMMAND, "--src", f"{source}:model", "--out-dir", str(tmp_path / "out")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGINT
    assert said == "tflm-build: error: interrupted\n"


def test_what_a_killed_build_started_ends(tmp_path: Path) -> None:
    source = tmp_path / "model.py"
    source.write_text(SLOW.replace('"started"', repr(str(tmp_path / "started"))))
    words = [*COMMAND, "--src", f"{source}:model", "--out-dir", str(tmp_path / "out")]
    convert = f"TFLM_BUILD_CALLER=cmake {shlex.join(words)}"
    (tmp_path / "build.ninja").write_text(f"rule convert\n  command = {convert} && true\nbuild m: convert\n")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(["ninja", "-C", tmp_path], stdout=subprocess.DEVNULL, env=environment) as ninja:
        wait_for(tmp_path / "started")
        ninja.kill()
        ninja.wait()
        time.sleep(2)
    assert is_gone(int((tmp_path / "started").read_text()))
    assert not list(tmp_path.glob("tflm-build-*"))


def test_names_that_cannot_be_printed(tflm_build: Run, tmp_path: Path) -> None:
    """Generated files have the name alone: a file that is not printable is refused, one in such a folder is not."""
    folder = tmp_path / os.fsdecode(b"a\xff\xc2\xa0")
    folder.mkdir()
    (folder / "m.tflite").write_bytes(PATTERNS.read_bytes())
    (folder / os.fsdecode(b"\xff.npz")).write_bytes(PATTERNS.with_suffix(".npz").read_bytes())
    command = ("convert", "--quiet", "--name", "m", "--src", folder / "m.tflite", "--out-dir", folder / "out")
    result = tflm_build(*command, "--test-data", folder / os.fsdecode(b"\xff.npz"))
    assert "--test-data got '\\udcff.npz'; allowed: a printable name" in result.stderr
    result = tflm_build(*command)
    assert result.returncode == 0, result.stderr
    assert [file.readlink() for file in (folder / "out").glob("m.d.*")] == [folder / "m.tflite"]
    assert b"/out/m.json: " in (folder / "out" / "m.d").read_bytes()
