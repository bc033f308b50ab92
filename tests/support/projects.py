# SPDX-License-Identifier: Apache-2.0
"""A CMake project that is configured, built and tested as a user does it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import ROOT

SCENARIOS = ROOT / "tests" / "cmake" / "scenarios"
# The oldest CMake that is supported, and the newest; ./dev installs both.
CMAKES = {
    version: ROOT / ".venv" / f"cmake-{version}" / "cmake" / "data" / "bin" / "cmake" for version in ("3.22.6", "4.4.5")
}
GENERATORS = ("Ninja", "Unix Makefiles", "Ninja Multi-Config")


@dataclass
class Project:
    """A copy of a project, and its build folder."""

    source: Path
    build: Path
    generator: str = "Ninja"
    cmake: Path = Path("cmake")

    def run(self, *command: str | Path, check: bool = True, **environment: str) -> str:
        """Run a command and return all that it printed."""
        result = subprocess.run(
            [str(word) for word in command],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or result.returncode == 0, result.stdout
        assert check or result.returncode != 0, result.stdout
        return result.stdout

    def configure(self, *options: str, check: bool = True, **environment: str) -> str:
        """Configure with the checkout's package; the output comes back as one line, for CMake wraps messages."""
        return self.configure_bare(f"-Dtflm_build_DIR={ROOT / 'cmake'}", *options, check=check, **environment)

    def configure_bare(self, *options: str, check: bool = True, **environment: str) -> str:
        """Configure without saying where the package is."""
        python = f"-DTFLM_BUILD_PYTHON={sys.executable}"
        output = self.run(
            self.cmake, "-S", self.source, "-B", self.build, "-G", self.generator, python, *options,
            check=check, **environment,
        )  # fmt: skip
        return re.sub(r"\s+", " ", output)

    def make(self, *options: str, check: bool = True) -> str:
        """Build."""
        return self.run(self.cmake, "--build", self.build, *options, check=check)

    def ctest(self, *options: str, check: bool = True) -> str:
        """Run the tests."""
        configuration = ("-C", "Debug") if self.generator == "Ninja Multi-Config" else ()
        ctest = self.cmake.with_name("ctest") if self.cmake.is_absolute() else "ctest"
        words = ("--test-dir", self.build, "--output-on-failure", "--no-tests=error", *configuration, *options)
        return self.run(ctest, *words, check=check)

    def emitted(self, name: str) -> dict[str, bytes]:
        """Return the emitted files but the depfile, whose content is paths."""
        files = (self.build / f"{name}.tflm").iterdir()
        return {path.name: path.read_bytes() for path in files if path.suffix != ".d"}


def scenario(name: str, folder: Path) -> Path:
    """Copy a scenario; return the copy."""
    return Path(shutil.copytree(SCENARIOS / name, folder))


def checkout_files() -> Iterator[Path]:
    """Give the files of the project that git knows, or would, relative to its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    yield from (Path(line) for line in listed.splitlines() if (ROOT / line).is_file())
