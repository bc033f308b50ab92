# SPDX-License-Identifier: Apache-2.0
"""README, guides and references are written in short sentences, for people who read English as a second language."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from support import ROOT
from support.blocks import PAGES

LONGEST = 25  # words of one sentence, or of one of the parts that a colon or a semicolon divides it into
MEAN = 16
# For contributors.
FOR_USERS = [page for page in PAGES if page.name != "inside.md"]


def sentences(page: Path) -> Iterator[str]:
    """Give the sentences of paragraphs and lists; code counts as one word, headings and tables are left out."""
    tokens = MarkdownIt().enable("table").parse(page.read_text("utf-8"))
    for before, token in itertools.pairwise(tokens):
        if token.type == "inline" and before.type == "paragraph_open":
            parts = {"code_inline": "CODE", "softbreak": " ", "hardbreak": " "}
            text = "".join(parts.get(part.type, part.content) for part in token.children or ())
            yield from re.split(r"(?<=[.?!])\s+", text)


def words(text: str) -> int:
    return len(re.findall(r"\S*\w\S*", text))


@pytest.mark.parametrize("page", FOR_USERS, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_is_long(page: Path) -> None:
    parts = (part for sentence in sentences(page) for part in re.split(r"(?<=[:;])\s+", sentence))
    assert [part for part in parts if words(part) > LONGEST] == []


def test_sentences_are_short_on_average() -> None:
    counts = [count for page in FOR_USERS for count in map(words, (*sentences(page),)) if count]
    assert len(counts) > 1000
    assert sum(counts) / len(counts) < MEAN
