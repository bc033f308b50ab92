# SPDX-License-Identifier: Apache-2.0
"""Refuse an HDF5 file that reaches beyond itself, before Keras opens it."""

from tflm_build.child.run import run_in_child
from tflm_build.child.table import CHECK_HDF5
from tflm_build.errors import TflmBuildError

__all__ = ["check_hdf5"]


def check_hdf5(name: str, data: bytes) -> bytes:
    """Look at every link, data set and attribute, in a child process.

    Args:
        name: of the file, for messages.
        data: its bytes.

    Returns:
        The configuration of the model that is in it, as JSON; empty if there is none.

    Raises:
        TflmBuildError: it is no HDF5 file, holds what Keras never writes, or kills the library that reads it.
    """
    answer = run_in_child(CHECK_HDF5, {"hdf5": data})
    if answer["fault"]:
        msg = f"`SRC` is not a model that Keras can load: '{name}' {answer['fault']}; save it again"
        raise TflmBuildError(msg)
    config: bytes = answer["config"]
    return config
