# SPDX-License-Identifier: Apache-2.0
"""The persistent worker, spoken to as Bazel does it, in both protocols."""

import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import HELLO_WORLD
from tflm_build.versions import all_versions

COMMAND = (sys.executable, "-c", "from tflm_build.bazel_worker.worker import main; main()", "--persistent_worker")
SINE = (
    "--src", str(HELLO_WORLD / "hello_world.keras"), "--quantize", "int8",
    "--calibration", str(HELLO_WORLD / "calibration.npz"),
)  # fmt: skip


def varint(number: int) -> bytes:
    """Write a number as protocol buffers do."""
    head = number & 0x7F
    return bytes([head]) if number < 0x80 else bytes([head | 0x80]) + varint(number >> 7)


def proto(arguments: list[str], request_id: int) -> bytes:
    """Write a request as Bazel does, with inputs and fields that the worker does not know."""
    digest = b"\x0a\x03a/b\x12\x02\xff\x00"
    message = b"".join(
        [
            *(b"\x0a" + varint(len(word.encode())) + word.encode() for word in arguments),
            b"\x12" + varint(len(digest)) + digest,
            b"\x18" + varint(request_id) if request_id else b"",
            b"\x28" + varint(300),
            b"\x71" + bytes(8),  # 14, eight bytes
            b"\x7d" + struct.pack("<f", 1.0),  # 15, four bytes
        ]
    )
    return varint(len(message)) + message


def parse(message: bytes) -> dict[str, Any]:
    """Read a response: its numbers are small, its text may be long."""
    found: dict[str, Any] = {"exitCode": 0, "output": "", "requestId": 0}
    names = {1: "exitCode", 2: "output", 3: "requestId"}

    def number(at: int) -> tuple[int, int]:
        value, shift = 0, 0
        while True:
            value |= (message[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if message[at - 1] < 0x80:
                return value, at

    at = 0
    while at < len(message):
        key, at = number(at)
        value, at = number(at)
        if key & 7 == 2:
            found[names[key >> 3]], at = message[at : at + value].decode(), at + value
        else:
            found[names[key >> 3]] = value
    return found


class Worker:
    """A worker and its pipes."""

    def __init__(self, process: subprocess.Popen[bytes], protocol: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.protocol = process, protocol
        self.sink: IO[bytes] = process.stdin
        self.source: IO[bytes] = process.stdout

    def ask(self, *arguments: str, request_id: int = 0) -> dict[str, Any]:
        """Send a request and wait for the response; JSON comes in two pieces, without a newline, as of Bazel 4."""
        if self.protocol == "proto":
            self.sink.write(proto(list(arguments), request_id))
            self.sink.flush()
            size, shift = 0, 0
            while True:
                byte = self.source.read(1)[0]
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return parse(self.source.read(size))
        message = {"arguments": arguments, "inputs": [{"path": "ä", "digest": "eA=="}]}
        text = json.dumps(message | ({"requestId": request_id} if request_id else {}), ensure_ascii=False).encode()
        middle = text.index("ä".encode()) + 1
        for piece in (text[:middle], text[middle:]):
            self.sink.write(piece)
            self.sink.flush()
            time.sleep(0.02)
        answer: dict[str, Any] = json.loads(self.source.readline())
        return {"requestId": 0} | answer


@contextmanager
def worker(protocol: str, errors: Path) -> Iterator[Worker]:
    """Yield a worker, which has to end with its input."""
    command = [*COMMAND, *(["--protocol=json"] if protocol == "json" else [])]
    with (
        errors.open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            yield Worker(process, protocol)
            process.stdin.close()  # type: ignore[union-attr]
            assert process.wait(20) == 0, errors.read_text()
        finally:
            process.kill()


def children(process: int) -> set[int]:
    """Return the processes that one has started."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def emitted(folder: Path) -> dict[str, bytes]:
    """Return all files but the depfile."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".d"}


@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_a_worker(protocol: str, hello_world: Path, tmp_path: Path) -> None:
    """It gives the bytes of a single run, loads TensorFlow once, and outlives what is wrong with a request."""
    killer = tmp_path / "killer.tflite"
    tensors = [Tensor("x", (1, 4), "int8", 0.5), Tensor("y", (1,), "int8", 0.5)]
    killer.write_bytes(flatbuffer(Model("killer", tensors, [Op("MEAN", "ReducerOptions", (0,), (1,))], (0,), (1,), 0)))
    out = tmp_path / "out"
    with worker(protocol, tmp_path / "errors") as served:
        convert = ("convert", "--quiet", "--name", "hello_world", *SINE, "--out-dir")
        assert served.ask(*convert, str(out)) == {"exitCode": 0, "output": "", "requestId": 0}
        assert emitted(out) == emitted(hello_world)
        assert not list(out.glob("*.d"))
        waiting = children(served.process.pid)
        assert len(waiting) == 2

        refused = served.ask("convert", "--name", "k", "--src", str(killer), "--out-dir", str(out), request_id=200)
        assert refused["exitCode"] == 1
        assert refused["requestId"] == 200
        assert "tflm-build: error: k: layer 'y' (MEAN): TFLM cannot run this model: " in refused["output"]
        assert "was ended by SIG" in refused["output"]
        usage = served.ask("convert", "--nmae", "m")
        assert usage["exitCode"] == 2
        assert "--nmae" in usage["output"]
        missing = served.ask("@" + str(tmp_path / "missing"))
        assert missing["exitCode"] == 1
        assert "tflm-build: error: worker: " in missing["output"]

        again = tmp_path / "again"
        arguments = tmp_path / "arguments"
        arguments.write_text("\n".join([*convert, str(again), ""]))
        assert served.ask("@" + str(arguments))["exitCode"] == 0
        assert emitted(again) == emitted(hello_world)
        assert children(served.process.pid) == waiting
    assert (tmp_path / "errors").read_text() == ""
    assert not any(Path(f"/proc/{process}").exists() for process in waiting)


def run_once(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run what a build runs without a worker."""
    command = [*COMMAND[:-1], *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_single_run_shows_errors_alone(hello_world: Path, tmp_path: Path) -> None:
    convert = ("convert", "--quiet", "--name", "m", "--src", hello_world / "hello_world.tflite")
    result = run_once(*convert, "--out-dir", tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    result = run_once(*convert, "--max-flash", "1", "--out-dir", tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("tflm-build: error: m: max_flash is exceeded")
    assert len(result.stderr.splitlines()) == 1
    result = run_once("--version")
    assert "tflm-build" in result.stderr


def test_versions_are_compared(hello_world: Path, tmp_path: Path) -> None:
    versions = tmp_path / "versions.txt"
    convert = ("convert", "--versions", versions, "--name", "m", "--src", hello_world / "hello_world.tflite")
    versions.write_text(all_versions())
    assert run_once(*convert, "--out-dir", tmp_path).returncode == 0
    versions.write_text(all_versions().replace("numpy==", "numpy==0.0."))
    result = run_once(*convert, "--out-dir", tmp_path / "none")
    assert result.returncode == 1
    assert "the Python of the toolchain has changed since Bazel looked at it; it had numpy==0.0." in result.stderr
    assert "run: bazel sync --configure" in result.stderr
    assert not (tmp_path / "none").exists()


def test_what_is_frozen() -> None:
    names = {line.partition("==")[0] for line in all_versions().splitlines()}
    assert {"flatbuffers", "keras", "numpy", "python", "tflite-micro", "tflm-build", "tflm-build-files"} <= names
    assert "/" not in all_versions()


def test_staged_files(tmp_path: Path) -> None:
    """A function finds what was staged, at its place, and nothing else that lies beside it."""
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir()
    made.mkdir()
    (source / "train.py").write_text(
        "from pathlib import Path\nimport keras\n\n"
        "def model():\n"
        "    here = Path(__file__).parent\n"
        "    assert sorted(p.name for p in here.iterdir()) == ['train.py', 'units.txt'], list(here.iterdir())\n"
        "    units = int((here / 'units.txt').read_text())\n"
        "    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(units)])\n"
    )
    (source / "other.txt").write_text("not staged")
    (made / "units.txt").write_text("2")
    result = run_once(
        "convert", "--name", "m", "--src", "{stage}/pkg/train.py:model", "--out-dir", tmp_path / "out",
        "--stage", source / "train.py", "pkg/train.py", "--stage", made / "units.txt", "pkg/units.txt",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert b"tflm-build-" not in (tmp_path / "out" / "m.json").read_bytes()
