# SPDX-License-Identifier: Apache-2.0
"""What a page says, and how it is built; what is drawn is looked at in test_report_drawn.py."""

import copy
import itertools
import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from support.hand_made import Model, Op, Tensor, flatbuffer
from support.interpreters import HELLO_WORLD, Run, read_manifest
from support.manifests import leaves, save, with_layers, with_markup
from tflm_build.errors import TflmBuildError
from tflm_build.report.layer_rows import Lane, lay_lanes, layer_rows
from tflm_build.report.model_page import model_page
from tflm_build.report.overview_page import find_manifests
from tflm_build.report.write import report

VOID = {"meta", "link", "br", "img", "input", "rect", "circle", "line", "path"}


class Page(HTMLParser):
    """The elements of a page, each with its attributes, and its text; tags must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def page_of(manifest: Any) -> Page:
    return Page(model_page(manifest).decode())


@pytest.fixture(scope="module", params=["hello_world", "cnn"])
def manifest(request: pytest.FixtureRequest) -> Any:
    return read_manifest(request.getfixturevalue(request.param))


def test_a_page_can_be_walked_through(manifest: Any) -> None:
    page = page_of(manifest)
    assert page.all("html") == [{"lang": "en"}]
    assert [tag for tag, _ in page.elements if tag in {"h1", "main", "nav", "header"}] == [
        "header",
        "h1",
        "nav",
        "main",
    ]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {href.removeprefix("#") for href in page.values("href")} <= set(ids)
    assert {"summary", "ends", "graph", "memory", "costs", "weights", "ranges", "noise", "worst", "origin"} <= set(ids)
    for names in (*page.values("aria-labelledby"), *page.values("aria-describedby")):
        assert set(names.split()) <= set(ids)
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or (
            svg["role"] == "img" and svg.keys() & {"aria-label", "aria-labelledby"}
        )
    assert all(
        svg["tabindex"] == "0" and svg["aria-label"] for tag, svg in page.elements if svg.get("role") == "region"
    )


def test_a_page_needs_no_other_file_and_runs_no_code(manifest: Any) -> None:
    html = model_page(manifest).decode()
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "foreignobject"}
    assert not page.values("src")
    assert all(target.startswith("#") for target in page.values("href"))
    assert all(url.startswith("#") for url in re.findall(r"url\((.*?)\)", html))
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_a_page_says_what_the_manifest_says(manifest: Any) -> None:
    text = page_of(manifest).text
    numbers = [
        manifest["model"]["bytes"], manifest["arena"]["size"], manifest["macs"], manifest["arena"]["head"],
        *(layer[kind] for layer in manifest["layers"] for kind in ("macs", "weight_bytes", "live_bytes")),
        *(tensor["bytes"] for tensor in manifest["arena"]["peak"]),
    ]  # fmt: skip
    assert all(f"{number:,}" in text for number in numbers)
    words = [manifest["name"], manifest["model"]["sha256"], *(layer["op"] for layer in manifest["layers"])]
    words += [tensor["name"] for tensor in (*manifest["inputs"], *manifest["outputs"])]
    words += [f"{layer['sqnr_db']:.3g} dB" for layer in manifest["activations"]["layers"]]
    words += [f"{worst['difference']:.3g}" for worst in manifest["accuracy"]["worst"]]
    assert all(word in text for word in words)


def test_a_page_says_how_each_layer_was_compared(cnn: Path) -> None:
    manifest = read_manifest(cnn)
    count = len(manifest["layers"])
    assert len(manifest["proof"]["layers"]) == count
    first, second, *others = manifest["proof"]["layers"]
    for layer in (first, second, *others):
        layer |= {"reference": "LiteRT's reference kernels", "difference": 0, "tolerance": 0}
    text = page_of(manifest).text
    assert f"On equal inputs, {count} of {count} layers on TFLM equal their references" in text
    assert text.count("equal to LiteRT's reference kernels; ") == count
    assert "compared with any" not in text
    assert "not compared" not in text
    first |= {"reference": "our own computation", "difference": 2, "tolerance": 3}
    second |= {"reference": None, "difference": None}
    manifest["proof"]["difference"] = []
    text = page_of(manifest).text
    assert f"{count - 2} of {count} layers on TFLM equal their references; the whole does not run on LiteRT" in text
    assert f"at most 2 from our own computation; {manifest['layers'][0]['layer']}" in text
    assert f"not compared; {manifest['layers'][1]['layer']}" in text
    assert f"Not compared with any reference: {manifest['layers'][1]['layer']}\n" in text


def test_budgets_are_told(cnn: Path) -> None:
    manifest = read_manifest(cnn)
    assert page_of(manifest).text.count("No budget is set.") == 3
    budgets = {"flash": 2 * manifest["model"]["bytes"], "arena": 4 * manifest["arena"]["size"], "macs": None}
    text = page_of(manifest | {"budgets": budgets}).text
    assert f"50 % of the budget of {budgets['flash']:,}" in text
    assert f"25 % of the budget of {budgets['arena']:,}" in text
    assert text.count("No budget is set.") == 1


def test_the_same_manifest_gives_the_same_bytes(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    pages = []
    for folder in ("one", "another one"):
        (tmp_path / folder).mkdir()
        shutil.copy(hello_world / "hello_world.json", tmp_path / folder)  # the manifest alone
        result = tflm_build(
            "report", "hello_world.json", cwd=tmp_path / folder, env={"PYTHONHASHSEED": str(len(folder))}
        )
        assert (result.returncode, result.stdout) == (0, "hello_world.html\n"), result.stderr
        pages.append((tmp_path / folder / "hello_world.html").read_bytes())
    assert pages[0] == pages[1]
    arguments = ["--src", HELLO_WORLD / "hello_world.keras", "--calibration", HELLO_WORLD / "calibration.npz"]
    convert = ["convert", "--name", "hello_world", *arguments, "--quantize", "int8", "--out-dir", tmp_path, "--report"]
    assert tflm_build(*convert).returncode == 0
    assert (tmp_path / "hello_world.html").read_bytes() == pages[0]
    assert (tmp_path / "hello_world.json").read_bytes() == (hello_world / "hello_world.json").read_bytes()


def test_markup_stays_text(manifest: Any) -> None:
    page = page_of(with_markup(manifest))
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in page_of(manifest).elements}
    assert [name for _, each in page.elements for name in each if name not in ("onerror", "src")] == [
        name for _, each in page.elements for name in each
    ]
    assert "<script>alert(1)</script>" in page.text
    assert "\\u202e\\ud800&amp;" in page.text


def test_a_model_with_markup_in_its_names(tflm_build: Run, tmp_path: Path) -> None:
    names = [f"<script>alert({index})</script>" for index in range(3)]
    tensors = [Tensor(name, (1, 4), "int8", 0.5) for name in names]
    operators = [Op("RELU", "", (0,), (1,)), Op("RELU", "", (1,), (2,))]
    source = tmp_path / "<img src=x>.tflite"
    source.write_bytes(flatbuffer(Model("<script>", tensors, operators, (0,), (2,), 0)))
    result = tflm_build("convert", "--name", "m", "--src", source, "--report", "--out-dir", tmp_path)
    assert result.returncode == 0, result.stderr
    page = Page((tmp_path / "m.html").read_text())
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert all(text in page.text for text in (*names, source.name))


def test_two_thousand_layers_fit_on_a_page(cnn: Path) -> None:
    manifest = with_layers(read_manifest(cnn), 2000)
    html = model_page(manifest)
    page = Page(html.decode())
    assert len(html) < 1_000_000
    assert "2,000 layers" in page.text
    costs = page.text[page.text.index("Flash and MACs by layer") : page.text.index("Distribution of weights")]
    macs = [int(number.replace(",", "")) for number in re.findall(r"([0-9,]+) MACs", costs)]
    assert 100 < len(macs) <= 120
    assert sum(macs) == manifest["macs"]


def test_layers_that_are_read_later_have_a_lane_of_their_own(cnn: Path) -> None:
    manifest = read_manifest(cnn)
    layers = manifest["layers"]
    layers[3]["inputs"].append(layers[0]["outputs"][0])
    layers[4]["inputs"].append(layers[1]["outputs"][0])
    layers[4]["inputs"].append(layers[0]["outputs"][0])
    layers[2]["outputs"].append(layers[2]["outputs"][0] | {"tensor": 1000})
    rows = layer_rows(manifest)
    assert [row.reads for row in rows[:5]] == [(-1,), (0,), (1,), (0, 2), (0, 1, 3)]
    assert lay_lanes(rows) == (Lane(0, 0, (3, 4)), Lane(1, 1, (4,)))
    many = [replace(rows[0], reads=(), last=False)] * 30 + [replace(rows[0], reads=(place,)) for place in range(30)]
    places = [lane.place for lane in lay_lanes(many)]
    assert places[:8] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert set(places[8:]) == {7}
    text = page_of(manifest).text
    assert "reads from 1 and 3" in text
    assert "reads from 1 and 2 and 4" in text
    for layer in layers[3:]:
        layer["inputs"] = []
    rows = layer_rows(manifest)
    assert [row.last for row in rows] == [False, False, *([True] * (len(rows) - 2))]
    assert {lane.targets for lane in lay_lanes(rows)} == {(len(rows),)}
    assert {lane.place for lane in lay_lanes(rows)} == {0}


def test_long_names_do_not_make_a_long_page(cnn: Path) -> None:
    manifest = read_manifest(cnn)
    for layer in manifest["layers"]:
        layer["layer"] = "x" * 1_000_000
    assert len(model_page(manifest)) < 300_000


def test_a_model_of_which_little_is_known(hello_world: Path) -> None:
    manifest = read_manifest(hello_world)
    for layer, written in zip(manifest["layers"], manifest["activations"]["layers"], strict=True):
        layer["live_bytes"] = None
        written |= {"range": None, "seen": None, "at_limit": None, "sqnr_db": None}
    manifest |= {"accuracy": None, "weights": [], "calibration": None}
    manifest["arena"] |= {"peak": [], "lower_bound": None, "greedy_head": None}
    manifest["activations"]["samples"] = 0
    text = page_of(manifest).text
    assert "It is not known for this model" in text
    assert "neither a float model nor a label" in text


DAMAGE: tuple[Any, ...] = (None, "x", -1, 1e400, [], {}, [[]], True)


def test_a_damaged_manifest_gives_a_page_or_an_error(cnn: Path, tmp_path: Path) -> None:
    manifest = read_manifest(cnn)
    generator = random.Random(0)  # noqa: S311 - to choose tests
    count = sum(1 for _ in leaves(manifest, lambda _new: None))
    broken = 0
    for _ in range(300):
        changed = copy.deepcopy(manifest)
        chosen = generator.randrange(1, count)
        next(put for place, put in enumerate(leaves(changed, lambda _new: None)) if place == chosen)(
            generator.choice(DAMAGE)
        )
        changed["files"] = {}
        (tmp_path / "cnn.json").write_text(json.dumps(changed))
        try:
            Page(report(tmp_path / "cnn.json", None).read_text())
        except TflmBuildError:
            broken += 1
    assert 30 < broken < 270


@pytest.mark.parametrize(("content", "message"), [
    ("{", "is not valid JSON; pass the manifest"),
    ("[]", "is no manifest of version 1: its schema_version is None"),
    ('{"schema_version": 2}', "is no manifest of version 1: its schema_version is 2; convert the model again"),
    ('{"schema_version": 1, "files": {}}', "is damaged: KeyError: 'layers'; convert the model again"),
    ('{"schema_version": 1}', "is damaged: it has no digests of files"),
])  # fmt: skip
def test_what_is_no_manifest(content: str, message: str, tflm_build: Run, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(content)
    result = tflm_build("report", "m.json", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("tflm-build: error: m.json: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


def test_a_manifest_that_is_cut_off(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    whole = (hello_world / "hello_world.json").read_bytes()
    (tmp_path / "m.json").write_bytes(whole[: len(whole) // 2])
    for source in (tmp_path / "m.json", tmp_path):
        result = tflm_build("report", source)
        assert result.returncode == 1
        assert "is not valid JSON" in result.stderr


def test_a_manifest_of_other_files(hello_world: Path, tflm_build: Run, tmp_path: Path) -> None:
    shutil.copytree(hello_world, tmp_path, dirs_exist_ok=True)
    assert tflm_build("report", tmp_path / "hello_world.json").returncode == 0
    with (tmp_path / "hello_world.h").open("a") as file:
        file.write("\n")
    result = tflm_build("report", tmp_path / "hello_world.json")
    assert result.returncode == 1
    assert "hello_world.h does not belong to hello_world.json" in result.stderr


def test_a_page_that_cannot_be_written(hello_world: Path, tmp_path: Path) -> None:
    manifest = save(read_manifest(hello_world), tmp_path / "m.json")
    with pytest.raises(TflmBuildError, match=r"would take the place of .*m\.json"):
        report(manifest, manifest)
    with pytest.raises(TflmBuildError, match="cannot be written to"):
        report(manifest, manifest / "m.html")


def test_an_overview_of_a_build(hello_world: Path, cnn: Path, tflm_build: Run, tmp_path: Path) -> None:
    for folder in (hello_world, cnn):
        shutil.copytree(folder, tmp_path / "a & b" / f"{folder.name}.tflm")
    (tmp_path / "compile_commands.json").write_text("[]")
    one, other = read_manifest(hello_world), read_manifest(cnn)
    (path,) = tmp_path.rglob("hello_world.json")
    assert tflm_build("report", path).returncode == 0
    result = tflm_build("report", tmp_path)
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'models.html'}\n"), result.stderr
    page = Page((tmp_path / "models.html").read_text())
    arenas = [one["arena"]["size"], other["arena"]["size"]]
    numbers = [one["model"]["bytes"] + other["model"]["bytes"], max(arenas), sum(arenas), min(arenas)]
    assert all(f"{number:,}" in page.text for number in (*numbers, one["macs"] + other["macs"]))
    links = [href for href in page.values("href") if not href.startswith("#")]
    assert links == [f"a%20%26%20b/{hello_world.name.replace(' ', '%20')}.tflm/hello_world.html"]
    assert "cnn" in page.text
    assert "A model without a link has no page" in page.text


def test_an_overview_of_markup(hello_world: Path, tmp_path: Path) -> None:
    save(with_markup(read_manifest(hello_world)) | {"schema_version": 1}, tmp_path / "<b>" / "m.json")
    page = Page(report(tmp_path, tmp_path / "o.html").read_text())
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert "<b>/m.json" in page.text


@pytest.mark.parametrize("written", [
    json.dumps,
    lambda content: json.dumps(dict(reversed(content.items())), indent=8),
])  # fmt: skip
def test_an_overview_finds_a_manifest_however_it_is_written(
    written: Callable[[dict[str, Any]], str], hello_world: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.json").write_text(written(read_manifest(hello_world)))
    for name, text in {"list": "[1]", "other": '{"name": "x"}', "torn": "{", "deep": "[" * 99999}.items():
        (tmp_path / f"{name}.json").write_text(text)
    (tmp_path / "folder.json").mkdir()
    assert find_manifests(tmp_path) == [tmp_path / "m.json"]


def test_an_overview_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(TflmBuildError, match="has no manifest in it or below it"):
        report(tmp_path, None)
