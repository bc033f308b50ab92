# SPDX-License-Identifier: Apache-2.0
"""The code blocks of a page, and what a reader does with each. `PYTHONPATH=tests python -m support.blocks` lists them.

A block of `sh` is run, in the page's folder. A block of `text` after it is what that prints; `...` stands for
anything. Every other block is a file: the sentence before it ends with the name, as in "Write `main.c`:", or, for
lines at the end of a file that is there, "Add to `main.c`:".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from support import ROOT

__all__ = ["PAGES", "Block", "read_blocks"]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_NAMED = re.compile(r"(?P<added>\b[Aa]dd\s+to\s+)?`(?P<file>[\w./-]+)`:$")


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
        line: of the page, from 1.
        language: as the page names it.
        text: what is in the block.
        file: what to write it to; None: it is run, or it is output.
        added: to the end of a file that is there.
    """

    line: int
    language: str
    text: str
    file: str | None = None
    added: bool = False

    def __str__(self) -> str:
        """Say what a reader does with it."""
        if self.file is None:
            return {"sh": "run", "text": "expect"}[self.language]
        return f"{'add to' if self.added else 'write'} {self.file}"


def read_blocks(page: Path) -> Iterator[Block]:
    """Give the blocks of a page.

    Raises:
        ValueError: nobody knows what to do with a block.
    """
    tokens = MarkdownIt().parse(page.read_text("utf-8"))
    before = None
    for index, token in enumerate(tokens):
        if token.type not in {"fence", "code_block"}:
            continue
        line, language = (token.map or [0])[0] + 1, token.info
        if language.startswith("{"):  # a directive: Sphinx does what it says
            continue
        is_run = language == "sh"
        is_output = language == "text" and before == "sh"
        before = language
        if is_run or is_output:
            yield Block(line, language, token.content)
            continue
        sentence = tokens[index - 2].content if tokens[index - 1].type == "paragraph_close" else ""
        named = _NAMED.search(sentence)
        if named is None:
            msg = f"{page.name}:{line}: a block of {language or 'nothing'} is neither run, nor output, nor a named file"
            raise ValueError(msg)
        yield Block(line, language, token.content, named["file"], bool(named["added"]))


if __name__ == "__main__":
    for page in PAGES:
        for block in read_blocks(page):
            print(f"{page.relative_to(ROOT)}:{block.line}: {block.language}: {block}")
