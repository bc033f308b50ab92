# SPDX-License-Identifier: Apache-2.0
"""A stand-in for what reads MODULE.bazel: Bazel 7 and newer, with a registry. Debian has neither.

The file is run as Python, whose syntax it shares, with functions that take what Bazel's take. What it names of this
project, modules, versions, an extension and its tags, has to be there.
"""

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from support import ROOT

__all__ = ["check_module_file"]


def check_module_file(text: str) -> None:
    """Refuse a MODULE.bazel that does not fit this project's own."""
    own, other = _Recorder(), _Recorder()
    exec((ROOT / "MODULE.bazel").read_text("utf-8"), own.functions())  # noqa: S102 - it is this project's
    exec(text, other.functions())  # noqa: S102
    assert "tflm_build" in other.dependencies, "tflm_build is no dependency"
    for name, version in (own.dependencies | own.modules).items():
        assert other.dependencies.get(name, version) == version, f"{name} is another version than in MODULE.bazel"
    missing = other.overridden - set(other.dependencies)
    assert not missing, f"overrides of modules that are no dependencies: {missing}"


class _Recorder:
    """What a MODULE.bazel says.

    Attributes:
        modules: version of the module itself, by name.
        dependencies: version of each other, by name.
        overridden: names of modules that come from elsewhere than the registry.
    """

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}
        self.dependencies: dict[str, str] = {}
        self.overridden: set[str] = set()

    def functions(self) -> dict[str, Any]:
        """Return all that the file may call."""
        overrides = ("archive_override", "git_override", "local_path_override")
        names = ("module", "bazel_dep", *overrides, "use_extension", "use_repo")
        return {name: getattr(self, name) for name in names} | {"register_toolchains": lambda *_: None}

    def module(self, *, name: str, version: str = "", bazel_compatibility: Sequence[str] = ()) -> None:
        assert all(re.fullmatch(r"[<>]=?\d+\.\d+\.\d+", each) for each in bazel_compatibility)
        self.modules[name] = version

    def bazel_dep(self, *, name: str, version: str = "", repo_name: str = "") -> None:  # noqa: ARG002
        assert name not in self.dependencies
        self.dependencies[name] = version

    def archive_override(self, *, module_name: str, urls: list[str], strip_prefix: str = "") -> None:
        assert strip_prefix == f"{module_name.replace('_', '-')}-{self.dependencies[module_name]}"
        assert urls == [f"https://example.com/{strip_prefix}.tar.gz"]
        self.overridden.add(module_name)

    def git_override(self, *, module_name: str, remote: str, commit: str) -> None:
        assert remote.endswith(".git")
        assert re.fullmatch(r"[0-9a-f]{40}", commit)
        self.overridden.add(module_name)

    def local_path_override(self, *, module_name: str, path: str) -> None:
        assert path
        self.overridden.add(module_name)

    def use_extension(self, label: str, name: str) -> Any:
        module = label.partition("//")[0].removeprefix("@")
        if module not in {"", "tflm_build"}:
            assert module in self.dependencies, f"{module} is no dependency"
            return _Anything()
        file = label.removeprefix("@tflm_build").removeprefix("//").replace(":", "/")
        return _extension((ROOT / file).read_text("utf-8"), name)

    def use_repo(self, extension: Any, *names: str) -> None:
        assert extension
        assert names


class _Anything:
    """An extension of another module, which takes any tag."""

    def __getattr__(self, name: str) -> Any:
        return lambda **_: None


def _extension(text: str, name: str) -> SimpleNamespace:
    """Return an extension as MODULE.bazel sees it: a function for each tag."""
    string = SimpleNamespace(string=lambda **_: None)
    found: dict[str, Any] = {
        "attr": string,
        "load": lambda *_: None,
        "module_extension": lambda *, tag_classes, **_: tag_classes,
        "tag_class": lambda *, attrs, **_: set(attrs),
    }
    exec(text, found)  # noqa: S102 - it is this project's

    def tag(allowed: set[str]) -> Any:
        def check(**values: object) -> None:
            assert set(values) <= allowed, f"the tag has no {set(values) - allowed}"

        return check

    return SimpleNamespace(**{each: tag(allowed) for each, allowed in found[name].items()})
