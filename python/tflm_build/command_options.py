# SPDX-License-Identifier: Apache-2.0
"""The options of convert as Click has them: from the table, in groups, with what completes their values in a shell."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from tflm_build.options import Options
from tflm_build.spelling import spell

__all__ = ["GROUPS", "Grouped", "complete_file", "table_options"]

_LONGEST = 40  # characters of choices that fit beside an option

# What the help of convert says of options beside the table's text.
_BY_MODEL = {"name": "; default with MODEL: the file's name"}

# Where a group of options begins in the help of convert: an option that is not named belongs to the one before it.
GROUPS = {
    "name": "Model", "quantize": "Quantization", "max_lsb": "Tolerances", "max_flash": "Budgets",
    "plan": "What is emitted", "unsafe_deserialize": "Safety", "out_dir": "Command",
}  # fmt: skip


class Grouped(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options below the headings of their groups."""
        groups: dict[str, list[tuple[str, str]]] = {}
        heading = ""
        for parameter in self.get_params(ctx):
            heading = GROUPS.get(parameter.name or "", heading)
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(heading, []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _complete(facts: Mapping[str, Any]) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]] | None:
    """Return what completes the values of an option in a shell: its choices, or files."""
    if facts["choices"]:
        return lambda _context, _parameter, begin: [
            CompletionItem(choice) for choice in facts["choices"] if choice.startswith(begin)
        ]
    return complete_file if facts["metavar"] == "PATH" else None


def complete_file(_context: click.Context, _parameter: click.Parameter, begin: str) -> list[CompletionItem]:
    """Let the shell complete files and folders."""
    return [CompletionItem(begin, type="file")]


def table_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each row of the table."""
    for field in reversed(dataclasses.fields(Options)):
        facts = field.metadata
        flag = facts["group"] == "flag"
        choices = "|".join(facts["choices"] or ())
        many = len(choices) > _LONGEST
        function = click.option(
            "--" + field.name.replace("_", "-"),
            is_flag=flag,
            type=None if flag else str,  # read_options() makes numbers of texts
            metavar=None if flag else facts["metavar"] or ("NAME" if many else choices),
            default=None if facts["group"] == "required" else field.default,
            show_default=facts["choices"] is not None,
            shell_complete=_complete(facts),
            help=spell(facts["meaning"], "command")
            + (f"; one of {', '.join(facts['choices'])}" if many else "")
            + _BY_MODEL.get(field.name, ""),
        )(function)
    return function
