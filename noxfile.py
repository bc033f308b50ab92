# SPDX-License-Identifier: Apache-2.0
"""Run the project's checks. `./dev` prepares what they need and starts them; they use its environment."""

import os
import sys
from pathlib import Path

import nox

__all__ = ["arm64", "bazel7", "bench", "demo", "docs", "keras_layers", "lint", "tests", "versions"]

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_external_run = False

DEMO_SOURCE = "examples/hello_world"
DEMO_BUILD = "build/demo"


def _processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style of everything that git knows."""
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; arguments go to pytest."""
    # TensorFlow takes gigabytes in each worker: two, however many processors there are.
    parallel = ["-n", "2", "--dist", "worksteal"] if _processors() > 1 else []
    session.run("pytest", *parallel, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the compiler and the code that it emits; arguments go to the benchmarks."""
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def bazel7(session: nox.Session) -> None:
    """Try Debian sid's Bazel, 7 or newer, in a chroot; as root, some minutes. An argument is the chroot's folder."""
    session.run("scripts/bazel7", *session.posargs)


@nox.session
def arm64(session: nox.Session) -> None:
    """Compile models on Linux on Arm, in an emulator; as root, half an hour. An argument is its Debian's folder."""
    session.run("scripts/arm64", *session.posargs)


@nox.session(venv_backend="venv")
@nox.parametrize("end", ["lowest", "newest"])
def versions(session: nox.Session, end: str) -> None:
    """Convert models with the lowest versions that pyproject.toml allows, or the newest; downloads about 1 GB each."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]

    def install(*options: str, requirements: list[str]) -> None:
        session.install(*options, *(line.replace(">=", "==") if end == "lowest" else line for line in requirements))

    def convert(name: str, source: Path, *options: str) -> None:
        command = ("python", "-m", "tflm_build", "convert", "--quiet", "--out-dir", str(folder), *options)
        session.run(*command, "--name", name, "--src", str(source), env={"PYTHONPATH": "python"})

    folder, hello_world = Path(session.create_tmp()), Path(DEMO_SOURCE, "hello_world.keras")
    int8 = ("--quantize", "int8", "--calibration", f"{DEMO_SOURCE}/calibration.npz")
    needed = [*project["dependencies"], *extras["tensorflow-cpu"], *extras["images"], *extras["host"]]
    install(requirements=needed)
    install("--no-deps", requirements=extras["legacy-keras"])  # it asks for the TensorFlow of several GB
    session.run("python", "-m", "tflm_build.versions", env={"PYTHONPATH": "python"})
    convert("hello_world", hello_world, *int8)
    save = "import sys, {0}; {0}.Sequential([{0}.Input((1,)), {0}.layers.Dense(8)]).save(sys.argv[1])"
    for keras in ("keras", "tf_keras"):
        session.run("python", "-c", save.format(keras), f"{folder}/{keras}.h5")
        convert(keras, folder / f"{keras}.h5", *int8)
    convert("real", hello_world)
    # The quantizer asks for one version of LiteRT, not the lowest.
    install(requirements=[*(line for line in needed if "litert" not in line), *extras["quantizer"]])
    session.run("python", "-m", "tflm_build.versions", env={"PYTHONPATH": "python"})
    convert("quantized", folder / "real.tflite", *int8)


@nox.session
def keras_layers(session: nox.Session) -> None:
    """Build every layer of Keras in every quantization, and compare with the table; half an hour. See --help of it."""
    session.run("scripts/keras_layers.py", *(session.posargs or ["--check"]))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, with warnings as errors; arguments go to Sphinx."""
    options = ["--fail-on-warning", "--keep-going", "--fresh-env", "--quiet"]  # fresh: a link may have lost its end
    session.run("sphinx-build", *options, *session.posargs, "docs", "build/docs")
    session.log("the documentation: build/docs/index.html")


@nox.session
def demo(session: nox.Session) -> None:
    """Build, run and test examples/hello_world, with the commands that a user would type."""
    package = session.run("python", "-m", "tflm_build", "--cmake-dir", silent=True)
    tflm_build_dir = f"-Dtflm_build_DIR={str(package).strip()}"
    session.run("cmake", "-S", DEMO_SOURCE, "-B", DEMO_BUILD, "-G", "Ninja", tflm_build_dir)
    session.run("cmake", "--build", DEMO_BUILD)
    session.run(f"{DEMO_BUILD}/sweep", *session.posargs)
    session.run("ctest", "--test-dir", DEMO_BUILD, "--output-on-failure")
