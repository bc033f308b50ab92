# SPDX-License-Identifier: Apache-2.0
"""A CMake project that is configured, built and tested as a user does it."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Project:
    """A copy of a project, and its build folder."""

    source: Path
    build: Path
    generator: str

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
        """Configure; the output comes back as one line, for CMake wraps messages."""
        output = self.run(
            "cmake", "-S", self.source, "-B", self.build, "-G", self.generator, f"-Dtflm_build_DIR={ROOT / 'cmake'}",
            f"-DTFLM_BUILD_PYTHON={sys.executable}", *options, check=check, **environment,
        )  # fmt: skip
        return re.sub(r"\s+", " ", output)

    def make(self, *options: str, check: bool = True) -> str:
        """Build."""
        return self.run("cmake", "--build", self.build, *options, check=check)

    def ctest(self, *options: str) -> str:
        """Run the tests."""
        return self.run("ctest", "--test-dir", self.build, "--output-on-failure", "--no-tests=error", *options)

    def emitted(self, name: str) -> dict[str, bytes]:
        """Return the emitted files but the depfile, whose content is paths."""
        files = (self.build / f"{name}.tflm").iterdir()
        return {path.name: path.read_bytes() for path in files if path.suffix != ".d"}
