# SPDX-License-Identifier: Apache-2.0
"""What Chromium draws of the documentation: nothing is wider than its window, and the search finds what people ask."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT
from support.browser import Browser, chromium

WIDTHS = (390, 768, 1024, 1280, 1440, 1920)
SCROLLED = "document.scrollingElement.scrollWidth - innerWidth"
# The addresses that the search shows, once it has ended.
FOUND = """
new Promise(found => {
  const look = () => {
    const links = [...document.querySelectorAll("#search-results li > a")];
    const ended = /finished/.test(document.querySelector("#search-results .search-summary")?.textContent);
    ended ? found(links.map(link => new URL(link.href).pathname)) : setTimeout(look, 50);
  };
  setTimeout(() => found([]), 20000);
  look();
})
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation."""
    folder = tmp_path_factory.mktemp("docs")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--doctree-dir",
        folder / "trees",
        ROOT / "docs",
        folder / "html",
    ]
    subprocess.run(command, check=True)
    return folder / "html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_no_page_is_wider_than_its_window(pages: Path, browser: Browser) -> None:
    drawn = [page for page in sorted(pages.rglob("*.html")) if "_static" not in page.parts]
    assert len(drawn) > 30
    wide = []
    for page in drawn:
        browser.open(page)
        for width in WIDTHS:
            browser.resize(width)
            over = browser.evaluate(SCROLLED)
            wide += [f"{page.relative_to(pages)} at {width}: {over} px"] if over else []
    assert not wide, "\n".join(wide)


@pytest.mark.parametrize(("words", "page"), [
    ("arduino", "guide/arduino"),
    ("platformio", "guide/arduino"),
    ("windows", "guide/limits"),
    ("esp32", "guide/your_tflm"),
    ("vs+code", "guide/recipes"),
    ("pytorch", "guide/pytorch_and_onnx"),
])  # fmt: skip
def test_the_search_finds(words: str, page: str, pages: Path, browser: Browser) -> None:
    browser.open(pages / "search.html", query=words)
    found = browser.evaluate(FOUND)
    assert (pages / f"{page}.html").as_posix() in found
