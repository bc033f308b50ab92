# SPDX-License-Identifier: Apache-2.0
"""Run `tflm-build` for Bazel: once, or again and again as a persistent worker that has TensorFlow loaded.

The arguments are those of `tflm-build`; `@FILE` stands for the lines of a file. Before them may stand

    --versions FILE         refuse to run where the file is not what `tflm_build.versions` lists
    --stage FILE PLACE      let FILE be found as {stage}/PLACE, below a folder that has nothing else
    --persistent_worker     serve requests on standard input
    --protocol=json         these are JSON, not protocol buffers
"""

import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tflm_build.bazel_worker.requests import JsonStream, ProtoStream, WorkResponse, WorkStream
from tflm_build.child.run import keep_loaded
from tflm_build.child.table import CONVERT
from tflm_build.cli import end_with_signals, run
from tflm_build.end_command import one_line_errors
from tflm_build.errors import TflmBuildError
from tflm_build.spelling import CALLER
from tflm_build.versions import all_versions

__all__ = ["main"]

_JSON: Final = "--protocol=json"
_STAGE: Final = "{stage}"


@dataclass(frozen=True)
class _Job:
    """One call of `tflm-build`.

    Attributes:
        words: its arguments.
        versions: the file to compare; empty if none.
        staged: files and their places.
    """

    words: tuple[str, ...]
    versions: str
    staged: tuple[tuple[str, str], ...]

    def value(self, option: str) -> str:
        """Return what follows an option; empty where it is not given."""
        return self.words[self.words.index(option) + 1] if option in self.words[:-1] else ""


def main() -> None:
    """Do what the command line says."""
    end_with_signals()
    os.environ[CALLER] = "bazel"
    words = sys.argv[1:]
    if "--persistent_worker" in words:
        _serve(_JSON in words)
        return
    code, output = _run(words)
    sys.stderr.write(output)
    sys.exit(code)


def _serve(as_json: bool) -> None:  # noqa: FBT001 - the only argument
    """Answer requests until there are no more."""
    # Responses alone may go to standard output, and libraries print there.
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    source = os.fdopen(os.dup(0), "rb", buffering=0 if as_json else -1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    keep_loaded(CONVERT, "tensorflow")
    all_versions()  # what is loaded now, whatever is installed later
    stream: WorkStream = JsonStream(source, sink) if as_json else ProtoStream(source, sink)
    for request in stream.requests():
        code, output = _run(request.arguments)
        stream.respond(WorkResponse(code, output, request.request_id))


def _run(arguments: Sequence[str]) -> tuple[int, str]:
    """Run `tflm-build`; return the exit status and what to show.

    What it prints to standard output is a result for people at a terminal; a build shows errors and notes alone, but
    what a test found is asked for.
    """
    results, errors = io.StringIO(), io.StringIO()
    code, job = 0, _Job((), "", ())
    with contextlib.redirect_stdout(results), contextlib.redirect_stderr(errors):
        try:
            with one_line_errors("worker", verbose=False):
                job = _job(arguments)
            with one_line_errors(job.value("--name") or "worker", verbose=False), _staged(job) as words:
                _check_versions(job)
                run(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    if job.words[:1] != ("convert",):
        return code, results.getvalue() + errors.getvalue()
    if code == 0:
        for path in Path(job.value("--out-dir")).glob(f"{job.value('--name')}.d*"):
            path.unlink()  # the depfile, and its links, are for other build systems
    return code, errors.getvalue()


def _job(arguments: Sequence[str]) -> _Job:
    """Take the arguments of a call apart."""
    words: list[str] = []
    for word in arguments:
        words += Path(word[1:]).read_text("utf-8").splitlines() if word.startswith("@") else [word]
    rest, versions, staged = iter(words), "", []
    kept = []
    for word in rest:
        if word == "--versions":
            versions = next(rest)
        elif word == "--stage":
            staged.append((next(rest), next(rest)))
        elif word != _JSON:
            kept.append(word)
    return _Job(tuple(kept), versions, tuple(staged))


def _check_versions(job: _Job) -> None:
    """Refuse to make what a cache would serve for something else."""
    if not job.versions:
        return
    stated, actual = (set(text.splitlines()) for text in (Path(job.versions).read_text("utf-8"), all_versions()))
    if stated != actual:
        changed = ", ".join(sorted(stated - actual) or sorted(actual - stated))
        msg = (
            f"the Python of the toolchain has changed since Bazel looked at it; it had {changed}; run: "
            "bazel sync --configure, or bazel shutdown where that is gone"
        )
        raise TflmBuildError(msg)


@contextlib.contextmanager
def _staged(job: _Job) -> Iterator[list[str]]:
    """Yield the arguments, with files at their places while the caller uses them.

    A folder then has the files that were declared and no others, and a Python file imports what was declared: its
    path is resolved before it is run, so it is copied.
    """
    if not job.staged:
        yield list(job.words)
        return
    with tempfile.TemporaryDirectory(prefix="tflm-build-") as name:
        for file, place in job.staged:
            target = Path(name, place)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix == ".py":
                shutil.copyfile(file, target)
            else:
                target.symlink_to(Path(file).absolute())
        yield [word.replace(_STAGE, name, 1) if word.startswith(_STAGE) else word for word in job.words]
