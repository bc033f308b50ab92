# SPDX-License-Identifier: Apache-2.0
"""Say what becomes of the layers of Keras: a table that `scripts/keras_layers.py` made by building each."""

import dataclasses
import difflib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.table import show_table

__all__ = ["KerasLayer", "keras_layers", "show_keras_layers"]

_COLUMNS: Final = ("layer", "float32", "int8", "int16x8", "becomes")
_BUILT: Final = "built"
_NOTHING: Final = "-"


@dataclass(frozen=True)
class KerasLayer:
    """What became of a layer, in a model of its own.

    Attributes:
        layer: the class in `keras.layers`.
        float32, int8, int16x8: "built", "refused", or "-" where there is nothing to convert.
        becomes: ops of TFLM, without those of the layers around it, or why there is nothing to convert.
        refusal: the error, after the quantizations that have it where not all do.
    """

    layer: str
    float32: str
    int8: str
    int16x8: str
    becomes: str
    refusal: str


@cache
def keras_layers() -> tuple[KerasLayer, ...]:
    """Return the rows of the table, by name."""
    table = resources.files("tflm_build.describe").joinpath("keras_layers.tsv").read_text("utf-8")
    return tuple(KerasLayer(*line.split("\t")) for line in table.splitlines() if not line.startswith("#"))


def show_keras_layers(names: Sequence[str], *, as_json: bool) -> None:
    """Print what becomes of layers, on standard output, and of those that are refused why.

    Args:
        names: of classes of `keras.layers`; none: all.
        as_json: print JSON.

    Raises:
        TflmBuildError: Keras has no such layer.
    """
    known = {row.layer: row for row in keras_layers()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.0)[0]
            msg = f"the table has no layer '{name}'; allowed: a class of keras.layers, as {near}; ops lists all"
            raise TflmBuildError(msg)
    rows = [known[name] for name in names] or list(known.values())
    if as_json:
        sys.stdout.write(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n")
        return
    cells = [(row.layer, row.float32, row.int8, row.int16x8, row.becomes) for row in rows]
    if names:
        show_table(_COLUMNS, cells, left=_COLUMNS)
    else:
        tried = [row for row in cells if row[1] != _NOTHING]
        counts = [f"{sum(row[column] == _BUILT for row in tried)} of {len(tried)}" for column in (1, 2, 3)]
        show_table(_COLUMNS, cells, left=_COLUMNS, total=("built", *counts, ""))
    sys.stdout.write("".join(f"{row.layer}: {row.refusal}\n" for row in rows if row.refusal))
