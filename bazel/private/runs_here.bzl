# SPDX-License-Identifier: Apache-2.0
"""Say for which platforms something can be built."""

def only_here(otherwise):
    """Return `target_compatible_with` of what runs where Bazel does: a device has another operating system, or none.

    Args:
        otherwise: the constraint of `//bazel` that is named where such a target is asked for.

    Returns:
        a `select`.
    """
    return select({
        str(Label("//bazel:on_linux")): [],
        str(Label("//bazel:on_macos")): [],
        "//conditions:default": [str(Label("//bazel:" + otherwise))],
    })
