# SPDX-License-Identifier: Apache-2.0
"""One workspace and one server of Bazel for all tests of it that run in one process of pytest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.workspaces import Workspace, copy_scenario, served


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the workspace."""
    return copy_scenario(tmp_path_factory.mktemp("bazel") / "workspace")


@pytest.fixture(scope="session")
def workspace(scenario: Path) -> Iterator[Workspace]:
    """Give the workspace."""
    with served(Workspace(scenario, scenario.parent / "base")) as given:
        yield given
