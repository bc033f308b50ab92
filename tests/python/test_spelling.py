# SPDX-License-Identifier: Apache-2.0
"""Options in messages, as their user spells them."""

from pathlib import Path

import pytest

from support.interpreters import Run
from tflm_build.errors import TflmBuildError
from tflm_build.spelling import CALLER, spell


@pytest.mark.parametrize(("caller", "text"), [
    ("command", "--quantize int8 needs --test-data; got 'QUANTIZE'"),
    ("cmake", "QUANTIZE int8 needs TEST_DATA; got 'QUANTIZE'"),
    ("bazel", "quantize int8 needs test_data; got 'QUANTIZE'"),
])  # fmt: skip
def test_each_caller_has_its_spelling(caller: str, text: str) -> None:
    assert spell("`QUANTIZE` int8 needs `TEST_DATA`; got 'QUANTIZE'", caller) == text


@pytest.mark.parametrize(("command", "who"), [
    (("convert", "m.h"), "m: MODEL"),
    (("convert", "--name", "m", "--src", "m.h", "--out-dir", "m"), "m: --src"),
    (("inspect", "m.h"), "m.h: MODEL"),
    (("diff", "m.h", "n.h"), "m.h: BEFORE"),
])  # fmt: skip
def test_a_source_is_called_as_the_command_calls_it(command: tuple[str, ...], who: str, tflm_build: Run) -> None:
    assert f"tflm-build: error: {who} got 'm.h'; allowed: .keras, .h5, " in tflm_build(*command).stderr


def test_an_error_that_is_passed_on_keeps_its_marks() -> None:
    error = TflmBuildError("`SRC` got 'm.onnx'")
    again = TflmBuildError(f"layer 'a': {error.marked}")
    assert (str(again), again.marked) == ("layer 'a': SRC got 'm.onnx'", "layer 'a': `SRC` got 'm.onnx'")


@pytest.mark.parametrize(("caller", "option"), [
    ("", "--max-flash"), ("cmake", "MAX_FLASH"), ("bazel", "max_flash"), ("unknown", "--max-flash"),
])  # fmt: skip
def test_the_command_spells_for_its_caller(
    caller: str, option: str, tflm_build: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CALLER, caller)
    values = ("--name", "m", "--src", "m.tflite", "--out-dir", tmp_path)
    result = tflm_build("convert", *values, "--max-flash", "much")
    apart = "\n" if caller == "cmake" else ""  # from the command that CMake's generators print
    assert result.stderr.startswith(f"{apart}tflm-build: error: m: {option} got 'much'; allowed: a whole number")
