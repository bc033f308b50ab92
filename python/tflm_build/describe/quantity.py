# SPDX-License-Identifier: Apache-2.0
"""Read quantities with units, such as 80MHz or 20mW, and write them."""

import math
import re
from typing import Final

from tflm_build.errors import TflmBuildError

__all__ = ["read_quantity", "write_quantity"]

# The prefixes that each unit may have. Both letters that look like a micro sign are in use, and u.
_EXPONENTS: Final = {"n": -9, "u": -6, "µ": -6, "\N{GREEK SMALL LETTER MU}": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_ALLOWED: Final = {"Hz": ("", "k", "M", "G"), "s": ("n", "u", "m", ""), "W": ("n", "u", "m", "")}
_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"


def read_quantity(option: str, text: str, unit: str, example: str) -> float:
    """Return a quantity in its plain unit.

    Args:
        option: its name, for messages.
        text: what the user wrote: a number, an SI prefix and the unit, with or without a space in between.
        unit: Hz, s or W.
        example: what would be right.

    Raises:
        TflmBuildError: it is not a positive number with that unit.
    """
    match = re.fullmatch(rf"({_NUMBER}) ?([nuµ\N{{GREEK SMALL LETTER MU}}mkMG]?){unit}", text)
    allowed = _ALLOWED[unit]
    prefix = "u" if match and _EXPONENTS[match[2]] == _EXPONENTS["u"] else match[2] if match else None
    if match is None or prefix not in allowed or not float(match[1]):
        units = ", ".join(f"{known}{unit}" for known in allowed)
        msg = f"`{option}` got '{text}'; allowed: a positive number with {units}; such as {example}"
        raise TflmBuildError(msg)
    return float(f"{match[1]}e{_EXPONENTS[match[2]]}")


def write_quantity(value: float, unit: str) -> str:
    """Return three digits of a quantity with the prefix that leaves one to three before the point."""
    value = float(f"{value:.3g}")
    if value == 0:
        return f"0 {unit}"
    exponent = max(-9, min(9, 3 * math.floor(math.log10(abs(value)) / 3)))
    prefix = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}[exponent]
    return f"{value / 10**exponent:.3g} {prefix}{unit}"
