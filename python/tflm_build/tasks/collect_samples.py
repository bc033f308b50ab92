# SPDX-License-Identifier: Apache-2.0
"""Collect the samples that a user's function yields, in a child process: only functions named as such are run."""

from pathlib import Path
from typing import Any

import numpy as np

from tflm_build.errors import TflmBuildError
from tflm_build.tasks.call_function import call_function, used_files

__all__ = ["run"]


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a function that yields samples: an array, or a dict of arrays by the names of the model's inputs.

    Args:
        request: `file` and `function`; `option` for messages.

    Returns:
        `names` and `arrays`: the samples of each input, stacked on the first axis; `files` of its own folder that the
        function imported or read.

    Raises:
        TflmBuildError: it fails, or yields nothing, or samples that differ in shape or names.
    """
    option, file = request["option"], Path(request["file"])
    what = f"`{option}` '{file.name}:{request['function']}'"
    columns: dict[str, list[Any]] = {}
    count = 0
    for sample in call_function(what, file, request["function"], as_iterator=True):
        for name, value in (sample if isinstance(sample, dict) else {"": sample}).items():
            columns.setdefault(str(name), []).append(np.asarray(value))
        count += 1
    if not count:
        msg = f"{what} yields no sample; yield an array, or a dict of arrays by input name"
        raise TflmBuildError(msg)
    for name, values in columns.items():
        if len(values) != count or len({value.shape for value in values}) > 1:
            msg = f"{what} yields samples that differ in shape or names at input '{name}'; yield one shape"
            raise TflmBuildError(msg)
        if values[0].dtype == object:
            msg = f"{what} yields Python objects; yield arrays of numbers"
            raise TflmBuildError(msg)
    files = used_files(file.parent)
    return {"names": list(columns), "files": files, "arrays": [np.stack(values) for values in columns.values()]}
