# SPDX-License-Identifier: Apache-2.0
"""Estimates, against published measurements that are not in the table, and against sums done by hand."""

import re

import pytest

from support import ROOT
from tflm_build.describe.estimate import Conditions, Estimate, estimate, rates, read_conditions
from tflm_build.describe.quantity import read_quantity, write_quantity
from tflm_build.errors import TflmBuildError
from tflm_build.model.values import Layer

CONV, DEPTHWISE, DENSE = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"

# MobileNetV1 0.25 at 96x96x3, MLPerf Tiny's visual wake words, counted by hand from the paper's table of layers:
# (size of the output, channels in, channels out) of each pair of a depthwise and a pointwise convolution.
PAIRS = [
    (48, 8, 16), (24, 16, 32), (24, 32, 32), (12, 32, 64), (12, 64, 64), (6, 64, 128), *[(6, 128, 128)] * 5,
    (3, 128, 256), (3, 256, 256),
]  # fmt: skip
VISUAL_WAKE_WORDS = {
    CONV: 48 * 48 * 8 * 27 + sum(size * size * before * after for size, before, after in PAIRS),
    DEPTHWISE: sum(size * size * before * 9 for size, before, _ in PAIRS),
    DENSE: 256 * 2,
}


def layer(op: str, macs: int) -> Layer:
    return Layer(op, "layer", macs, 0, 0, 0, 0, (), (), None)


def run(works: dict[str, int], target: str, **asked: str) -> Estimate:
    given = {"kernels": None, "period": None, "active_power": None, "sleep_power": None, **asked}
    return estimate([layer(op, macs) for op, macs in works.items()], read_conditions(target=target, **given))


@pytest.mark.parametrize(
    ("target", "per_second", "off"),
    [("cortex-m4@120MHz", 3.320, 0.1), ("cortex-m33@128MHz", 4.310, 0.1), ("cortex-m85@480MHz", 74.665, 0.3)],
)
def test_a_published_model_that_is_not_in_the_table(target: str, per_second: float, off: float) -> None:
    """The same submissions' visual wake words: the table comes from their three other models."""
    assert sum(VISUAL_WAKE_WORDS.values()) == 7_489_664
    assert run(VISUAL_WAKE_WORDS, target).seconds == pytest.approx(1 / per_second, rel=off)


def test_the_published_measurements_come_out_again() -> None:
    keywords = {CONV: 2_368_000, DEPTHWISE: 288_000, DENSE: 768}
    for target, images, machines, words in (
        ("cortex-m4@120MHz", 2.567, 116.212, 10.019),
        ("cortex-m33@128MHz", 3.163, 159.579, 13.143),
        ("cortex-m85@480MHz", 117.948, 1884.138, 288.611),
        ("andes-d25f@60MHz", 3.282, 59.529, 12.523),
    ):
        assert run({CONV: 12_501_632}, target).seconds == pytest.approx(1 / images, rel=1e-4)
        assert run({DENSE: 264_192}, target).seconds == pytest.approx(1 / machines, rel=1e-4)
        assert run(keywords, target).seconds == pytest.approx(1 / words, rel=1e-4)
    for target, kernels, seconds in (
        ("esp32@240MHz", "reference", 4.084),
        ("esp32@240MHz", "esp-nn", 0.380),
        ("esp32-c3@160MHz", "reference", 3.355),
        ("esp32-c3@160MHz", "esp-nn", 0.426),
        ("esp32-s3@240MHz", "reference", 2.300),
    ):
        assert run({CONV: 7_157_888}, target, kernels=kernels).seconds == pytest.approx(seconds, rel=1e-6)
    cifar = {CONV: 32 * 32 * 32 * 75 + 16 * 16 * 32 * 800 + 8 * 8 * 64 * 800}
    assert run(cifar, "cortex-m7@216MHz").seconds == pytest.approx(0.0314 + 0.0428 + 0.0226, rel=1e-6)


def test_every_number_has_its_source() -> None:
    seen = set()
    for rate in rates():
        assert len(rate.source) > 20
        assert len(rate.derivation) > 20
        assert rate.family in {"conv", "depthwise", "fully_connected"}
        assert 0.1 < rate.cycles_per_mac < 200
        seen.add((rate.core, rate.kernels, rate.family))
    assert len(seen) == len(rates())


def test_the_reference_names_the_cores() -> None:
    page = (ROOT / "docs" / "reference" / "estimates.md").read_text()
    row = next(line for line in page.splitlines() if "| `--target` |" in line)
    named = re.findall(r"`([a-z0-9-]+)`", row.partition("cores:")[2].partition(" | ")[0])
    assert named == list(dict.fromkeys(rate.core for rate in rates()))


def test_sums_by_hand() -> None:
    """A million cycles at 10 MHz are 0.1 s; at 20 mW 2 mJ; with 0.3 s at 1 mW in between, 2.3 mJ in 0.4 s."""
    conv = next(rate for rate in rates() if (rate.core, rate.family) == ("cortex-m4", "conv"))
    conditions = Conditions("cortex-m4", 10e6, "cmsis-nn", 0.4, 20e-3, 1e-3)
    found = estimate([layer(CONV, round(1e6 / conv.cycles_per_mac)), layer("ADD", 0)], conditions)
    assert found.cycles == pytest.approx(1e6, rel=1e-5)
    assert found.layers == (found.cycles, 0)
    assert found.seconds == pytest.approx(0.1, rel=1e-5)
    assert found.duty_cycle == pytest.approx(0.25, rel=1e-5)
    assert found.energy == pytest.approx(2e-3, rel=1e-5)
    assert found.mean_power == pytest.approx(2.3e-3 / 0.4, rel=1e-5)
    assert found.rates == (conv,)
    assert found.left_out == {}


def test_a_model_that_does_not_keep_up_never_sleeps() -> None:
    found = run(
        VISUAL_WAKE_WORDS, "cortex-m4@1MHz", period="100ms", active_power="20mW", sleep_power="10uW"
    )  # fmt: skip
    assert found.duty_cycle is not None
    assert found.duty_cycle > 300
    assert found.mean_power == pytest.approx(20e-3)


def test_what_is_not_published_is_left_out_and_named() -> None:
    found = run({CONV: 1000, DEPTHWISE: 300, "SVDF": 70, "BATCH_MATMUL": 7, "ADD": 0}, "Cortex-M7@200MHz")
    assert found.layers == (1702, None, None, None, 0)
    assert found.cycles == 1702
    assert found.left_out == {"depthwise": 300, "other": 77}


def test_optimized_kernels_are_the_default() -> None:
    assert run({CONV: 1}, "esp32-s3@240MHz").conditions.kernels == "esp-nn"
    assert run({CONV: 1}, "cortex-m4@1kHz").conditions.kernels == "cmsis-nn"


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("80MHz", "Hz", 80e6), ("1.5 GHz", "Hz", 1.5e9), ("32.768kHz", "Hz", 32768), ("100ms", "s", 0.1),
        ("5us", "s", 5e-6), ("5µs", "s", 5e-6), ("5\N{GREEK SMALL LETTER MU}s", "s", 5e-6), ("2s", "s", 2),
        ("250ns", "s", 250e-9), ("20mW", "W", 0.02), ("10uW", "W", 1e-5), ("1W", "W", 1),
    ],
)  # fmt: skip
def test_quantities(text: str, unit: str, value: float) -> None:
    assert read_quantity("X", text, unit, "1") == value


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", "s"), ("ms", "s"), ("100", "s"), ("-1s", "s"), ("0s", "s"), ("1e3s", "s"), ("1S", "s"), ("1 ms", "Hz"),
        ("1  s", "s"), ("1ms\n", "s"), ("nan s", "s"), ("infs", "s"), ("1mHz", "Hz"), ("1ks", "s"), ("1MW", "W"),
        (f"{'9' * 16}s", "s"), ("\N{ARABIC-INDIC DIGIT ONE}s", "s"), ("1.s", "s"), ("1,5s", "s"),
    ],
)  # fmt: skip
def test_what_is_no_quantity(text: str, unit: str) -> None:
    with pytest.raises(TflmBuildError, match=r"^`X` got '.*'; allowed: a positive number with .*; such as 1$"):
        read_quantity("X", text, unit, "1")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"), (1, "1 s"), (0.1497, "150 ms"), (0.9999, "1 s"), (999.6e-6, "1 ms"), (12.34e-9, "12.3 ns"),
        (1e-15, "1e-06 ns"), (123456, "123 ks"),
    ],
)  # fmt: skip
def test_writing_quantities(value: float, text: str) -> None:
    assert write_quantity(value, "s") == text
