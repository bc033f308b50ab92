# SPDX-License-Identifier: Apache-2.0
"""Read what JSON holds into a dataclass, and refuse what is of another type."""

import dataclasses
import types
import typing
from typing import Any, TypeVar

__all__ = ["read_record"]

Record = TypeVar("Record")


def read_record(kind: type[Record], value: Any, where: str = "") -> Record:
    """Make a dataclass from a JSON object; members that it has no field for are passed over.

    Args:
        kind: the dataclass; its fields are scalars, dataclasses, tuples of one of these, dictionaries, or one or None.
        value: what JSON gave.
        where: the object's name, for messages; empty: the outermost.

    Raises:
        ValueError: a member is missing, or of another type.
    """
    if not isinstance(value, dict):
        msg = f"{where or 'it'} is {_name(value)}, and not an object"
        raise ValueError(msg)  # noqa: TRY004 - one kind of error for all that is wrong with the data
    hints = typing.get_type_hints(kind)
    members = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type] # a dataclass, as the caller promises
        if field.name not in value and field.default is not dataclasses.MISSING:
            continue  # a manifest does not say it
        if field.name not in value:
            msg = f"{where or 'it'} has no {field.name}"
            raise ValueError(msg)
        members[field.name] = _read(hints[field.name], value[field.name], f"{where}.{field.name}".lstrip("."))
    return kind(**members)


def _read(kind: Any, value: Any, where: str) -> Any:
    """Read a value of any allowed type."""
    if kind is Any:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _read(arguments[0], value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(arguments[0], element, f"{where}[{index}]") for index, element in enumerate(value))
    if dataclasses.is_dataclass(kind):
        return read_record(kind, value, where)  # type: ignore[arg-type] # an instance is never an annotation
    wanted = origin or kind
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        msg = f"{where} is {_name(value)}, and not {'a list' if wanted is tuple else wanted.__name__}"
        raise ValueError(msg)
    if origin is dict:
        return {key: _read(arguments[1], member, f"{where}.{key}") for key, member in value.items()}
    return value


def _name(value: Any) -> str:
    """Name the type of a value of JSON."""
    names = {dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value), type(value).__name__)
