# SPDX-License-Identifier: Apache-2.0
"""Children that crash, hang, eat memory or raise are errors here, with their last words."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tflm_build.child import Task, run_in_child
from tflm_build.errors import TflmBuildError


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the child import `child_tasks`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def test_a_message_travels_both_ways() -> None:
    request: dict[str, Any] = {
        "what": "echo", "bytes": b"\0\xff", "text": "ä", "none": None,
        "list": [np.zeros(2, np.int8), np.ones((1, 1), "f")], "numbers": [1, 2.5],
    }  # fmt: skip
    answer = run_in_child(Task("child_tasks", "Echo", 60, 4), request)
    assert {key: answer[key] for key in ("what", "bytes", "text", "none", "numbers")} == {
        key: request[key] for key in ("what", "bytes", "text", "none", "numbers")
    }
    for got, sent in zip(answer["list"], request["list"], strict=True):
        assert got.dtype == sent.dtype
        assert np.array_equal(got, sent)


@pytest.mark.parametrize(("what", "message"), [
    ("die", "^Tester was ended by SIGSEGV on this model; its last words: about to die$"),
    ("exit", "^Tester ended with status 3 on this model$"),
    ("eat", "^more than 4 GB of memory would be needed$"),
    ("refuse", "^this is refused$"),
    ("surprise", "^KeyError: 'surprise'$"),
])  # fmt: skip
def test_a_failing_child_is_an_error(what: str, message: str) -> None:
    with pytest.raises(TflmBuildError, match=message):
        run_in_child(Task("child_tasks", "Tester", 60, 4), {"what": what})


def test_a_hanging_child_is_ended_with_all_that_it_forked(tmp_path: Path) -> None:
    file = tmp_path / "group"
    with pytest.raises(TflmBuildError, match=r"^Tester gave no answer within 3 s and was ended$"):
        run_in_child(Task("child_tasks", "Tester", 3, 4), {"what": "hang", "file": str(file)})
    group = int(file.read_text())
    for _ in range(100):  # the last of the group has to be reaped first, which is init's task
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a forked process is still there")
