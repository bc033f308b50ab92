# SPDX-License-Identifier: Apache-2.0
"""Models that keep state: counted, converted by the road that keeps it, and compared as one sequence."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from support import ROOT
from support.every_kind import MODELS, counter
from support.interpreters import Run, read_manifest
from tflm_build.model.state import find_state
from tflm_build.model.values import State, Tensor
from tflm_build.passes.canonical import canonicalize
from tflm_build.source.samples import Bound, choose
from tflm_build.stages.golden import golden_inputs

FRAMES = np.random.RandomState(2).uniform(-1, 1, (40, 1, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("variable", State(16, 1, ())),
        ("svdf", State(160, 0, ())),
        ("lstm", State(24, 0, ())),
        ("dense", State(0, 0, ())),
        ("while", State(0, 0, ())),
    ],
)
def test_state_is_counted(name: str, state: State) -> None:
    assert find_state(canonicalize(MODELS[name]()).graph) == state
    assert state.kept == (state.bytes > 0)


def test_state_that_kernels_keep_is_named() -> None:
    state = State(0, 0, ("SignalDelay",))
    assert state.kept
    assert state.words == "what SignalDelay keep"
    assert State(1120, 4, ()).words == "1,120 B in 4 variables"
    both = State(16, 1, ("SignalDelay", "SignalFramer"))
    assert both.words == "16 B in 1 variable, and what SignalDelay, SignalFramer keep"


def test_a_sequence_keeps_its_order_and_has_nothing_between_samples() -> None:
    data = Bound((np.arange(40, dtype=np.float32).reshape(40, 1),), None, ())

    def chosen(*given: Bound | None, in_order: bool) -> list[int]:
        bound = choose(*given, macs=1, in_order=in_order)
        return bound.arrays[0].ravel().astype(int).tolist() if bound else []

    assert chosen(data, None, in_order=True) == list(range(40))
    assert chosen(None, data, in_order=True) == list(range(16))
    assert chosen(data, None, in_order=False) != list(range(40))
    tensor = Tensor("x", "float32", (1,), 0.0, 0)
    golden = golden_inputs([tensor], data.arrays, sequence=True)
    assert np.concatenate([golden.arrays[0], golden.further[0]]).ravel().tolist() == list(range(40))
    assert (golden.count, golden.from_data) == (16, 16)
    assert golden_inputs([tensor], data.arrays).count == 19
    assert golden_inputs([tensor], None, sequence=True).count == 19


@pytest.fixture(scope="module")
def counted(tflm_build: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert a model with a variable, without TensorFlow: its folder."""
    folder = tmp_path_factory.mktemp("counted")
    (folder / "source.tflite").write_bytes(counter(2.5))
    result = tflm_build(
        "convert", "--name", "counted", "--src", folder / "source.tflite", "--out-dir", folder, "--report"
    )
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr
    (folder / "summary.txt").write_text(result.stdout)
    return folder


def test_what_is_emitted_says_what_is_kept(counted: Path, tflm_build: Run) -> None:
    manifest = read_manifest(counted)
    assert manifest["state"] == {"bytes": 16, "variables": 1, "kernels": []}
    assert "  state  16 B in 1 variable\n" in (counted / "summary.txt").read_text()
    header = (counted / "counted.h").read_text()
    assert "State, kept in the arena from one run to the next: 16 B in 1 variable. tflm_reset()" in header
    assert "#define COUNTED_STATE_BYTES 16u\n" in header
    assert "    COUNTED_STATE_BYTES,\n    1u, /* resource variables */\n" in (counted / "counted.c").read_text()
    assert "one sequence, from the first state on" in (counted / "counted_golden.h").read_text()
    assert "16 B of it are state, which a run leaves for the next one" in (counted / "counted.html").read_text()
    assert all(layer["live_bytes"] is not None for layer in manifest["layers"])
    assert all(layer["difference"] == 0 for layer in manifest["proof"]["layers"])
    shown = tflm_build("inspect", counted / "counted.json").stdout
    assert "  state   16 B in 1 variable, kept from one run to the next\n" in shown
    assert "?" not in shown
    assert tflm_build("inspect", counted / "source.tflite").stdout.splitlines()[2] == shown.splitlines()[3]
    golden = np.load(counted / "counted_golden.npz")
    assert np.allclose(golden["output_0"], 2.5 + np.cumsum(golden["input_0"], axis=0), atol=1e-5)


def test_a_linked_image_is_run_as_a_sequence(counted: Path, tflm_build: Run, tmp_path: Path) -> None:
    main = tmp_path / "main.c"
    main.write_text(
        '#include "counted.h"\n#include "tflm_build/model.h"\n'
        "int main(void) { return (int)tflm_check(&counted_model, TFLM_CHECK_DATA); }\n"
    )
    runtime = ROOT / "runtime"
    sources = [main, counted / "counted.c", counted / "counted_data.c", runtime / "src" / "check.c"]
    folders: list[str | Path] = ["-I", counted, "-I", runtime / "include"]
    subprocess.run(["gcc", "-o", tmp_path / "program", *folders, *sources], check=True)
    done = tflm_build("verify", tmp_path / "program", "--model", counted / "counted.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("read-only, right in a sequence of 19 vectors on TFLM\n")


def test_a_model_of_tensorflow_keeps_its_state(tflm_build: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "frames.npz", frame=FRAMES)
    source = ROOT / "tests" / "support" / "streaming.py"
    result = tflm_build(
        "convert", "--name", "streaming", "--src", f"{source}:streaming", "--quantize", "int8", "--calibration",
        tmp_path / "frames.npz", "--test-data", tmp_path / "frames.npz", "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr
    manifest = read_manifest(tmp_path)
    assert manifest["state"] == {"bytes": 32, "variables": 1, "kernels": []}
    assert [tensor["name"] for tensor in manifest["outputs"]] == ["scores", "newest"]
    # Every sample of the sequence is compared, and the first ones begin with the state that the model has at first.
    assert manifest["accuracy"]["samples"] == 40
    assert min(manifest["accuracy"]["sqnr_db"]) > 30
    assert manifest["golden"]["vectors"] == manifest["golden"]["from_data"] == 16
    golden, scale = np.load(tmp_path / "streaming_golden.npz"), manifest["inputs"][0]["scale"]
    assert np.abs(golden["input_0"].reshape(16, 1, 8) * scale - FRAMES[:16]).max() < 2 * scale


def test_a_stateful_layer_of_keras_keeps_its_state(tflm_build: Run, keras_models: Path, tmp_path: Path) -> None:
    sequences = np.random.RandomState(3).uniform(-1, 1, (40, 3, 4)).astype(np.float32)
    np.savez(tmp_path / "sequences.npz", sequence=sequences)
    result = tflm_build(
        "convert", "--name", "stateful", "--src", keras_models / "stateful.keras", "--test-data",
        tmp_path / "sequences.npz", "--out-dir", tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path)
    assert manifest["state"]["bytes"] == 40
    assert manifest["accuracy"]["samples"] == 40
    assert manifest["accuracy"]["sqnr_db"][0] is None or manifest["accuracy"]["sqnr_db"][0] > 100
