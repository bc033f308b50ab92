# SPDX-License-Identifier: Apache-2.0
"""Children that crash, hang, eat memory or raise are errors here, with their last words, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import ROOT
from tflm_build.child import run as child
from tflm_build.child.run import run_in_child
from tflm_build.child.table import Task
from tflm_build.errors import TflmBuildError

TESTER = Task("support.child_tasks", "Tester", 60, 4)
FORKED = replace(TESTER, library="json")
WAYS = ["new", "forked", "kept"] if sys.platform == "linux" else ["new"]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the child import `support.child_tasks`."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let the tasks here run in a new process, then in a fork, then in one of a process for them alone."""
    if request.param == "kept":
        monkeypatch.setattr(child, "_kept", {})
        child.keep_loaded(TESTER, "json")
    yield str(request.param)
    if request.param == "kept":
        child._kept["support.child_tasks"]._close()


@pytest.fixture
def tester(way: str) -> Task:
    """Give the task that runs in such a way."""
    return FORKED if way == "forked" else TESTER


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Give a folder for temporary files, which has to be empty at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def assert_gone(process: int) -> None:
    """Wait for a process to be gone: whoever inherits it, which is init's task, has to reap it first."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.1)
    pytest.fail(f"process {process} is still there")


@pytest.mark.usefixtures("temporary")
def test_a_message_travels_both_ways(tester: Task) -> None:
    request: dict[str, Any] = {
        "what": "echo", "bytes": b"\0\xff", "text": "ä", "none": None,
        "list": [np.zeros(2, np.int8), np.ones((1, 1), "f")], "numbers": [1, 2.5],
    }  # fmt: skip
    answer = run_in_child(tester, request)
    assert {key: answer[key] for key in ("what", "bytes", "text", "none", "numbers")} == {
        key: request[key] for key in ("what", "bytes", "text", "none", "numbers")
    }
    for got, sent in zip(answer["list"], request["list"], strict=True):
        assert got.dtype == sent.dtype
        assert np.array_equal(got, sent)


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize(("what", "message"), [
    ("die", "^Tester was ended by SIGSEGV on this model; its last words: about to die$"),
    ("exit", "^Tester ended with status 3 on this model$"),
    ("babble", "^Tester ended with status 3 on this model; its last words: (bla ){70,}the end$"),
    ("garble", "^Tester ended with status 0 on this model$"),
    ("eat", "^more than 4 GB of memory would be needed$"),
    ("refuse", "^this is refused$"),
    ("fill", "^the folder for temporary files, '.*', cannot be written to: No space left on device; make room in it"),
    ("attempt", "^the folder for temporary files, '.*', cannot be written to: No space left on device; make room"),
    ("surprise", "^Tester failed on this model: KeyError: 'surprise'$"),
])  # fmt: skip
def test_a_failing_child_is_an_error(tester: Task, what: str, message: str) -> None:
    with pytest.raises(TflmBuildError, match=message):
        run_in_child(tester, {"what": what})
    assert run_in_child(tester, {"what": "echo"}) == {"what": "echo"}


@pytest.mark.usefixtures("temporary")
def test_a_hanging_child_is_ended_with_all_that_it_forked(tester: Task, tmp_path: Path) -> None:
    file = tmp_path / "group"
    with pytest.raises(TflmBuildError, match=r"^Tester gave no answer within 3 s and was ended$"):
        run_in_child(replace(tester, seconds=3), {"what": "hang", "file": str(file)})
    for process in file.read_text().split()[:2]:  # the third is its parent
        assert_gone(int(process))


def test_a_child_has_a_group_a_folder_and_limits_of_its_own(tester: Task, way: str, temporary: Path) -> None:
    answer = run_in_child(tester, {"what": "tell"})
    assert answer["group"] == answer["process"] != os.getpgid(0)
    assert Path(answer["folder"]).parent == temporary
    assert answer["limits"] == [4 << 30, 4 << 30, 0]
    assert answer["threads"] == 1 or way == "new"
    assert answer["files"] == [0, 1, 2]


def test_a_child_sees_the_variables_of_its_time(tester: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("TFLM_BUILD_TEST", value)
        assert run_in_child(tester, {"what": "tell"})["variable"] == value
    assert (
        run_in_child(replace(tester, environment={"TFLM_BUILD_TEST": "three"}), {"what": "tell"})["variable"] == "three"
    )


@pytest.mark.usefixtures("temporary")
def test_threads_get_their_own_answers(tester: Task) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda number: run_in_child(tester, {"what": "echo", "number": number}), range(12))
        assert [answer["number"] for answer in answers] == list(range(12))


@pytest.mark.skipif("forked" not in WAYS, reason="this system has no forks that last")
def test_only_what_may_be_forked_is_forked() -> None:
    parents = [run_in_child(task, {"what": "tell"})["parent"] for task in (FORKED, TESTER)]
    assert [parent == os.getpid() for parent in parents] == [False, True]


@pytest.mark.skipif("forked" not in WAYS, reason="this system has no forks that last")
def test_the_process_that_is_forked_may_die() -> None:
    first = run_in_child(FORKED, {"what": "tell"})["parent"]
    assert run_in_child(FORKED, {"what": "tell"})["parent"] == first
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert run_in_child(FORKED, {"what": "tell"})["parent"] != first
    with pytest.raises(TflmBuildError, match=r"^Tester cannot be run: the process that it is forked from has ended"):
        run_in_child(FORKED, {"what": "murder"})
    run_in_child(FORKED, {"what": "tell"})


@pytest.mark.skipif("forked" not in WAYS, reason="this system has no forks that last")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_the_one_that_started_it(end: int, tmp_path: Path) -> None:
    file = tmp_path / "group"
    script = (
        # A shell that starts the tests in the background lets them ignore it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tflm_build.child.run import run_in_child\n"
        "from tflm_build.child.table import Task\n"
        f"run_in_child(Task('support.child_tasks', 'T', 60, 4, 'json'), {{'what': 'hang', 'file': {str(file)!r}}})\n"
    )
    # What is killed cannot clear its temporary folder away.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, env=environment)
    while not file.exists() or len(file.read_text().split()) < 3:
        time.sleep(0.05)
    process.send_signal(end)
    process.wait(10)
    for survivor in file.read_text().split():
        assert_gone(int(survivor))
