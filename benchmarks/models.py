# SPDX-License-Identifier: Apache-2.0
"""Carry every model of a folder through CMake to a passing golden test, and print what became of each."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed import peak_megabytes

__all__ = ["main"]

# What is asked for each source: a Keras model is quantized on random data, a .tflite stays what it is, and a float one
# is quantized as well. LiteRT's FULLY_CONNECTED with per-channel weights, which new converters write, is up to one step
# from TFLM's, which a SOFTMAX may double.
KEEP = ""
INT8 = "QUANTIZE int8 CALIBRATION random:100 MAX_LSB 2"
OPTIONS = {".tflite": (KEEP, INT8), ".h5": (INT8,), ".keras": (INT8,), ".pb": (INT8,)}


HEADER = (
    "model", "quantization", "bytes in", "bytes out", "arena", "max LSB", "float error", "MACs", "golden test",
    "seconds", "peak MB",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of a model: a row of the table, or the error."""

    file: str
    row: tuple[str, ...]
    error: str


def main(folder: Path) -> int:
    """Print the table; return 1 where a golden test failed, or nothing was converted."""
    sources = sorted(path for path in folder.rglob("*") if path.suffix in OPTIONS and path.is_file())
    sources = [path.parent if path.name == "saved_model.pb" else path for path in sources]
    wanted = [(path, options) for path in sources for options in OPTIONS[path.suffix or ".pb"]]
    with tempfile.TemporaryDirectory() as place:
        outcomes = [compile_model(Path(place, str(index)), *each) for index, each in enumerate(wanted)]
    for outcome in outcomes:
        if outcome.error:
            print(f"refused: {outcome.file}: {outcome.error}")
    rows = [outcome.row for outcome in outcomes if outcome.row]
    print_table(HEADER, rows)
    return 0 if rows and all("FAILED" not in row for row in rows) else 1


def configure(place: Path, path: Path, options: str) -> Path:
    """Write and configure a project of one model; return its build folder."""
    build = place / "build"
    place.mkdir()
    lists = (
        "cmake_minimum_required(VERSION 3.22)\nproject(models LANGUAGES C)\nenable_testing()\n"
        "find_package(tflm_build CONFIG REQUIRED)\n"
        f'add_tflm_model(model SRC "{path.resolve().as_posix()}" {options})\ntflm_add_model_test(model)\n'
    )
    (place / "CMakeLists.txt").write_text(lists)
    package = subprocess.run(
        [sys.executable, "-m", "tflm_build", "--cmake-dir"], check=True, capture_output=True, text=True
    ).stdout.strip()
    command = ["cmake", "-S", str(place), "-B", str(build), "-G", "Ninja", f"-Dtflm_build_DIR={package}"]
    subprocess.run([*command, f"-DTFLM_BUILD_PYTHON={sys.executable}"], check=True, capture_output=True)
    return build


def compile_model(place: Path, path: Path, options: str) -> Outcome:
    """Convert, build and test one model."""
    build = configure(place, path, options)
    make = ("cmake", "--build", str(build))
    start = time.perf_counter()
    try:
        peak = peak_megabytes(*make, "--target", "model_generate")
        seconds = time.perf_counter() - start
        subprocess.run([*make, "--target", "model_golden_test"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        words = subprocess.run(make, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        return Outcome(
            path.name, (), next((line for line in words.splitlines() if ": error:" in line), "no reason given")
        )
    passed = subprocess.run(["ctest", "--test-dir", build, "--no-tests=error"], check=False, capture_output=True)
    manifest = json.loads((build / "model.tflm" / "model.json").read_text())
    accuracy = manifest["accuracy"]
    row = (
        path.name,
        manifest["model"]["quantization"] + (" (random data)" if manifest["golden"]["random"] else ""),
        f"{manifest['source']['bytes']:,}",
        f"{manifest['model']['bytes']:,}",
        f"{manifest['arena']['smallest']:,}",
        f"{max(reference['difference'] for reference in manifest['golden']['reference']):.2g}",
        f"{max(accuracy['float_error']):.2g}" if accuracy and accuracy["float_error"] else "-",
        f"{manifest['macs']:,}",
        "passed" if passed.returncode == 0 else "FAILED",
        f"{seconds:.1f}",
        f"{peak:.0f}",
    )
    return Outcome(path.name, row, "")


def print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print rows under each other, the first column to the left."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, tuple("-" * width for width in widths), *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells))
