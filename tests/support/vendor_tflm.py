# SPDX-License-Identifier: Apache-2.0
"""The TFLM that tests link: a vendor's fork, with headers and a shared library; see CONTRIBUTING.md.

It renames the namespace `tflite`, and its FULLY_CONNECTED knows one scale of weights: it is older than September 2024.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from support import ROOT
from support.tiny_models import RUNTIME

_VENDOR = ROOT / ".venv" / "tflm" / "xmos_ai_tools"
HEADERS = _VENDOR / "runtime" / "include"
GEMMLOWP = Path("/usr/include/gemmlowp")
LIBRARY = _VENDOR / "xinterpreters" / "libs" / "linux" / "xtflm_python.so"
SONAME = "xtflm_python.so.1.0.1"  # what the library calls itself
RENAMED = "-Dtflite=tflite_micro"
CXX = [
    "-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics",
    "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror",
    "-isystem", HEADERS, "-isystem", GEMMLOWP, "-I", RUNTIME / "include",
]  # fmt: skip
NATIVE = RUNTIME / "src" / "native.cc"
SOURCES = [RUNTIME / "src" / "check.c", RUNTIME / "src" / "model.c"]


def compile_cxx(output: Path, *arguments: str | Path, compiler: str = "g++", renamed: str = RENAMED) -> Path:
    """Compile one C++ source with the strictest warnings; raise with the compiler's words."""
    words = [compiler, *arguments, *CXX, renamed, "-c", "-o", output]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return output


def link(output: Path, *objects: str | Path) -> Path:
    """Link C and C++ objects with the library."""
    command = ["g++", *objects, LIBRARY, f"-Wl,-rpath,{LIBRARY.parent}", "-lm", "-o", output]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


def undefined_symbols(binary: Path) -> set[str]:
    """Return what an object wants from others, demangled."""
    command = ["nm", "--demangle", "--undefined-only", "--just-symbols", str(binary)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
