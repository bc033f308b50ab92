# SPDX-License-Identifier: Apache-2.0
"""The table of Keras' layers: that `tflm-build ops` prints it, and that a sample of it is true."""

import json
import subprocess
import sys

import pytest

from support import ROOT
from support.interpreters import Run
from tflm_build.describe.keras_layers import keras_layers
from tflm_build.model.ops import kernels

SAMPLE = ("AveragePooling3D", "RepeatVector")


def test_each_row_is_built_in_ops_of_tflm_or_says_why_not() -> None:
    rows = keras_layers()
    assert [row.layer for row in rows] == sorted({row.layer for row in rows})
    for row in rows:
        answers = {row.float32, row.int8, row.int16x8}
        assert answers <= {"built", "refused"} or answers == {"-"}, row
        assert bool(row.refusal) == ("refused" in answers), row
        if "built" in answers and row.becomes != "nothing of its own":
            assert set(row.becomes.split(", ")) <= kernels().keys(), row
        assert "site-packages" not in row.refusal


def test_a_sample_of_the_table_is_what_this_version_builds() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "keras_layers.py"), "--check", *SAMPLE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ops_prints_all_layers_and_how_many_build(tflm_build: Run) -> None:
    result = tflm_build("ops")
    assert result.returncode == 0, result.stderr
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["layer", "float32", "int8", "int16x8", "becomes"]
    tried = [row for row in keras_layers() if row.float32 != "-"]
    (total,) = (line for line in lines if line.startswith("built "))
    built = sum(row.int8 == "built" for row in tried)
    assert f"  {built} of {len(tried)}  " in total
    assert [line.split(" ")[0] for line in lines[: len(keras_layers())]] == [row.layer for row in keras_layers()]
    assert "AveragePooling3D: TensorFlow cannot convert this model: 'tf.AvgPool3D' op is neither" in result.stdout


def test_ops_of_one_layer(tflm_build: Run) -> None:
    lines = tflm_build("ops", "UpSampling2D").stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [["UpSampling2D", *["built"] * 3, "RESIZE_NEAREST_NEIGHBOR"]]
    (row,) = json.loads(tflm_build("ops", "Conv3D", "--json").stdout)
    assert (row["layer"], row["float32"], "CONV_3D" in row["refusal"]) == ("Conv3D", "refused", True)


@pytest.mark.parametrize(("name", "near"), [("Conv2d", "Conv2D"), ("MaxPool2D", "MaxPooling2D")])
def test_a_layer_that_keras_lacks_is_an_error(name: str, near: str, tflm_build: Run) -> None:
    result = tflm_build("ops", name)
    words = f"the table has no layer '{name}'; allowed: a class of keras.layers, as {near}; ops lists all"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"tflm-build: error: ops: {words}\n")
