# SPDX-License-Identifier: Apache-2.0
"""One workspace and one server of Bazel for all tests of it that run in one process of pytest."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.tiny_models import MODELS
from support.workspaces import EXAMPLE, Workspace, copy_scenario, served

# Saved as TensorFlow itself does it; a process of its own, for tests do not import TensorFlow.
SAVE = """
import sys, tensorflow as tf
class Doubled(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def __call__(self, x):
        return x + x
tf.saved_model.save(Doubled(), sys.argv[1])
"""


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the workspace and put models into it."""
    folder = copy_scenario(tmp_path_factory.mktemp("bazel") / "workspace")
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


@pytest.fixture(scope="session")
def workspace(scenario: Path) -> Iterator[Workspace]:
    """Give the workspace."""
    with served(Workspace(scenario, scenario.parent / "base")) as given:
        yield given
