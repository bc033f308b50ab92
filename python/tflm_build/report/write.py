# SPDX-License-Identifier: Apache-2.0
"""Make the page of a manifest, or of all manifests in a folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tflm_build.errors import TflmBuildError
from tflm_build.files import place_files
from tflm_build.manifest.read import hold_files, read_content
from tflm_build.report.model_page import model_page
from tflm_build.report.overview_page import find_manifests, overview_page

__all__ = ["report"]


def report(source: Path, target: Path | None) -> Path:
    """Write the page of one model, or the overview of a folder.

    Args:
        source: a manifest, or a folder that has some in it or below it.
        target: the page; None: beside the manifest, or models.html in the folder.

    Returns:
        The page's path.

    Raises:
        TflmBuildError: there is no manifest, it is damaged, or does not belong to the files beside it; or the page
            cannot be written.
    """
    if source.is_dir():
        target = target or source / "models.html"
        page = _overview(source, target)
    else:
        target = target or source.with_suffix(".html")
        content = _read(source)
        page = _whole(source, partial(model_page, content))
    if target.resolve() == source.resolve():
        msg = f"the page would take the place of '{source}'; pass another file as --output"
        raise TflmBuildError(msg)
    with place_files(target.parent) as place:
        place({target.name: page}, target.name)
    return target


def _overview(folder: Path, target: Path) -> bytes:
    """Write the overview of a folder."""
    paths = find_manifests(folder)
    if not paths:
        msg = f"'{folder}' has no manifest in it or below it; pass a folder that models were compiled into"
        raise TflmBuildError(msg)
    contents = {path: _read(path) for path in paths}
    for path, content in contents.items():
        _whole(path, partial(overview_page, {path: content}, target))  # says which one is damaged
    return overview_page(contents, target)


def _read(path: Path) -> dict[str, Any]:
    """Read a manifest, and check it against the files beside it."""
    content = read_content(path)
    hold_files(path, content)
    return content


def _whole(path: Path, write: Callable[[], bytes]) -> bytes:
    """Write a page; an error names the manifest."""
    try:
        return write()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        msg = f"'{path}' is damaged: {type(error).__name__}: {error}; convert the model again"
        raise TflmBuildError(msg) from error
