# SPDX-License-Identifier: Apache-2.0
"""The one kind of error that a user is expected to see."""

import re
from typing import Final

from tflm_build.escape import escape
from tflm_build.spelling import spell

__all__ = ["TflmBuildError", "first_line"]

_COLOURS: Final = re.compile(r"\x1b\[[\d;]*m")
_WRAPPED: Final = "Exception encountered: "


def first_line(error: BaseException) -> str:
    """Return the first line that a library's exception says, with its type; of what Keras wraps, the reason inside."""
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    inside = [line.removeprefix(_WRAPPED) for line in lines if line.startswith(_WRAPPED)]
    reasons = [*inside, *(line for line in lines if not line.startswith("Exception encountered")), *lines]
    return f"{type(error).__name__}: {reasons[0] if reasons else 'no reason given'}"


class TflmBuildError(Exception):
    """Report what a user can fix: what, what came, what is allowed, the remedy, in one line.

    The command prints it as `tflm-build: error: <model>: <message>` and exits with 1.

    Attributes:
        trace: where it happened in a child process, for `--verbose`.
    """

    def __init__(self, message: str, trace: str = "") -> None:
        """Keep the message as one line that can be printed, whatever it quotes."""
        super().__init__(escape(" ".join(message.split())))
        self.trace = trace

    @property
    def marked(self) -> str:
        """The message with its options marked as `MAX_FLASH`, for who prints it or passes it on."""
        return str(self.args[0])

    def __str__(self) -> str:
        """Return the message with its options as the table of options names them: MAX_FLASH."""
        return spell(self.marked, "cmake")
