# SPDX-License-Identifier: Apache-2.0
"""Account for every byte of a flatbuffer: constants, and what describes them."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import flatbuffers
import numpy as np

from tflm_build.model.flatbuffer import schema
from tflm_build.model.values import Part

__all__ = ["account"]


_PADDING: Final = "gaps before aligned data"
_LAYOUTS: Final = "layouts of tables, shared"
_KINDS: Final = {
    "Buffer.Data": "constants",
    "QuantizationParameters.Scale": "scales",
    "QuantizationParameters.ZeroPoint": "zero points",
    "Tensor.Shape": "shapes",
    "Tensor.Name": "names",
    "Tensor": "tensors",
    "QuantizationParameters": "quantization of tensors",
    "Operator": "operators",
    "Operator.Inputs": "what operators read",
    "Operator.Outputs": "what operators write",
    "OperatorCode": "kinds of operators",
    "Buffer": "places of constants",
}
"""By table, or by table and field. What is not here is a table of options, or the model's own."""


def account(flatbuffer: bytes) -> tuple[Part, ...]:
    """Divide a model that was verified among the kinds of its bytes; the parts add up to its size."""
    spans: dict[tuple[int, int], str] = {(0, 8): "the file's head"}
    _visit(schema.Model.GetRootAs(flatbuffer, 0), spans)
    covered = np.zeros(len(flatbuffer), bool)
    found: dict[str, list[int]] = {}
    for (start, end), what in sorted(spans.items()):
        fresh = int((~covered[start:end]).sum())
        covered[start:end] = True
        found.setdefault(what, []).append(fresh)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], covered, [True]]).astype(np.int8)) == -1)
    found[_PADDING] = [int((~covered).sum())] + [0] * (len(edges) - 1)
    parts = (Part(what, len(sizes), sum(sizes)) for what, sizes in found.items())
    return tuple(sorted(parts, key=lambda part: (-part.bytes, part.what)))


class _Slots(flatbuffers.table.Table):  # type: ignore[misc]
    """A table that remembers which field was asked for. The name is the library's own."""

    asked = 0

    def Offset(self, vtableOffset: int) -> int:  # noqa: N802, N803
        self.asked = int(super().Offset(vtableOffset))
        return self.asked


@cache
def _fields(table: Any) -> tuple[str, ...]:
    """Name the fields of a table of the schema."""
    methods = [name for name in vars(table) if name[0].isupper() and name != "Init"]
    derived = ("AsNumpy", "IsNone", "Length")
    return tuple(
        name
        for name in methods
        if not name.startswith(("GetRootAs", f"{table.__name__}BufferHas")) and not name.endswith(derived)
    )


def _visit(table: Any, spans: dict[tuple[int, int], str]) -> None:
    """Add the spans of a table and of all that it leads to."""
    name, tab = table.__class__.__name__, _Slots(table._tab.Bytes, table._tab.Pos)  # noqa: SLF001 - there is no other door
    table._tab = tab  # noqa: SLF001
    layout = tab.Pos - tab.Get(flatbuffers.number_types.SOffsetTFlags, tab.Pos)
    size = tab.Get(flatbuffers.number_types.VOffsetTFlags, layout)
    inline = tab.Get(flatbuffers.number_types.VOffsetTFlags, layout + 2)
    spans[layout, layout + size] = _LAYOUTS
    spans[tab.Pos, tab.Pos + inline] = _kind(name)
    for field in _fields(table.__class__):
        for value in _values(table, name, field, spans):
            if hasattr(value, "_tab"):
                _visit(value, spans)


def _kind(name: str) -> str:
    """Return the words for a table, or a field of one."""
    if name in _KINDS:
        return _KINDS[name]
    table = name.partition(".")[0]
    return "options of operators" if "Options" in table else "the model's own tables"


def _values(table: Any, name: str, field: str, spans: dict[tuple[int, int], str]) -> Iterator[Any]:
    """Yield the tables that a field leads to, and add the span of its vector or string."""
    tab = table._tab  # noqa: SLF001
    length = getattr(table, f"{field}Length", None)
    if length is None:
        value = getattr(table, field)()
        if isinstance(value, bytes):
            start = tab.Indirect(tab.Pos + tab.asked)
            spans[start, start + 5 + len(value)] = _kind(f"{name}.{field}")
        elif isinstance(value, flatbuffers.table.Table):  # a union: its type says which table it is
            member = getattr(schema, _UNIONS[getattr(table, f"{field}Type")()])()
            member.Init(value.Bytes, value.Pos)
            yield member
        elif value is not None:
            yield value
        return
    count = length()
    if tab.asked:
        start = tab.Vector(tab.asked) - 4
        numbers = getattr(table, f"{field}AsNumpy", None)
        width = numbers().itemsize if numbers is not None else 4
        spans[start, start + 4 + width * count] = _kind(f"{name}.{field}")
        if numbers is None:
            yield from (getattr(table, field)(place) for place in range(count))


_UNIONS: Final = {value: name for name, value in vars(schema.BuiltinOptions).items() if name[0] != "_"}
