# SPDX-License-Identifier: Apache-2.0
"""Carry every model of a folder through CMake to a passing golden test, and print what became of each."""

import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]

# What a source needs: a Keras model is quantized on random data, a .tflite stays what it is. LiteRT's FULLY_CONNECTED
# with per-channel weights, which new converters write, is up to one step from TFLM's, which a SOFTMAX may double.
KERAS = "QUANTIZE int8 CALIBRATION random:100 MAX_LSB 2"
OPTIONS = {".tflite": "", ".h5": KERAS, ".keras": KERAS}


@dataclass(frozen=True)
class Outcome:
    """What became of a model: a row of the table, or the error."""

    file: str
    row: tuple[str, ...]
    error: str


def main(folder: Path) -> int:
    """Print the table; return 1 where a golden test failed, or nothing was converted."""
    sources = sorted(path for path in folder.rglob("*") if path.suffix in OPTIONS and path.is_file())
    names = [re.sub(r"\W", "_", path.name) for path in sources]
    with tempfile.TemporaryDirectory() as place:
        build = Path(place, "build")
        lists = [
            "cmake_minimum_required(VERSION 3.22)", "project(models LANGUAGES C)", "enable_testing()",
            "find_package(tflm_build CONFIG REQUIRED)",
        ]  # fmt: skip
        for name, path in zip(names, sources, strict=True):
            lists += [
                f'add_tflm_model({name} SRC "{path.resolve().as_posix()}" {OPTIONS[path.suffix]})',
                f"tflm_add_model_test({name})",
            ]
        Path(place, "CMakeLists.txt").write_text("\n".join(lists) + "\n")
        run(
            "cmake", "-S", place, "-B", str(build), "-G", "Ninja", f"-Dtflm_build_DIR={ROOT / 'cmake'}",
            f"-DTFLM_BUILD_PYTHON={sys.executable}",
        )  # fmt: skip
        outcomes = [compile_model(build, name, path) for name, path in zip(names, sources, strict=True)]
    for outcome in outcomes:
        if outcome.error:
            print(f"not built: {outcome.file}: {outcome.error}")
    rows = [outcome.row for outcome in outcomes if outcome.row]
    print_table(("model", "quantization", "bytes in", "bytes out", "arena", "max LSB", "golden test", "seconds"), rows)
    return 0 if rows and all(row[-2] == "passed" for row in rows) else 1


def run(*command: str) -> str:
    """Run a command that has to work; return what it printed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def compile_model(build: Path, name: str, path: Path) -> Outcome:
    """Convert, build and test one model."""
    start = time.perf_counter()
    try:
        run("cmake", "--build", str(build), "--target", f"{name}_generate")
        seconds = time.perf_counter() - start
        run("cmake", "--build", str(build), "--target", f"{name}_golden_test")
    except subprocess.CalledProcessError as error:
        line = next((line for line in error.stdout.splitlines() if "error" in line), "no reason given")
        return Outcome(path.name, (), line)
    command = ["ctest", "--test-dir", str(build), "-R", f"^{name}[.]golden$", "--no-tests=error"]
    passed = subprocess.run(command, check=False, capture_output=True).returncode == 0
    manifest = json.loads((build / f"{name}.tflm" / f"{name}.json").read_text())
    differences = [reference["difference"] for reference in manifest["golden"]["reference"]]
    calibrated = " (random data)" if manifest["golden"]["random"] else ""
    row = (
        path.name,
        manifest["outputs"][0]["type"] + calibrated,
        f"{manifest['source']['bytes']:,}",
        f"{manifest['model']['bytes']:,}",
        f"{manifest['arena']['smallest']:,}",
        f"{max(differences):g}",
        "passed" if passed else "FAILED",
        f"{seconds:.1f}",
    )
    return Outcome(path.name, row, "")


def print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print rows under each other, the first column to the left."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, tuple("-" * width for width in widths), *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells))
