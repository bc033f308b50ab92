# SPDX-License-Identifier: Apache-2.0
"""The one table of options: the command, CMake and the documentation say the same."""

import dataclasses
import re
import subprocess
import sys
from typing import Any

import pytest

import tflm_build
from support import ROOT
from support.interpreters import Run
from tflm_build.errors import TflmBuildError
from tflm_build.options import Options, read_options
from tflm_build.spelling import spell

NAMES = [field.name for field in dataclasses.fields(Options)]


def test_cmake_has_a_keyword_for_every_option_and_no_other() -> None:
    body = (ROOT / "cmake" / "private" / "Model.cmake").read_text()
    body = body[body.index("function(_tflm_build_add_model function") :]
    lists = re.findall(r"set\(\s*(?:files|values|flags)\s(.*?)\)", body, re.DOTALL)
    keywords = " ".join(lists).split()
    assert sorted(keywords) == sorted(name.upper() for name in NAMES if name != "name")
    text = (ROOT / "cmake" / "TflmBuild.cmake").read_text()
    synopsis = text[text.index("tflm_add_model(<name>") : text.index("It makes the targets")]
    assert all(re.search(rf"\b{keyword}\b", synopsis) for keyword in keywords)


def test_the_documentation_lists_every_option_and_choice() -> None:
    page = (ROOT / "docs" / "reference" / "options.md").read_text()
    rows = re.findall(r"^\| `--([a-z0-9-]+)`, (.*?) \| .* \| (.*?) \|$", page, re.MULTILINE)
    assert [option.replace("-", "_") for option, _, _ in rows] == NAMES
    for field, (_, keyword, values) in zip(dataclasses.fields(Options), rows, strict=True):
        assert field.name == "name" or keyword == f"`{field.name.upper()}`"
        assert all(f"`{choice}`" in values for choice in field.metadata["choices"] or ())


def test_the_references_say_what_the_table_says() -> None:
    script = ROOT / "scripts" / "option_texts.py"
    result = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_the_help_says_of_every_option_what_the_table_says(tflm_build: Run) -> None:
    parts = re.split(r"^  (?:-\w, )?--([a-z0-9-]+)", tflm_build("convert", "--help").stdout, flags=re.MULTILINE)[1:]
    said = {name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2], strict=True)}
    others = ["out-dir", "emit", "probe", "check", "quiet", "verbose", "help"]
    assert list(said) == [name.replace("_", "-") for name in NAMES] + others
    for field in dataclasses.fields(Options):
        text = said[field.name.replace("_", "-")]
        assert spell(field.metadata["meaning"], "command") in text
        choices = field.metadata["choices"]
        assert not choices or text.startswith(f"{'|'.join(choices)} ") or f"one of {', '.join(choices)} [" in text
        assert not choices or text.endswith(f" [default: {field.default}]")


@pytest.mark.parametrize(("file", "pattern"), [
    ("cmake/tflm_build-config-version.cmake", r'set\(PACKAGE_VERSION "(.*)"\)'),
    ("MODULE.bazel", r'name = "tflm_build",\n    version = "(.*)"'),
    ("examples/fw/MODULE.bazel", r'name = "tflm_build", version = "(.*)"'),
    ("bazel/private/version.bzl", 'VERSION = "(.*)"'),
])  # fmt: skip
def test_all_build_systems_see_one_version(file: str, pattern: str) -> None:
    assert re.findall(pattern, (ROOT / file).read_text()) == [tflm_build.__version__]


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "int", "class", "_x", "ä", "a;b", "../x"])
def test_a_name_that_is_no_c_identifier(name: str) -> None:
    with pytest.raises(TflmBuildError, match="NAME becomes a C symbol; got"):
        Options(name=name, src="m.keras")


@pytest.mark.parametrize(("values", "message"), [
    ({"name": "TFLM_net"}, "NAME got 'TFLM_net'; names that begin with tflm are the runtime's"),
    ({"max_flash": "9" * 5000}, "MAX_FLASH got '9999"),
    ({"quantize": "dynamic"}, "QUANTIZE got 'dynamic'; allowed: none, int8, int16x8; TFLM cannot run"),
    ({"io_type": "int8"}, "IO_TYPE got 'int8'; allowed: auto, float32"),
    ({"embed": "xxd"}, "EMBED got 'xxd'; allowed: auto, array, incbin"),
    ({"section": 'x"; .word 1'}, "SECTION got 'x\"; .word 1'; allowed: letters, digits and _"),
    ({"align": 8}, "ALIGN got 8; allowed: a power of two from 16 to 4096"),
    ({"align": 48}, "ALIGN got 48; allowed: a power of two from 16 to 4096"),
    ({"target": "cortex-m5"}, "TARGET got 'cortex-m5'; allowed: auto, host, cortex-m0"),
    ({"target": "cortex-m4", "kernels": "esp-nn"}, "KERNELS got 'esp-nn'; allowed for TARGET cortex-m4: auto, refer"),
    ({"kernels": "cmsis-nn"}, "KERNELS got 'cmsis-nn'; allowed for TARGET auto: auto, reference; leave it out"),
    ({"max_lsb": -1}, "MAX_LSB got -1; allowed: 0 and more"),
])  # fmt: skip
def test_values_that_are_not_allowed(values: dict[str, Any], message: str) -> None:
    with pytest.raises(TflmBuildError, match=message):
        Options(**{"name": "m", "src": "m.keras", **values})


@pytest.mark.parametrize(("values", "message"), [
    ({"align": "abc"}, "ALIGN got 'abc'; allowed: a whole number"),
    ({"max_lsb": "0.5"}, "MAX_LSB got '0.5'; allowed: a whole number"),
    ({"min_top1": "95%"}, "MIN_TOP1 got '95%'; allowed: a number"),
    ({"min_top1": "95"}, "MIN_TOP1 got 95; allowed: 0 to 1"),
])  # fmt: skip
def test_texts_that_are_no_numbers(values: dict[str, str], message: str) -> None:
    with pytest.raises(TflmBuildError, match=message):
        read_options({"name": "m", "src": "m.keras", **values})


@pytest.mark.parametrize(
    ("spelt", "target"),
    [
        ("Cortex-M4F", "cortex-m4"), ("cortex_m33", "cortex-m33"), ("cortex-m0+", "cortex-m0plus"),
        ("cortex-m4@80MHz", "cortex-m4"), ("cortex-m35p", "cortex-m35p"), ("ESP32-S3", "esp32s3"),
        ("esp32-p4", "esp32p4"), ("esp32c6", "esp32"), ("esp32-s2", "esp32"), ("HOST", "host"),
    ],
)  # fmt: skip
def test_a_processor_is_spelt_in_several_ways(spelt: str, target: str) -> None:
    assert Options(name="m", src="m.tflite", target=spelt).target == target


def test_a_symbol_that_is_no_c_identifier() -> None:
    with pytest.raises(TflmBuildError, match="SYMBOL becomes a C symbol; got 'a-b'"):
        Options(name="model", symbol="a-b", src="m.keras")
    assert Options(name="model", src="m.keras").prefix == "model"
    assert Options(name="model", symbol="audio", src="m.keras").prefix == "audio"
