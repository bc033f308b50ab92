# SPDX-License-Identifier: Apache-2.0
"""Tell how far a conversion is: a bar on a terminal, plain lines elsewhere, always on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tflm_build.spelling import spell_for_caller

__all__ = ["Progress", "show_progress"]


class Progress(Protocol):
    """What `build` reports to."""

    def stage(self, title: str) -> None:
        """Say what begins now."""

    def part(self, share: float) -> None:
        """Say what share of the stage is done, 0 to 1; only a bar shows it."""

    def note(self, text: str) -> None:
        """Say what the user may want to know, or, if it begins with `warning: `, should."""


def _told(text: str) -> str:
    """Return a note with its kind before it, and options as their user spells them."""
    text = spell_for_caller(text)
    return text if text.startswith("warning: ") else f"note: {text}"


class _Lines:
    """Print a line for each stage and note, or for notes alone."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name = name
        self._quiet = quiet

    def stage(self, title: str) -> None:
        if not self._quiet:
            self._print(title)

    def part(self, share: float) -> None:
        pass

    def note(self, text: str) -> None:
        self._print(_told(text))

    def _print(self, text: str) -> None:
        sys.stderr.write(f"tflm-build: {self._name}: {text}\n")
        sys.stderr.flush()


@contextmanager
def show_progress(name: str, stages: int, *, quiet: bool) -> Iterator[Progress]:
    """Yield what a build of so many stages reports to."""
    if quiet or not sys.stderr.isatty():
        yield _Lines(name, quiet=quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=stages)

        class _Bar:
            """Move the bar when the next stage begins."""

            begun = 0

            def stage(self, title: str) -> None:
                bar.update(task, description=f"{name}: {title}", completed=self.begun)
                self.begun += 1

            def part(self, share: float) -> None:
                bar.update(task, completed=self.begun - 1 + share)

            def note(self, text: str) -> None:
                bar.console.print(f"tflm-build: {name}: {_told(text)}", markup=False, highlight=False, soft_wrap=True)

        yield _Bar()
