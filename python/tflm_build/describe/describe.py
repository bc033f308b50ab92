# SPDX-License-Identifier: Apache-2.0
"""Describe a model: from its manifest, or from a source that nothing was built of yet."""

from pathlib import Path

from tflm_build.describe.description import Description
from tflm_build.describe.from_manifest import describe_manifest

__all__ = ["describe"]


def describe(path: str, *, check_files: bool) -> Description:
    """Describe what a path leads to: a manifest, or any source of a model.

    Args:
        path: a .json file, or what the option SRC takes.
        check_files: check the digests of a manifest against the files beside it.

    Raises:
        TflmBuildError: it cannot be read, or is not what its name says.
    """
    if Path(path).suffix.lower() == ".json":
        return describe_manifest(Path(path), check_files=check_files)
    from tflm_build.describe.from_model import describe_source  # it loads the schema, which a manifest does not need

    return describe_source(path)
