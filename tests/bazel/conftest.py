# SPDX-License-Identifier: Apache-2.0
"""Give the tests of this folder what they share. The code is elsewhere: mypy takes but one module of this name."""

from shared_workspace import scenario, workspace

__all__ = ["scenario", "workspace"]
