# SPDX-License-Identifier: Apache-2.0
"""End a command: an error is one line on standard error and the exit status 1, whatever it is."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from tflm_build.errors import TflmBuildError, first_line
from tflm_build.spelling import CALLER, spell_for_caller

__all__ = ["one_line_errors", "print_error"]

_LONGEST: Final = 500  # characters of a line that is still read
_LEFT_OUT: Final = " ... (--verbose has all) ... "


@contextmanager
def one_line_errors(who: str | Path, *, verbose: bool, source: str | None = None) -> Iterator[None]:
    """Print what is raised as one line, with its trace before it if that is wanted, and exit.

    Args:
        who: what an error is about; a file or folder is called by its name, which '.' and '/' do not have.
        verbose: whether to print the trace.
        source: the command's argument that takes what is elsewhere the option SRC.
    """
    if isinstance(who, Path):
        who = who.name or str(who)
    try:
        yield
    except TflmBuildError as error:
        if verbose:
            click.echo(error.trace or traceback.format_exc(), err=True)
        print_error(who, spell_for_caller(error.marked, {} if source is None else {"SRC": source}), whole=verbose)
        sys.exit(1)
    except BrokenPipeError:  # the reader of the output has closed it; click ends the program then
        raise
    except Exception as error:  # noqa: BLE001 - a bug of this program, still reported in one line
        if verbose:
            click.echo(traceback.format_exc(), err=True)
        print_error(who, f"{first_line(error)}; this is a fault of tflm-build; --verbose shows where", whole=verbose)
        sys.exit(1)


def print_error(who: str, message: str, *, whole: bool = False) -> None:
    """Print an error, behind what was printed as a result; its middle is left out if it is long and `whole` is not set.

    What went wrong stands at the begin, the remedy at the end. In a build by CMake, it follows a command that fills the
    screen: an empty line sets it apart.
    """
    line = f"tflm-build: error: {who}: {message}"
    if len(line) > _LONGEST and not whole:
        half = (_LONGEST - len(_LEFT_OUT)) // 2
        line = line[:half] + _LEFT_OUT + line[-half:]
    with suppress(OSError):  # the reader of the results has closed them
        sys.stdout.flush()
    click.echo(f"\n{line}" if os.environ.get(CALLER) == "cmake" else line, err=True)
