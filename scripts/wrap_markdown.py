#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wrap the paragraphs of Markdown files at 120 characters, or check that no line is longer.

Tables, code, headings, HTML, and what has no place to break, as links and messages in code, stay as they are. A
paragraph whose lines all fit stays as well.
"""

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import Final

_WIDTH: Final = 120
_FENCE: Final = re.compile(r" *(`{3,}|~{3,}|:{3,})")
_FIXED: Final = re.compile(r" *(\||#|<|\[[^\]]+\]:|\[?!\[|\+\+\+|---)")  # never wrapped
_ITEM: Final = re.compile(r"(?P<indent> *)(?P<mark>(?:[-*]|\d+\.) +|> )?")


def wrap(text: str) -> str:
    """Return a page with its long paragraphs wrapped."""
    lines: list[str] = []
    paragraph: list[str] = []
    fence = ""

    def end_paragraph() -> None:
        lines.extend(_wrapped(paragraph))
        paragraph.clear()

    for line in text.splitlines():
        found = _FENCE.match(line)
        if fence:
            lines.append(line)
            fence = "" if line.strip() == fence else fence
        elif found or not line.strip() or _FIXED.match(line):
            end_paragraph()
            lines.append(line)
            fence = found[1] if found else ""
        else:
            if re.match(r" *([-*]|\d+\.) ", line):
                end_paragraph()
            paragraph.append(line)
    end_paragraph()
    return "\n".join(lines) + "\n"


def _wrapped(paragraph: list[str]) -> list[str]:
    """Return the lines of a paragraph or of an item of a list, wrapped if one of them is too long."""
    if all(len(line) <= _WIDTH for line in paragraph):
        return paragraph
    found = _ITEM.match(paragraph[0])
    head = found[0] if found else ""
    # A space in code is no place to break.
    text = " ".join(line.strip() for line in [paragraph[0][len(head) :], *paragraph[1:]])
    text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", lambda code: code[0].replace(" ", "\0"), text)
    further = head if head.strip() == ">" else " " * len(head)
    wrapped = textwrap.wrap(
        text, _WIDTH, initial_indent=head, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in wrapped]


def main() -> int:
    """Wrap the files; with --check change none, name those that would change, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    status = 0
    for path in arguments.files:
        before = path.read_text("utf-8")
        after = wrap(before)
        if before != after and arguments.check:
            print(f"{path} has lines of more than {_WIDTH} characters; run scripts/wrap_markdown.py {path}")  # noqa: T201
            status = 1
        elif before != after:
            path.write_text(after, "utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
