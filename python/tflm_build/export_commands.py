# SPDX-License-Identifier: Apache-2.0
"""The commands that write what other programs read."""

from pathlib import Path
from typing import Any

import click

from tflm_build.end_command import one_line_errors

__all__ = ["export"]


@click.group()
def export() -> None:
    """Write what other programs read beside a model."""


@export.command()
@click.argument("model", type=Path)
@click.option("--wake-word", required=True, metavar="TEXT", help='what is said; "vad" for voice activity')
@click.option("--author", required=True, metavar="TEXT", help="who made the model")
@click.option("--website", metavar="URL", help="of the author")
@click.option(
    "--language", "trained_languages", multiple=True, required=True, metavar="CODE",
    help="that the model was trained on, as en; may be given several times",
)  # fmt: skip
@click.option(
    "--feature-step-size", required=True, type=click.IntRange(0, 30), metavar="MS",
    help="milliseconds from one step of features to the next, 0 to 30",
)  # fmt: skip
@click.option(
    "--probability-cutoff", required=True, type=click.FloatRange(0, 1), metavar="P",
    help="what the mean of the last answers has to exceed, 0 to 1",
)  # fmt: skip
@click.option(
    "--sliding-window-size", required=True, type=click.IntRange(1), metavar="N", help="answers that the mean is of"
)
@click.option(
    "--minimum-esphome-version", default="2024.7.0", show_default=True, metavar="VERSION",
    help="the first ESPHome that runs the model",
)  # fmt: skip
@click.option(
    "-o", "--output", type=Path, metavar="FILE", help="the file; default: NAME_esphome.json beside the manifest"
)
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def esphome(*, model: Path, output: Path | None, verbose: bool, **said: Any) -> None:
    """Write the JSON that ESPHome's wake words need.

    Version 2 of what its micro_wake_word reads beside a model.

    MODEL is a manifest. Its arena becomes tensor_arena_size; the rest is of the options.
    """
    from tflm_build.export.esphome import WakeWord, export_esphome

    with one_line_errors(model, verbose=verbose):
        path = export_esphome(model, output, WakeWord(**said))
    click.echo(path)


@export.command()
@click.argument("models", type=Path, nargs=-1, required=True)
@click.option("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the library; named for its folder")
@click.option(
    "--tflm-header", default="Chirale_TensorFlowLite.h", show_default=True, metavar="NAME",
    help="header by which Arduino finds the library that has TFLM",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="on an error, print where it happened")
def arduino(*, models: tuple[Path, ...], output: Path, tflm_header: str, verbose: bool) -> None:
    """Write a library folder for Arduino and PlatformIO.

    For the Arduino IDE, arduino-cli and PlatformIO. MODELS are the manifests of all models of the program.
    """
    from tflm_build.export.arduino import export_arduino

    with one_line_errors(models[0], verbose=verbose):
        export_arduino(models, output, tflm_header)
    click.echo(output)
