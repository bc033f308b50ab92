# SPDX-License-Identifier: Apache-2.0
"""Make text of a stranger's making safe to print."""

__all__ = ["escape"]


def escape(text: str) -> str:
    r"""Replace what cannot be seen, or moves the cursor or turns the line, by what Python writes for it, as \x1b."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "replace").decode() for letter in text
    )
