# SPDX-License-Identifier: Apache-2.0
"""The page of errors has every message of the sources, and no other."""

import re
from collections import Counter

import pytest

from support import ROOT
from support.messages import MAKES_ERROR, YIELD_FAULTS, messages, sites

PAGE = ROOT / "docs" / "reference" / "errors.md"
ENTRY = re.compile(r"^- `(.+)`\n\n((?:  \S.*\n)+)", re.MULTILINE)


def test_the_page_has_every_message_and_no_other() -> None:
    known = messages()
    told = [message for message, _ in ENTRY.findall(PAGE.read_text("utf-8"))]
    # What a call that works says is no error.
    known.pop("The call succeeded")
    missing = [f"{where}: {message}" for message, where in known.items() if message not in told]
    assert not missing, "not in docs/reference/errors.md:\n" + "\n".join(missing)
    gone = [message for message in told if message not in known]
    assert not gone, "docs/reference/errors.md has what no source says:\n" + "\n".join(gone)
    assert len(told) == len(set(told))


def test_each_entry_says_more_than_the_message() -> None:
    entries = ENTRY.findall(PAGE.read_text("utf-8"))
    assert len(entries) == PAGE.read_text("utf-8").count("\n- `")
    assert all(len(words.split()) >= 3 for _, words in entries)


def test_no_place_that_makes_an_error_is_overlooked() -> None:
    """Count the calls in the text, and the places that pass on what another one says."""
    calls = {
        "python/tflm_build/**/*.py": rf"(?<!class )(?<!def )\b(?:{MAKES_ERROR})\(",
        "cmake/**/*.cmake": r'(?<!function\()\b_tflm_build_error\(|FATAL_ERROR(?! "tflm-build: error: \$\{name\}: )',
        "bazel/**/*.bzl": r'\bfail\(|\serror = "',
    }
    for pattern, call in calls.items():
        for path in ROOT.glob(pattern):
            name = f"{path.relative_to(ROOT)}"
            found = len({where for where, _ in sites() if where.startswith(f"{name}:")})
            made = len(re.findall(call, path.read_text("utf-8")))
            assert found > made if name.removeprefix("python/tflm_build/") in YIELD_FAULTS else found == made, name
    assert Counter(where.rpartition(":")[0] for where, text in sites() if text == "…") == {
        "bazel/private/image_test.bzl": 1,
        "bazel/private/model.bzl": 1,
        "cmake/private/Arguments.cmake": 1,
        "python/tflm_build/child/run.py": 1,
        "python/tflm_build/host.py": 2,
    }


@pytest.mark.parametrize("message", [
    "QUANTIZE … needs CALIBRATION data; got none; pass an .npz with one array per input",
    "the model at 0x… has no … B in the image file; put it into a section that is loaded and not filled with zeros",
    "--… needs --target, such as cortex-m4@80MHz",
    "EMBED incbin needs an assembler that has .incbin; got …, which has none; leave EMBED out, or pass EMBED array",
    "calibration got both calibration and calibration_random; pass one of them",
    "The arena is too small for the model here; TARGET and KERNELS of the build decide its size",
    "host backend: …: …; set TFLM_BUILD_PYTHON in the environment to a Python that has tflm-build[host]",
    "the arena is too small for the model; got … bytes; pass a larger one, or build for this host",
    "…: no golden vectors; generate them with at least one",
])  # fmt: skip
def test_the_collector_reads_every_language(message: str) -> None:
    assert message in messages()
