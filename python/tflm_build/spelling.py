# SPDX-License-Identifier: Apache-2.0
"""Spell options as the user does: texts mark each as `MAX_FLASH`, and what prints a text knows the user's spelling."""

import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["CALLER", "SPELLINGS", "spell", "spell_for_caller"]

CALLER: Final = "TFLM_BUILD_CALLER"
"""The environment variable by which a build system says who it is: a key of SPELLINGS; not set: the command line."""

SPELLINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "command": lambda option: "--" + option.lower().replace("_", "-"),
    "cmake": str.upper,
    "bazel": str.lower,
}

_MARKED: Final = re.compile(r"`([A-Z][A-Z0-9_]+)`")


def spell(text: str, caller: str, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a text with its marked options as a caller spells them; names has those that it spells otherwise."""
    return _MARKED.sub(lambda match: names.get(match[1]) or SPELLINGS[caller](match[1]), text)


def spell_for_caller(text: str, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a text with its marked options as the user spells them who called this program; names as in spell()."""
    caller = os.environ.get(CALLER, "")
    return spell(text, caller if caller in SPELLINGS else "command", names)
