# SPDX-License-Identifier: Apache-2.0
"""Twenty small Keras models through Bazel and CMake: one-shot, with a worker, from a cache, and again for nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.models import print_table

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
COUNT = 20
NOTHING = 9  # rounds of builds that have nothing to do

SAVE = """
import sys, keras
for index in range(int(sys.argv[2])):
    keras.utils.set_random_seed(index)
    model = keras.Sequential([
        keras.layers.Input((12, 12, 1)), keras.layers.Conv2D(4 + index % 5, 3, activation="relu"),
        keras.layers.MaxPooling2D(), keras.layers.Flatten(), keras.layers.Dense(8 + index), keras.layers.Softmax(),
    ])
    model.save(f"{sys.argv[1]}/m{index}.keras")
"""

WORKSPACE = """\
workspace(name = "bench")
{repositories}
load("@tflm_build//bazel:repositories.bzl", "tflm_build_repositories")
tflm_build_repositories()
"""

MODELS = """\
load("@tflm_build//bazel:defs.bzl", "tflm_model")
[
    tflm_model(name = "m%d" % i, src = "m%d.keras" % i, calibration_random = 50, quantize = "int8")
    for i in range({count})
]
"""

APP = """\
load("@rules_cc//cc:cc_library.bzl", "cc_library")
[cc_library(name = "part%d" % i, srcs = ["part%d.c" % i]) for i in range({count})]
"""

PROJECT = """\
cmake_minimum_required(VERSION 3.22)
project(bench C)
find_package(tflm_build CONFIG REQUIRED)
foreach(i RANGE {last})
  add_tflm_model(m${{i}} SRC m${{i}}.keras QUANTIZE int8 CALIBRATION random:50)
endforeach()
"""


def seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock time of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write_workspace(place: Path) -> None:
    """Write the models, a Bazel workspace and a CMake project of them, and C that has nothing to do with them."""
    offline = ROOT / "bazel" / "offline"
    repositories = {"tflm_build": ROOT, **{each.name: each for each in offline.iterdir() if each.is_dir()}}
    models, app = place / "models", place / "app"
    for folder in (models, app):
        folder.mkdir(parents=True)
    lines = [f'local_repository(name = "{name}", path = "{path}")' for name, path in sorted(repositories.items())]
    (place / "WORKSPACE").write_text(WORKSPACE.format(repositories="\n".join(lines)))
    (models / "BUILD.bazel").write_text(MODELS.format(count=COUNT))
    (app / "BUILD.bazel").write_text(APP.format(count=COUNT))
    for index in range(COUNT):
        (app / f"part{index}.c").write_text(f"int part{index}(void) {{ return {index}; }}\n")
    (models / "CMakeLists.txt").write_text(PROJECT.format(last=COUNT - 1))
    subprocess.run([sys.executable, "-c", SAVE, models, str(COUNT)], check=True, capture_output=True)


def main() -> None:
    """Print the table and the ratios."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_workspace(place / "workspace")
        start = ("bazel", "--nohome_rc", "--max_idle_secs=300", f"--output_user_root={place / 'root'}")

        def bazel(command: str, *words: str) -> None:
            options = (
                f"--repo_env=TFLM_BUILD_PYTHON={sys.executable}",
                "--color=no",
                "--curses=no",
                "--noshow_progress",
            )
            building = ("--symlink_prefix=/", "--nosandbox_debug") if command == "build" else ()
            subprocess.run(
                [*start, command, *options, *building, *words],
                cwd=place / "workspace", check=True, capture_output=True,
            )  # fmt: skip

        try:
            times = measure(bazel, place)
        finally:
            bazel("shutdown")
            shutil.rmtree(place / "root", ignore_errors=True)
    report(times)


def measure(bazel: Callable[..., None], place: Path) -> dict[str, float]:
    """Return the seconds of each way."""
    # Conversions alone: what is compiled of their output is the same everywhere.
    convert = ("//models/...", "--output_groups=manifest")
    cache = f"--disk_cache={place / 'cache'}"
    bazel("build", "//app/...")  # so that none of the ways pays for the start of the server and the toolchains
    times = {}
    times["Bazel, one-shot"] = seconds(lambda: bazel("build", *convert, "--strategy=TflmModel=sandboxed"))
    bazel("clean")
    times["Bazel, worker"] = seconds(lambda: bazel("build", *convert, cache))
    bazel("clean")
    times["Bazel, disk cache"] = seconds(lambda: bazel("build", *convert, cache))

    bazel("build", "//app/...", "//models/...")
    rounds = [
        (seconds(lambda: bazel("build", "//...")), seconds(lambda: bazel("build", "//app/..."))) for _ in range(NOTHING)
    ]
    times["Bazel, nothing to do"] = min(pair[0] for pair in rounds)
    times["Bazel, nothing to do, no models"] = min(pair[1] for pair in rounds)

    build = place / "build"
    configure = [
        "cmake", "-S", str(place / "workspace" / "models"), "-B", str(build), "-G", "Ninja",
        f"-Dtflm_build_DIR={ROOT / 'cmake'}", f"-DTFLM_BUILD_PYTHON={sys.executable}",
    ]  # fmt: skip
    subprocess.run(configure, check=True, capture_output=True, env=os.environ)
    targets = [f"m{index}_generate" for index in range(COUNT)]
    make = ["cmake", "--build", str(build), "--target", *targets]
    times["CMake, one-shot"] = seconds(lambda: subprocess.run(make, check=True, capture_output=True))
    return times


def report(times: dict[str, float]) -> None:
    """Print what was measured beside what is wanted."""
    print(f"{COUNT} small Keras models, int8, on {len(os.sched_getaffinity(0))} processors")
    rows = [
        ("Bazel, worker", "Bazel, one-shot", "under 0.333"),
        ("Bazel, disk cache", "Bazel, one-shot", "under 0.05"),
        ("Bazel, nothing to do", "Bazel, nothing to do, no models", "under 1.1"),
        ("CMake, one-shot", "Bazel, one-shot", "at most 1"),
    ]
    print_table(
        ("way", "seconds", "compared with", "its seconds", "ratio", "goal"),
        [
            (way, f"{times[way]:.2f}", peer, f"{times[peer]:.2f}", f"{times[way] / times[peer]:.3f}", goal)
            for way, peer, goal in rows
        ],
    )
