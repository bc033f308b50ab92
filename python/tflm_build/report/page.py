# SPDX-License-Identifier: Apache-2.0
"""Fill a template of a page: what comes from a model is escaped everywhere."""

from collections.abc import Mapping
from functools import cache
from math import isfinite
from typing import Any

import jinja2

from tflm_build.escape import escape

__all__ = ["fill_page", "percent", "printable"]

_LONGEST = 300  # letters of a text: a page stays small whatever a model is called


def fill_page(template: str, **words: object) -> bytes:
    """Fill a template of the package.

    Args:
        template: its file, without the end `.in`.
        words: what it is filled with.

    Raises:
        TypeError, ValueError: a word is not of the kind that the template needs.
    """
    try:
        text = _environment().get_template(template + ".in").render(words)
    except jinja2.UndefinedError as error:
        raise ValueError(error.message) from error
    return text.encode()


def printable(value: Any) -> Any:
    """Return a value of JSON whose texts can be shown: of a bounded length, and with no letters that cannot be seen."""
    if isinstance(value, str):
        text = escape(value[:_LONGEST])
        return text if len(value) <= _LONGEST else text + "\N{HORIZONTAL ELLIPSIS}"
    if isinstance(value, Mapping):
        return {printable(key): printable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [printable(each) for each in value]
    return value


def percent(part: float, whole: float) -> float:
    """Return a part in percent, from 0 to 100, as precise as a picture needs it.

    Raises:
        ValueError: a number is infinite, as JSON of a stranger's may be.
    """
    if not (isfinite(part) and isfinite(whole)):
        msg = "a number is infinite"
        raise ValueError(msg)
    return round(min(100.0, max(0.0, 100 * part / whole)), 2) if whole else 0.0


@cache
def _environment() -> jinja2.Environment:
    """Set Jinja up: every word is escaped, and one that is missing is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tflm_build.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["whole"] = lambda number: f"{number:,d}"
    environment.filters["short"] = lambda number: f"{number:.3g}".replace("-", "\N{MINUS SIGN}")
    environment.filters["percent"] = _share
    return environment


def _share(share: float) -> str:
    """Write a share in percent, and never a small one as zero."""
    if share == 0:
        return "0 %"
    if 0 < share < 0.1:  # noqa: PLR2004
        return "under 0.1 %"
    return f"{share:.1f} %" if share < 10 else f"{share:.0f} %"  # noqa: PLR2004
