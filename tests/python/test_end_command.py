# SPDX-License-Identifier: Apache-2.0
"""What an error line says, and how much of it."""

import pytest

from tflm_build.end_command import print_error
from tflm_build.errors import first_line


def test_a_long_error_keeps_what_went_wrong_and_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    message = "SRC is bad: " + "x" * 1000 + "; save it again"
    print_error("m", message)
    print_error("m", message, whole=True)
    short, whole = capsys.readouterr().err.splitlines()
    assert len(short) <= 500
    assert short.startswith("tflm-build: error: m: SRC is bad: x")
    assert short.endswith("x; save it again")
    assert whole == f"tflm-build: error: m: {message}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("plain\nmore", "plain"),
        ("Exception encountered when calling X.\n\n\x1b[1m'a b' is no name.\x1b[0m\n\nArgs", "'a b' is no name."),
        ("<class X> could not be deserialized\n\nconfig={}.\n\nException encountered: bad units", "bad units"),
        ("", "no reason given"),
    ],
)  # fmt: skip
def test_the_reason_that_keras_wraps_is_told(text: str, reason: str) -> None:
    assert first_line(ValueError(text)) == f"ValueError: {reason}"
