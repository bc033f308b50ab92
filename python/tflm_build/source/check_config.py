# SPDX-License-Identifier: Apache-2.0
"""Refuse a configuration of a Keras model that names what is not on the list of harmless names."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

from tflm_build.errors import TflmBuildError, first_line

__all__ = ["check_config"]

_LAMBDAS: Final = frozenset({"Lambda", "__lambda__"})
_SYMBOLS: Final = frozenset({"TFOpLambda", "SlicingOpLambda"})
_PACKAGES: Final = frozenset({"keras", "tf_keras", "builtins"})


def check_config(text: bytes) -> None:
    """Check every class and function that a configuration names, on every level, without building any.

    Args:
        text: the configuration as JSON; empty: the file has none, which Keras will say.

    Raises:
        TflmBuildError: it cannot be read, or names something that is not in keras_allowed.txt.
    """
    try:
        config = json.loads(text, object_pairs_hook=_unique) if text else {}
        if isinstance(config, dict):
            config.pop("compile_config", None)  # models are loaded with compile=False, which drops it
        fault = next(_faults(config), "")
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"`SRC` has a configuration that cannot be read: {first_line(error)}; save the model again"
        raise TflmBuildError(msg) from error
    if fault in _LAMBDAS:
        msg = (
            "`SRC` has a Lambda layer, which is Python code inside of the file; replace it by layers of Keras, or, if "
            "you trust the file as you trust a program, pass `UNSAFE_DESERIALIZE`"
        )
        raise TflmBuildError(msg)
    if fault:
        msg = (
            f"`SRC` has {fault}, which may run code or read files; allowed: Keras' own layers and pure functions of "
            "tensors; build the model in a function, module.py:function, or, if you trust the file as you trust a "
            "program, pass `UNSAFE_DESERIALIZE`"
        )
        raise TflmBuildError(msg)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; a key that comes twice would hide its first value from the check."""
    made = dict(pairs)
    if len(made) < len(pairs):
        msg = "an object has two values of the same name"
        raise ValueError(msg)
    return made


def _faults(config: Any) -> Iterator[str]:
    """Give what a configuration names that is not allowed; a Lambda as its class."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield from _class_faults(config)
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _faults(value)


def _class_faults(config: dict[str, Any]) -> Iterator[str]:
    """Give what is wrong with an object that names a class or a function."""
    name, module, inner = config["class_name"], config.get("module"), config.get("config")
    registered = config.get("registered_name")
    if isinstance(name, str) and name.rpartition(">")[2] in _LAMBDAS:
        yield name.rpartition(">")[2]
    elif name == "function":
        if inner not in _ALLOWED["function"] or module not in {None, "builtins", "keras.activations"}:
            yield f"the function {inner!r} of {module!r}"
    elif name in _SYMBOLS:
        function = inner.get("function") if isinstance(inner, dict) else inner
        if function not in _ALLOWED["tensor_function"]:
            yield f"a layer that calls the function {function!r}"
    elif name not in _ALLOWED["class"]:
        yield f"an object of the class {name!r}"
    elif module is not None and str(module).partition(".")[0] not in _PACKAGES:
        yield f"an object of the module {module!r}"
    elif registered not in {None, name}:
        yield f"an object that is registered as {registered!r}"


def _read_allowed() -> dict[str, frozenset[str]]:
    """Read the names of each kind."""
    text = (files("tflm_build.source") / "keras_allowed.txt").read_text("utf-8")
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            kind, *names = line.split()
            found.setdefault(kind, set()).update(names)
    return {kind: frozenset(names) for kind, names in found.items()}


_ALLOWED: Final = _read_allowed()
