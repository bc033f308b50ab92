# SPDX-License-Identifier: Apache-2.0
"""Start a project that builds and tests at once: a copy of one of the examples, which the package carries."""

import shutil
from pathlib import Path
from typing import Final

from tflm_build.errors import TflmBuildError
from tflm_build.vendor import package_root

__all__ = ["start_project"]

# By build system and target; that of Bazel has the board as well.
_EXAMPLES: Final = {
    ("cmake", "host"): "hello_world",
    ("cmake", "cortex-m-qemu"): "cortex_m_qemu",
    ("bazel", "host"): "fw",
    ("bazel", "cortex-m-qemu"): "fw",
}
_RULES: Final = ("BUILD.bazel", "LICENSE", "MODULE.bazel", "WORKSPACE", "bazel", "runtime")
_RULES_PLACE: Final = "third_party/tflm_build"
# In the wheel, files that Bazel or Python would look at have this behind their names.
_HIDDEN: Final = ".in"
_PRESET: Final = ("cmake --build --preset default", "ctest --preset default")
# A toolchain file lets CMake find no package of this machine by itself.
_NEXT: Final = {
    ("cmake", "host"): ("cmake --preset default", *_PRESET),
    ("cmake", "cortex-m-qemu"): (
        'cmake --preset default -Dtflm_build_DIR="$(tflm-build --cmake-dir)"', *_PRESET,
    ),
    ("bazel", "host"): ("bazel test //...",),
    ("bazel", "cortex-m-qemu"): ("bazel test --config=device //...",),
}  # fmt: skip


def start_project(folder: Path, system: str, target: str) -> tuple[str, ...]:
    """Copy an example into a new or empty folder.

    Args:
        folder: created if need be.
        system: cmake or bazel.
        target: host or cortex-m-qemu.

    Returns:
        The commands that build and test it.

    Raises:
        TflmBuildError: the folder holds something, cannot be written to, or is none that Bazel builds in.
    """
    if system == "bazel" and " " in str(folder.absolute()):
        msg = f"FOLDER '{folder.absolute()}' has a space in its path, where Bazel does not build; choose another"
        raise TflmBuildError(msg)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"FOLDER '{folder}' holds something; allowed: a new or empty folder; choose another"
        raise TflmBuildError(msg)
    root = package_root()
    try:
        _copy(root / "examples" / _EXAMPLES[system, target], folder)
        if system == "bazel":
            for part in _RULES:
                hidden = root / f"{part}{_HIDDEN}"
                _copy(hidden if hidden.exists() else root / part, folder / _RULES_PLACE / part)
            for name in ("MODULE.bazel", "WORKSPACE"):
                path = folder / name
                path.write_text(path.read_text("utf-8").replace("../..", _RULES_PLACE), "utf-8")
            with (folder / ".bazelignore").open("a", encoding="utf-8") as ignored:
                ignored.write(f"{_RULES_PLACE}\n")
    except OSError as error:
        msg = f"FOLDER '{folder}' cannot be written to: {error.strerror or error}; choose another"
        raise TflmBuildError(msg) from error
    return _NEXT[system, target]


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, and give Bazel's files their names."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for each in source.iterdir():
            if not each.name.startswith("bazel-"):  # a link of Bazel's, in a checkout
                _copy(each, target / each.name.removesuffix(_HIDDEN))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
