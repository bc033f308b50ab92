# SPDX-License-Identifier: Apache-2.0
"""What comes from a cache: after a clean, in a second checkout, and when the server of the cache dies."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.caches import HttpCache, http_cache
from support.workspaces import Workspace, copy_models, served

TARGETS = ("//models:sine", "//models:dense", "//models:made")
HIT = "remote cache hit"  # Bazel 4 says it of a disk cache as well


@pytest.fixture(scope="module")
def second(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a second checkout, elsewhere and with an output base of its own."""
    folder = copy_models(scenario, tmp_path_factory.mktemp("second") / "elsewhere")
    with served(Workspace(folder, folder.parent / "base")) as given:
        yield given


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpCache]:
    """Run an empty HTTP cache."""
    with http_cache(tmp_path) as given:
        yield given


def hits(workspace: Workspace, option: str) -> list[str]:
    """Build after a clean; return what ran each conversion."""
    workspace.bazel("clean")
    return replace(workspace, options=(option,)).bazel("build", *TARGETS).runners()


def test_a_disk_cache(workspace: Workspace, second: Workspace, tmp_path: Path) -> None:
    option = f"--disk_cache={tmp_path / 'cache'}"
    assert hits(workspace, option) == ["worker"] * 3
    expected = workspace.emitted("models", "sine")
    assert hits(workspace, option) == [HIT] * 3
    assert hits(second, option) == [HIT] * 3
    assert second.emitted("models", "sine") == expected


def test_an_http_cache(workspace: Workspace, second: Workspace, server: HttpCache) -> None:
    assert hits(workspace, server.option) == ["worker"] * 3
    assert server.requests("PUT", 201) > 0
    expected = workspace.emitted("models", "sine")
    assert hits(workspace, server.option) == [HIT] * 3
    assert hits(second, server.option) == [HIT] * 3
    assert second.emitted("models", "sine") == expected


def test_a_server_that_dies_in_mid_build(workspace: Workspace, server: HttpCache) -> None:
    """Its end costs time and a warning."""

    def end_after_the_first_upload() -> None:
        deadline = time.monotonic() + 120
        while server.requests("PUT", 201) == 0 and time.monotonic() < deadline:
            time.sleep(0.005)
        server.end()

    killer = threading.Thread(target=end_after_the_first_upload)
    killer.start()
    assert hits(workspace, server.option) == ["worker"] * 3
    killer.join()
    assert server.process.poll() is not None
    uploaded = server.requests("PUT", 201)
    assert 0 < uploaded < 30  # not all of the 33 emitted files and what was compiled
    assert hits(workspace, server.option) == ["worker"] * 3
