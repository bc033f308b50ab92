# SPDX-License-Identifier: Apache-2.0
"""A Bazel workspace that is built and tested as a user does it, offline."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import ROOT
from support.hand_made import Model, Op, Tensor, flatbuffer
from support.tiny_models import MODELS

SCENARIO = ROOT / "tests" / "bazel" / "workspace"
EXAMPLE = ROOT / "examples" / "fw"

# A microcontroller of the workspace.
CORTEX_M = (
    "--platforms=//board:cortex_m", "--extra_toolchains=//board:toolchain",
    "--incompatible_enable_cc_toolchain_resolution",
)  # fmt: skip

# Saved as TensorFlow itself does it; a process of its own, for tests do not import TensorFlow.
SAVE = """
import sys, tensorflow as tf
class Doubled(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def __call__(self, x):
        return x + x
tf.saved_model.save(Doubled(), sys.argv[1])
"""


@dataclass(frozen=True)
class Run:
    """What a command of Bazel did.

    Attributes:
        code: exit status.
        words: all that it printed, as one line.
        spawns: the processes that it started or took from a cache.
    """

    code: int
    words: str
    spawns: tuple[Mapping[str, Any], ...] = ()

    def runners(self, mnemonic: str = "TflmModel") -> list[str]:
        """Return what ran the actions of a kind: `worker`, `linux-sandbox`, `remote cache hit` ..."""
        return [spawn["runner"] for spawn in self.spawns if spawn["mnemonic"] == mnemonic]


@dataclass(frozen=True)
class Workspace:
    """A folder with a WORKSPACE, and where Bazel puts what it makes.

    Attributes:
        folder: the workspace.
        base: the output base: a server of its own.
        options: of every build.
    """

    folder: Path
    base: Path
    options: tuple[str, ...] = field(default=())

    def bazel(self, command: str, *words: str, check: bool = True, python: str = sys.executable) -> Run:
        """Run a command; with `check` it has to work, else it has to fail."""
        log = self.base.with_suffix(".log")
        log.unlink(missing_ok=True)
        building = command in {"build", "coverage", "test"}
        options = ["--color=no", "--curses=no", "--noshow_progress", f"--repo_env=TFLM_BUILD_PYTHON={python}"]
        if building:
            options += [
                "--symlink_prefix=/",
                "--nosandbox_debug",
                f"--execution_log_json_file={log}",
                "--test_output=errors",
                *self.options,
            ]
        result = subprocess.run(
            [*self._start(), command, *options, *words],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        assert (result.returncode == 0) == check, result.stdout
        return Run(result.returncode, " ".join(result.stdout.split()), _spawns(log) if building else ())

    def outputs(self, *options: str) -> Path:
        """Return the folder of what was built with these options."""
        found = self.bazel("info", *options, "bazel-bin").words.split()[-1]
        return Path(found)

    def emitted(self, package: str, name: str) -> dict[str, bytes]:
        """Return the files that were emitted for a model."""
        ends = (
            ".arena", ".c", ".h", ".json", ".tflite", "_data.S", "_data.c", "_golden.c", "_golden.h", "_golden.npz",
            "_ops.cc",
        )  # fmt: skip
        paths = [self.outputs(*self.options) / package / f"{name}.tflm" / f"{name}{end}" for end in ends]
        return {path.name: path.read_bytes() for path in paths if path.exists()}

    def shut_down(self) -> None:
        """End the server, and with it its workers."""
        subprocess.run([*self._start(), "shutdown"], cwd=self.folder, check=True, capture_output=True)

    def _start(self) -> list[str]:
        """Return what every command line begins with: no settings of the user, and an end if this test dies.

        Debian's own settings are needed: they say where the program's parts are.
        """
        return [
            "bazel", "--nohome_rc", "--max_idle_secs=120", "--host_jvm_args=-Xmx600m",
            f"--output_user_root={self.base.parent / 'root'}", f"--output_base={self.base}",
        ]  # fmt: skip


def _spawns(log: Path) -> tuple[Mapping[str, Any], ...]:
    """Read an execution log: objects one after the other."""
    text = log.read_text() if log.exists() else ""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        spawn, end = decoder.raw_decode(text)
        found.append(spawn)
        text = text[end:]
    return tuple(found)


@contextmanager
def served(workspace: Workspace) -> Iterator[Workspace]:
    """Yield a workspace whose server is ended afterwards, and all that it made removed."""
    try:
        yield workspace
    finally:
        workspace.shut_down()
        shutil.rmtree(workspace.base, ignore_errors=True)


def copy_models(scenario: Path, folder: Path) -> Path:
    """Copy a workspace as a second checkout; return the copy."""
    return Path(shutil.copytree(scenario, folder, symlinks=True))


def copy_scenario(folder: Path) -> Path:
    """Copy the workspace of the tests, say where the checkout is, and put models into it; return the folder."""
    shutil.copytree(SCENARIO, folder)
    for name in ("MODULE.bazel", "WORKSPACE"):
        file = folder / name
        file.write_text(file.read_text().replace("@ROOT@", str(ROOT)))
    models = folder / "models"
    shutil.copyfile(EXAMPLE / "fw" / "sine.keras", models / "sine.keras")
    shutil.copyfile(EXAMPLE / "fw" / "calibration.npz", models / "calibration.npz")
    (models / "dense.tflite").write_bytes(flatbuffer(MODELS["dense"]))
    (folder / "root.tflite").write_bytes(flatbuffer(MODELS["dense"]))
    shutil.copy(Path(sys.executable).with_name("tflm-build"), folder / "custom")
    tensors = [Tensor("x", (1, 4), "float32"), Tensor("y", (1, 4), "float32")]
    unknown = Model("unknown", tensors, [Op("MyOp", "", (0,), (1,))], (0,), (1,), 0)
    (folder / "broken" / "unknown_op.tflite").write_bytes(flatbuffer(unknown))
    saved = folder / "sources" / "saved"
    subprocess.run([sys.executable, "-c", SAVE, saved], check=True, capture_output=True)
    (saved / "not.pb").write_text("what no rule has declared")
    return folder


if __name__ == "__main__":
    copy_scenario(Path(sys.argv[1]))
