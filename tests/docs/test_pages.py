# SPDX-License-Identifier: Apache-2.0
"""Every page of the documentation is followed, from top to bottom, in a folder of its own.

What its reader has before is in `given.py`, with the stand-ins for what cannot be had without a network.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT
from support.blocks import PAGES, Block, read_blocks
from support.given import GIVEN
from support.module_file import check_module_file
from support.vendor_tflm import RENAMED

# Bazel refuses a workspace whose path has a space.
BAZEL = {"bazel.md", "getting_started_bazel.md"}
# Of one block, in seconds; none takes a fifth of it.
LIMIT = 600

# A page of directives alone is Sphinx's.
WITH_BLOCKS = [page for page in PAGES if any(read_blocks(page))]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give a user of the project's environment: pip sees what is installed, and no network; so does Bazel."""
    home = tmp_path / "home"
    home.mkdir()
    # Bazel takes no path with a space, and the checkout's may have one.
    checkout = tmp_path / "checkout"
    checkout.symlink_to(ROOT)
    offline = {name: checkout / "bazel/offline" / name for name in ("rules_cc", "rules_java", "remote_coverage_tools")}
    repositories = {"tflm_build": checkout, "tflite_micro": tmp_path / "tflite_micro", **offline}
    repositories |= {name: checkout / "tests/docs/standins" / name for name in ("rules_python", "pypi")}
    settings = [
        f"startup --max_idle_secs=120 --host_jvm_args=-Xmx600m --output_base={tmp_path}/base",
        "build --nosandbox_debug --noshow_progress",
        *(f"build --override_repository={name}={path}" for name, path in repositories.items()),
        f"build --cxxopt={RENAMED} --extra_toolchains=@rules_python//:toolchain",
    ]
    (home / ".bazelrc").write_text("\n".join([*settings, ""]))
    variables = {"HOME": str(home), "PIP_NO_INDEX": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "132"}
    variables["PYTHONUNBUFFERED"] = ""  # set, it would change what comes first
    # What CMake finds in .venv is a copy of the day on which `./dev` made that.
    # Programs that stand in for what a reader has installed.
    variables["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    variables |= {"tflm_build_ROOT": str(ROOT / "cmake"), "CXXFLAGS": RENAMED}
    yield {**os.environ, **variables}
    shutil.rmtree(tmp_path / "base", ignore_errors=True)


def run(script: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run commands as a user types them, but stop at the first that fails; return the status and what they print."""
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=LIMIT)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


def expected(text: str) -> re.Pattern[str]:
    """Turn the output on a page into a pattern; columns may be narrower there."""
    literally = ".*?".join(map(re.escape, text.strip().split("...")))
    return re.compile(re.sub(r"(\\ )+", " +", literally), re.DOTALL)


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    name = str(page.relative_to(ROOT)).removeprefix("docs/")
    folder = tmp_path / ("firmware" if page.name in BAZEL else "the firmware")
    folder.mkdir()
    for target, source in GIVEN.get(name, {}).items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).symlink_to(source)
    blocks = list(read_blocks(page))
    try:
        for block, after in zip(blocks, [*blocks[1:], None], strict=True):
            follow(block, after, folder, environment, f"{name}:{block.line}")
        if page.name in BAZEL:
            check_module_file((folder / "MODULE.bazel").read_text())
    finally:
        if page.name in BAZEL:
            subprocess.run(["bazel", "shutdown"], cwd=folder, env=environment, check=True, capture_output=True)


def follow(block: Block, after: Block | None, folder: Path, environment: dict[str, str], where: str) -> None:
    """Do what a block asks for; commands whose output on the page has an error have to fail, all others to work."""
    if block.file is not None:
        path = folder / block.file
        assert path.exists() == block.added, f"{where}: {block.file} {'is not' if block.added else 'is'} there"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.read_text() + block.text if block.added else block.text)
    elif block.language == "sh":
        code, output = run(block.text, folder, environment)
        shown = after.text if after is not None and after.language == "text" else ""
        assert (code != 0) == ("error: " in shown), f"{where}: exit status {code}\n{output}"
        assert expected(shown).search(output), f"{where}: the page shows\n{shown}\nbut what came is\n{output}"
