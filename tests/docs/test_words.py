# SPDX-License-Identifier: Apache-2.0
"""One name for a thing: no text for users calls it by another; docs/reference/words.md has the names."""

import re
from pathlib import Path

import pytest

from support import ROOT
from support.blocks import PAGES
from support.messages import messages

# Another name, as a pattern, and the name of the thing.
OTHERS = {
    r"test vectors": "golden vectors",
    r"golden (answers?|results?|test vectors)": "golden vectors, golden outputs",
    r"representative (data\b|samples)": "calibration data",
    r"calibration (set|dataset|inputs)\b": "calibration data",
    r"generated (code|files?|sources?|headers?)\b": "emitted",
    r"ops? registration|registration of (the )?ops": "op resolver",
    r"op(erator)? codes?\b": "op",
    r"(one|each|an|of the) (invocation|inference)\b": "run",
    r"tensor arena|working memory|scratch buffer": "arena",
    r"(write|print|make)s? a page about": "report",
    r"helpers that (de)?quantize": "functions that quantize",
    r"original model|unquantized model|fp32": "float model, float32",
    r"microcontroller unit|\bmcu\b": "chip",
    r"test harness|test runner": "golden test",
    r"(flash|memory|ram|size) (quota|cap)\b": "budget",
}
# Where a thing's other names are told, or belong to others.
TOLD = {"docs/reference/words.md", "docs/inside.md"}

TEXTS = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    ROOT / "cmake" / "TflmBuild.cmake",
    *sorted((ROOT / "bazel").rglob("*.bzl")),
    *sorted((ROOT / "examples").rglob("README.md")),
    *sorted((ROOT / "runtime" / "include").rglob("*.h")),
    *(ROOT / "python" / "tflm_build" / name for name in ("cli.py", "export_commands.py", "options.py")),
    *sorted((ROOT / "python" / "tflm_build").glob("*/templates/*")),
    *sorted((ROOT / "cmake" / "private").iterdir()),
]


def other_names(text: str) -> list[str]:
    """Return the other names in a text, with the name of each thing."""
    plain = re.sub(r"\s+(?:[*#] )?", " ", text)
    found = ((re.search(rf"\b(?:{other})", plain, re.IGNORECASE), name) for other, name in OTHERS.items())
    return [f"{match[0]}: call it {name}" for match, name in found if match]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_name_for_a_thing(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name not in TOLD:
        assert other_names(path.read_text("utf-8")) == []


def test_messages_have_one_name_for_a_thing() -> None:
    said = messages()
    assert len(said) > 200
    assert [(said[text], *names) for text in said if (names := other_names(text))] == []


def test_another_name_is_found_across_lines() -> None:
    assert other_names("its test\nvectors") == ["test vectors: call it golden vectors"]
    assert other_names("the golden test of the golden vectors") == []
