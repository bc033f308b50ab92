# SPDX-License-Identifier: Apache-2.0
"""What Chromium draws of a page: in narrow and wide windows, light and dark."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.browser import Browser, chromium
from support.interpreters import read_manifest
from support.manifests import save, with_layers, with_markup
from tflm_build.report.model_page import model_page
from tflm_build.report.write import report

WINDOWS = [(width, scheme) for width in (360, 1280) for scheme in ("light", "dark")]
PAGES = ("hello_world", "cnn", "markup", "many", "models")

# Every text that is seen, with its contrast to what is behind it: the nearest background, or the section's card for a
# text that is drawn.
CONTRAST = """
(() => {
  const luminance = color => {
    const parts = color.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = element => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$/.test(color) && color !== "transparent") return color;
    }
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["STYLE", "title", "desc"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const drawn = element instanceof SVGElement;
    found.push([walker.currentNode.data.trim().slice(0, 40), ratio(drawn ? style.fill : style.color, behind(element))]);
  }
  const card = behind(document.querySelector("section:not(.bare)"));
  for (const kind of ["one", "two", "three", "four", "limit"]) {
    for (const element of [...document.querySelectorAll("svg ." + kind)].slice(0, 3)) {
      const style = getComputedStyle(element);
      found.push(["drawing " + kind, 1.5 * ratio(kind === "limit" ? style.stroke : style.fill, card)]);
    }
  }
  return found;
})()
"""

# What lies outside of the window, apart from what can be scrolled or is hidden on purpose.
OUTSIDE = """
[...document.querySelectorAll("body *")].filter(element => {
  if (element.closest(".scroll, .hidden, .skip, defs, title, desc")) return false;
  const box = element.getBoundingClientRect();
  return box.width && (box.left < -1 || box.right > innerWidth + 1);
}).map(element => element.outerHTML.slice(0, 200))
"""

BOXES = "(query => [...document.querySelectorAll(query)].map(e => e.getBoundingClientRect().toJSON()))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(hello_world: Path, cnn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    manifests = {"hello_world": read_manifest(hello_world), "cnn": read_manifest(cnn)}
    manifests["many"] = with_layers(manifests["cnn"], 2000)
    manifests["cnn"]["budgets"] = {"flash": 1 << 14, "arena": 1 << 15, "macs": 10**6}
    written = {name: report(save(manifest, folder / f"{name}.json"), None) for name, manifest in manifests.items()}
    written["models"] = report(folder, None)
    written["markup"] = folder / "markup.html"
    written["markup"].write_bytes(model_page(with_markup(manifests["cnn"])))
    return written


def boxes(browser: Browser, query: str) -> list[dict[str, float]]:
    found: list[dict[str, float]] = browser.evaluate(f"{BOXES}({json.dumps(query)})")
    return found


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_everything_is_inside_and_can_be_read(
    name: str, width: int, scheme: str, browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages[name], width=width, scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.evaluate(OUTSIDE) == []
    contrasts = browser.evaluate(CONTRAST)
    assert len(contrasts) > 30
    assert not [(text, ratio) for text, ratio in contrasts if ratio < 4.5]
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 382) == (scheme == "dark")
    assert browser.problems() == []
    assert browser.requests() == [pages[name].as_uri()]


@pytest.mark.parametrize("width", [360, 1280])
def test_columns_of_memory_are_as_high_as_their_numbers(
    width: int, browser: Browser, pages: dict[str, Path], cnn: Path
) -> None:
    browser.open(pages["cnn"], width=width)
    manifest = read_manifest(cnn)
    (axis,) = boxes(browser, "#memory-chart .axis")
    arena, head = boxes(browser, "#memory-chart .limit")
    columns = boxes(browser, "#memory-chart .column")
    height = axis["top"] - arena["top"]
    assert height > 150
    live = [layer["live_bytes"] for layer in manifest["layers"]]
    size = manifest["arena"]["size"]
    assert [column["height"] / height for column in columns] == pytest.approx([each / size for each in live], abs=0.01)
    assert (axis["top"] - head["top"]) / height == pytest.approx(manifest["arena"]["head"] / size, abs=0.01)
    (peak,) = boxes(browser, "#memory-chart .peak")
    assert peak["height"] == pytest.approx(max(column["height"] for column in columns), abs=3)


@pytest.mark.parametrize("name", ["cnn", "many"])
def test_numbers_below_columns_keep_apart(name: str, browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages[name], width=360)
    numbers = boxes(browser, "#memory-chart text:not(.halo, .in-track)")
    assert len(numbers) > 4
    assert all(one["right"] + 2 < other["left"] for one, other in itertools.pairwise(numbers))


def test_bars_are_as_long_as_their_numbers(browser: Browser, pages: dict[str, Path], cnn: Path) -> None:
    browser.open(pages["cnn"])
    manifest = read_manifest(cnn)
    for kind, place in (("weight_bytes", 1), ("macs", 2)):
        bars = boxes(browser, f"#costs .pair .measure:nth-child({place}) rect:not(.track)")
        tracks = boxes(browser, f"#costs .pair .measure:nth-child({place}) rect.track")
        numbers = [layer[kind] for layer in manifest["layers"]]
        shares = [bar["width"] / track["width"] for bar, track in zip(bars, tracks, strict=True)]
        assert shares == pytest.approx([number / max(numbers) for number in numbers], abs=0.01)
    (flash,) = boxes(browser, ".card:nth-child(1) .bar rect:not(.track):nth-child(2):last-child")[:1]
    (track,) = boxes(browser, ".card:nth-child(1) .bar rect.track")
    assert flash["width"] / track["width"] == pytest.approx(manifest["model"]["bytes"] / (1 << 14), abs=0.01)


def test_the_graph_has_a_dot_beside_each_layer(browser: Browser, pages: dict[str, Path]) -> None:
    for width in (360, 1280):
        browser.open(pages["cnn"], width=width)
        rows, dots = boxes(browser, ".graph li"), boxes(browser, ".graph .node")
        assert len(rows) == len(dots) > 5
        for row, dot in zip(rows, dots, strict=True):
            assert dot["top"] + dot["height"] / 2 == pytest.approx(row["top"] + row["height"] / 2, abs=1)
        (edges,) = browser.evaluate("[document.querySelectorAll('.graph .edge').length]")
        assert edges >= len(rows) - 1


def test_series_differ_without_colour(browser: Browser, pages: dict[str, Path]) -> None:
    for name in ("cnn", "models"):
        browser.open(pages[name])
        fills: list[list[str]] = browser.evaluate(
            "[...document.querySelectorAll('.parts')].map(list => [...list.querySelectorAll('rect')]"
            ".map(rect => rect.getAttribute('fill') ?? rect.getAttribute('class')))"
        )
        assert fills
        assert all(len(each) == len(set(each)) for each in fills)


def test_the_keyboard_reaches_everything(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["cnn"], width=360)
    reached = []
    for _ in range(40):
        for kind in ("keyDown", "keyUp"):
            browser.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(browser.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
        if reached[-1].startswith("<body"):
            break
        if "skip" in reached[-1]:
            (skip,) = boxes(browser, ".skip")
            assert skip["left"] >= 0
        assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert "skip" in reached[0]
    assert sum(each.startswith("<a href=") for each in reached) == 9
    assert any(each.startswith("<summary") for each in reached)
    assert sum('class="scroll"' in each for each in reached) == 3  # that of the details is closed


def test_a_screen_reader_finds_its_way(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["cnn"])
    browser.ask("Accessibility.enable")
    nodes: list[dict[str, Any]] = browser.ask("Accessibility.getFullAXTree")["nodes"]
    seen = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    roles = [role for role, _ in seen]
    assert {"banner", "main", "navigation", "heading", "list", "table", "link"} <= set(roles)
    images = [name for role, name in seen if role in {"image", "img", "graphics-document"}]
    assert len(images) == 4
    assert all(images)
    assert any(name.startswith("Live memory") for name in images)
    headings = [name for role, name in seen if role == "heading"]
    assert headings[:3] == ["cnn", "Summary", "Flash"]
