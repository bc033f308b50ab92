# SPDX-License-Identifier: Apache-2.0
"""The command line: options from the table, errors in one line, nothing but results on standard output."""

import os
import platform
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tflm_build import __version__
from tflm_build.command_options import Grouped, complete_file, table_options
from tflm_build.end_command import one_line_errors, print_error
from tflm_build.end_with_build import end_with_build
from tflm_build.errors import TflmBuildError
from tflm_build.export_commands import export
from tflm_build.options import read_options
from tflm_build.spelling import CALLER

__all__ = ["end_with_signals", "main", "run"]

# The keys of emit.EMITTED, which is not imported for `--help`; a test compares them.
_EMITTED = (
    "tflite", "header", "model", "data", "assembly", "ops", "golden-header", "golden", "golden-arrays", "arena",
    "manifest", "report",
)  # fmt: skip


def _print_cmake_dir(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    """Answer `--cmake-dir`."""
    if value:
        from tflm_build.vendor import package_root

        click.echo((package_root() / "cmake").as_posix())
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tflm-build")
@click.option(
    "--cmake-dir", is_flag=True, is_eager=True, expose_value=False, callback=_print_cmake_dir,
    help="Print the folder to pass to CMake as tflm_build_DIR.",
)  # fmt: skip
def _command() -> None:
    """Compile trained models into C for TensorFlow Lite for Microcontrollers."""


def _name_of(src: str) -> str:
    """Make a C identifier of a file's name, or of a function's."""
    path, _, function = src.rpartition(":")
    stem = function if path.endswith(".py") else Path(src).stem
    return re.sub(r"\W", "_", stem, flags=re.ASCII)


@_command.command(cls=Grouped)
@click.argument("model", required=False, shell_complete=complete_file)
@table_options
@click.option(
    "--out-dir", type=Path, metavar="DIR",
    help="where the files go; created if need be; default with MODEL: NAME.tflm beside it",
)  # fmt: skip
@click.option(
    "--emit", default="all", type=click.Choice(["all", *_EMITTED]), metavar="FILE",
    help=f"write one file alone: {', '.join(_EMITTED)}",
)  # fmt: skip
@click.option(
    "--probe", type=Path, metavar="PATH",
    help="object file of runtime/src/probe.cc, which has sizes of your TFLM's structures for your chip",
)  # fmt: skip
@click.option("--check", is_flag=True, help="check the options, and write nothing")
@click.option("-q", "--quiet", is_flag=True, help="print notes and errors, but no progress")
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def convert(
    *,
    model: str | None,
    out_dir: Path | None,
    emit: str,
    probe: Path | None,
    check: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> None:
    """Compile one model: write C files, manifest and depfile.

    MODEL is what --src takes, with a name and a folder of its own: `tflm-build convert sine.keras` writes the model
    sine into sine.tflm.
    """
    beside = model is not None and out_dir is None
    if (model is None) == (values["src"] is None):
        msg = "pass MODEL, or --src with --name and --out-dir"
        raise click.UsageError(msg)
    if model is not None:
        values |= {"src": model, "name": values["name"] or _name_of(model)}
        out_dir = out_dir or Path(model).parent / f"{values['name']}.tflm"
    if values["name"] is None or out_dir is None:
        msg = f"--src needs {'--name' if values['name'] is None else '--out-dir'}"
        raise click.UsageError(msg)
    with one_line_errors(values["name"] or "convert", verbose=verbose, source=None if model is None else "MODEL"):
        options = read_options(values)
        if check:
            return
        from tflm_build.child.run import load_early
        from tflm_build.child.table import RUN_TFLM

        load_early(RUN_TFLM)
        from tflm_build.build import build, count_stages
        from tflm_build.progress import show_progress

        with show_progress(options.name, count_stages(options), quiet=quiet) as progress:
            result = build(options, out_dir, progress, emit=emit, probe=probe)
    click.echo(result.summary + f"\n  files  {out_dir}" * beside)


@_command.command()
@click.argument("folder", type=Path)
@click.option("--cmake", "system", flag_value="cmake", default=True, help="a project of CMake; the default")
@click.option("--bazel", "system", flag_value="bazel", help="a workspace of Bazel, with a copy of the rules")
@click.option(
    "--target", default="host", type=click.Choice(("host", "cortex-m-qemu")), show_default=True,
    help="what the firmware is for: this machine, or a board that QEMU stands for",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def init(*, folder: Path, system: str, target: str, verbose: bool) -> None:
    """Start a project in FOLDER that builds and tests.

    It has a model and its data, what trains it, firmware, tests, and a workflow for GitHub.
    """
    from tflm_build.start_project import start_project

    with one_line_errors("init", verbose=verbose):
        commands = start_project(folder, system, target)
    click.echo("\n".join([f"cd {shlex.quote(str(folder))}", *commands]))


@_command.command()
@click.argument("folder", type=Path)
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def vendor(*, folder: Path, verbose: bool) -> None:
    """Copy the CMake package and the runtime into FOLDER.

    For a project that carries them itself.
    """
    from tflm_build.vendor import vendor as copy

    with one_line_errors("vendor", verbose=verbose):
        files = copy(folder)
    click.echo(f'{len(files)} files in {folder}; include("{(folder / "cmake" / "TflmBuild.cmake").as_posix()}")')


@_command.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--model", "models", multiple=True, required=True, metavar="MODEL",
    help="name or manifest of a model in the image; the manifest of a name is looked for beside the image, in two "
    "folders above it, and in the current one; may be given several times",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def verify(*, image: Path, models: tuple[str, ...], verbose: bool) -> None:
    """Check the models in a linked ELF image on TFLM.

    A model has to have the bytes that its manifest states, aligned, in memory that is neither written to nor copied to
    RAM, and has to give the golden outputs.
    """
    from tflm_build.image.verify import verify_models

    with one_line_errors(image, verbose=verbose):
        verdicts = verify_models(image, models)
    for verdict in verdicts:
        for fault in verdict.faults:
            print_error(verdict.model, fault)
        if not verdict.faults:
            click.echo(verdict.summary)
    if any(verdict.faults for verdict in verdicts):
        sys.exit(1)


@_command.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def size(*, image: Path, as_json: bool, verbose: bool) -> None:
    """Show what models, TFLM and the rest take of an image.

    Each byte of flash and RAM of a linked ELF image counts once: for a model, for TFLM, for the runtime, or the rest.
    """
    from tflm_build.image.read import read_image
    from tflm_build.image.show_size import show_size
    from tflm_build.image.size import size_image

    with one_line_errors(image, verbose=verbose):
        show_size(size_image(read_image(image)), as_json=as_json)


@_command.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("--structure", is_flag=True, help="show every byte of it by kind")
@click.option("--target", metavar="CORE@CLOCK", help="estimate the time of a run, as on cortex-m4@80MHz")
@click.option("--kernels", metavar="NAME", help="reference, or a library; default: the one known for the core")
@click.option("--period", metavar="TIME", help="from one run to the next, as 100ms: estimates the duty cycle")
@click.option("--active-power", metavar="POWER", help="while it runs, as 20mW: estimates the energy of a run")
@click.option("--sleep-power", metavar="POWER", help="between runs, as 10uW: estimates the mean power")
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def inspect(
    *, model: str, as_json: bool, structure: bool, verbose: bool, target: str | None, **asked: str | None
) -> None:
    """Show tensors, layers and ops of a model, and their cost.

    MODEL is a manifest, a .json file, or what convert takes as --src.
    """
    from tflm_build.describe.describe import describe
    from tflm_build.describe.estimate import estimate, read_conditions
    from tflm_build.describe.show_inspection import show_inspection

    for option, value in asked.items():
        if value is not None and target is None:
            msg = f"--{option.replace('_', '-')} needs --target, such as cortex-m4@80MHz"
            raise click.UsageError(msg)
    with one_line_errors(Path(model), verbose=verbose, source="MODEL"):
        conditions = None if target is None else read_conditions(target=target, **asked)
        description = describe(model, check_files=True)
        estimated = None if conditions is None else estimate(description.layers, conditions)
        show_inspection(description, estimated, as_json=as_json, structure=structure)


@_command.command()
@click.argument("before")
@click.argument("after")
@click.option(
    "--fail-if", "limits", multiple=True, metavar="LIMIT",
    help="how much may change for the worse, as arena+5% or flash+1K: more is exit status 1; may be given "
    "several times",
)  # fmt: skip
@click.option(
    "--format", "form", default="text", type=click.Choice(("text", "markdown", "json")), show_default=True,
    help="markdown is for pull requests",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def diff(*, before: str, after: str, limits: tuple[str, ...], form: str, verbose: bool) -> None:
    """Show what changed from one manifest to another.

    Bytes, arena, MACs, accuracy, ops, options and tools.
    """
    from tflm_build.describe.compare import compare, exceeded, read_limit
    from tflm_build.describe.describe import describe
    from tflm_build.describe.show_comparison import show_comparison

    descriptions = []
    for argument, path in (("BEFORE", before), ("AFTER", after)):
        with one_line_errors(Path(path), verbose=verbose, source=argument):
            descriptions.append(describe(path, check_files=False))
    name = descriptions[1].name
    with one_line_errors(name, verbose=verbose):
        comparison = compare(*descriptions)
        faults = list(exceeded(comparison, [read_limit(limit) for limit in limits]))
        show_comparison(comparison, faults, form)
    for fault in faults:
        print_error(name, fault)
    if faults:
        sys.exit(1)


@_command.command()
@click.argument("layers", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def ops(*, layers: tuple[str, ...], as_json: bool, verbose: bool) -> None:
    """Show which layers of Keras build, and what they become.

    In float32, int8 and int16x8, with the ops of TFLM; or why they are refused.

    LAYERS are classes of keras.layers; default: all.
    """
    from tflm_build.describe.keras_layers import show_keras_layers

    with one_line_errors("ops", verbose=verbose):
        show_keras_layers(layers, as_json=as_json)


@_command.command()
@click.argument("source", type=Path)
@click.option(
    "-o", "--output", type=Path, metavar="FILE",
    help="the report; default: NAME.html beside the manifest, or models.html in the folder",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def report(*, source: Path, output: Path | None, verbose: bool) -> None:
    """Write the report on a model: one HTML page.

    SOURCE is a manifest, or a folder: then it is an overview of all models that were compiled into it.
    """
    from tflm_build.report.write import report as write_report

    with one_line_errors(source, verbose=verbose):
        page = write_report(source, output)
    click.echo(page)


_command.add_command(export)


def end_with_signals() -> None:
    """Let this process end in an orderly way when a build system ends it: its children end with it."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, _frame: sys.exit(128 + number))


def run(words: Sequence[str]) -> None:
    """Run `tflm-build` with arguments, and exit."""
    _command(args=list(words), prog_name="tflm-build")


def _check_machine() -> None:
    """Refuse the one system that Python runs on and LiteRT does not."""
    if (sys.platform, platform.machine()) == ("darwin", "x86_64"):
        msg = (
            "there is no ai-edge-litert for macOS on Intel; allowed: macOS on Apple silicon with a Python for it, "
            "Linux, Windows on x64; take one of these, or a container for Linux"
        )
        raise TflmBuildError(msg)


def main() -> None:
    """Run `tflm-build` as its user called it."""
    end_with_signals()
    with one_line_errors("this machine", verbose=False):
        _check_machine()
    if os.environ.get(CALLER) == "cmake":
        end_with_build()
    run(sys.argv[1:])
