# SPDX-License-Identifier: Apache-2.0
"""Describe a model that was built, from its manifest."""

from pathlib import Path

from tflm_build.describe.description import Built, Description, read_description
from tflm_build.errors import TflmBuildError
from tflm_build.manifest.read import hold_files, read_content
from tflm_build.manifest.records import read_record

__all__ = ["describe_manifest"]


def describe_manifest(path: Path, *, check_files: bool) -> Description:
    """Describe what was built.

    Args:
        path: of the manifest.
        check_files: check the digests in it against the files beside it.

    Raises:
        TflmBuildError: it cannot be read, or is damaged.
    """
    content = read_content(path)
    try:
        built = read_record(Built, content)
        description = read_description(content, refusal=None, arenas=built.arena.targets, built=built)
    except ValueError as error:
        msg = f"MODEL '{path}' is damaged: {error}; convert the model again"
        raise TflmBuildError(msg) from error
    if check_files:
        hold_files(path, content)
    return description
