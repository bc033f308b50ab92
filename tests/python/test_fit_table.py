# SPDX-License-Identifier: Apache-2.0
"""Which columns and which parts of names give way where a terminal is narrow."""

import pytest

from tflm_build.fit_table import Table, fit


def test_what_gives_way() -> None:
    rows = [["main/first layer", "ADD", "12"], ["main/second layer", "MUL", "3"], ["Identity", "ADD", "4"]]
    table = Table(("layer", "op", "B"), rows, ("total", "", "19"), "layer", ("op", "B"))
    assert (table.width, fit(table, 32)) == (32, (table, ""))
    shorter, note = fit(table, 30)
    assert (shorter.columns, [row[0] for row in shorter.rows]) == (
        table.columns,
        ["first layer", "second layer", "Identity"],
    )
    assert note == "names without main/"
    fewer, note = fit(table, 22)
    assert (fewer.columns, fewer.total) == (["layer", "B"], ["total", "19"])
    assert note == "names without main/; no room for: op"
    least, _ = fit(table, 5)
    assert (least.columns, [row[0] for row in least.rows]) == (["layer"], ["first layer", "second layer", "Identity"])


@pytest.mark.parametrize("names", [["a/x", "x", "a/y"], ["a/x", "b/y"], ["x", "y"], []])
def test_names_stay_where_nothing_is_common_or_two_would_be_equal(names: list[str]) -> None:
    table = Table(("layer",), [[name] for name in names], names="layer")
    assert [row[0] for row in fit(table, 0)[0].rows] == names


def test_the_end_of_a_long_name_is_what_is_left() -> None:
    table = Table(("layer", "B"), [["an_unreasonably/long_name_of_a_layer", "1"]], names="layer")
    shown, note = fit(table, 30)
    assert (shown.rows, shown.width, note) == ([["...ong_name_of_a_layer", "1"]], 30, "")
