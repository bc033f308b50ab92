# SPDX-License-Identifier: Apache-2.0
"""The error messages of the sources, as the page of errors spells them: `…` stands where something is filled in.

Python is read as syntax: what a `TflmBuildError`, a usage error or a refusal of the host backend is made of, and the
faults that two modules yield. Of CMake, Bazel and C, the string literals are read where errors are reported. A message
that is all filled in passes on another one.
"""

import ast
import functools
import re
from collections.abc import Iterator

from support import ROOT

__all__ = ["MAKES_ERROR", "YIELD_FAULTS", "messages", "sites"]

PYTHON = ROOT / "python" / "tflm_build"
# What their checks yield is printed as errors.
YIELD_FAULTS = {"describe/compare.py", "image/verify.py"}
FILLED = "…"
MARKED = re.compile(rf"`([A-Z][A-Z0-9_]+|{FILLED})`")
MAKES_ERROR = r"TflmBuildError|RequestError|_say|click\.\w*(?:Error|Exception|Parameter)"

Function = ast.FunctionDef


def messages() -> dict[str, str]:
    """Return where each message is: a file and a line, or a file."""
    found: dict[str, str] = {}
    for where, message in sites():
        if message != FILLED:
            found.setdefault(message, where)
    return found


@functools.cache
def sites() -> list[tuple[str, str]]:
    """Return each place that makes an error, with what it says; once for each of several things that it may say."""
    found = [*_of_python(), *_of_cmake(), *_of_bazel(), *_of_c()]
    # Options are marked, and spelt by who prints a message.
    return [(where, MARKED.sub(r"\1", re.sub(f"{FILLED}+", FILLED, " ".join(text.split())))) for where, text in found]


def _of_python() -> Iterator[tuple[str, str]]:
    """Give the messages of the compiler."""
    for path in sorted(PYTHON.rglob("*.py")):
        module = ast.parse(path.read_text("utf-8"))
        functions = [node for node in ast.walk(module) if isinstance(node, Function)]
        for function in functions:
            for node in ast.walk(function):
                value = None
                if isinstance(node, ast.Call) and re.fullmatch(MAKES_ERROR, ast.unparse(node.func)):
                    value = node.args[1 if ast.unparse(node.func) == "RequestError" else 0]
                elif isinstance(node, ast.Yield) and path.relative_to(PYTHON).as_posix() in YIELD_FAULTS:
                    value = node.value
                if value is not None:
                    for text in _texts(value, function, functions):
                        yield f"{path.relative_to(ROOT)}:{value.lineno}", text


def _texts(node: ast.expr, function: Function, functions: list[Function]) -> list[str]:
    """Return all that an expression of text can be; what is not spelt out in it is filled in."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else FILLED for part in node.values)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = (_texts(side, function, functions) for side in (node.left, node.right))
        return [before + after for before in left for after in right]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, function, functions), *_texts(node.orelse, function, functions)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "rstrip":
        return _texts(node.func.value, function, functions)
    values: list[ast.expr | None] = []
    if isinstance(node, ast.Name):
        assigned = [each for each in ast.walk(function) if isinstance(each, ast.Assign)]
        values = [each.value for each in assigned if node.id in map(ast.unparse, each.targets)]
    elif isinstance(node, ast.Call):
        called = [each for each in functions if each.name == ast.unparse(node.func)]
        function = called[0] if called else function
        values = [each.value for each in ast.walk(function) if called and isinstance(each, ast.Return)]
    found = [text for value in values if value is not None for text in _texts(value, function, functions)]
    return found or [FILLED]


def _of_cmake() -> Iterator[tuple[str, str]]:
    """Give the messages of the CMake package; a variable that is set to text shortly before is that text."""
    for path in sorted((ROOT / "cmake").rglob("*.cmake")):
        known: dict[str, str] = {}
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            assigned = re.match(r' *set\((what|remedy|places) "(.+)"\)', line)
            if assigned:
                known[assigned[1]] = assigned[2]
            reported = re.match(r' *(?:_tflm_build_error\((?:"[^"]*"|\w+) )?"(?:tflm-build: error: )?(.+)"\)?$', line)
            if reported and ("_tflm_build_error(" in line or "tflm-build: error:" in line):
                text = reported[1]
                for name, value in known.items():
                    text = text.replace(f"${{{name}}}", value)
                yield f"{path.relative_to(ROOT)}:{number}", re.sub(r"\$\{\w+\}", FILLED, text)


def _of_bazel() -> Iterator[tuple[str, str]]:
    """Give the messages of the Bazel rules."""
    for path in sorted((ROOT / "bazel").rglob("*.bzl")):
        text = path.read_text("utf-8")
        for found in re.finditer(r'(?:fail\("tflm-build: error: \{0?\}: | error = ")((?:[^"\\]|\\.)+)"', text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{path.relative_to(ROOT)}:{line}", re.sub(r"\{\d?\}", FILLED, found[1])


def _of_c() -> Iterator[tuple[str, str]]:
    """Give the messages of the runtime and of emitted C; in order: statuses, host and native backend, golden test."""
    patterns = {
        "runtime/src/check.c": r'return "(.+)";',
        "runtime/src/host_process.c": r'"(?:tflm-build: error: )?((?:host backend|the helper of).+?)(?:\\n)?"',
        "runtime/src/native.cc": r'MicroPrintf\("tflm-build: (.+?)"',
        "runtime/src/model_test.c": r'printf\("(%s: (?!\.\.\.).+?)(?:\\n)?"',
        "python/tflm_build/emit/templates/section.c.in": r'#error "(.+)"',
        "python/tflm_build/emit/templates/model.h.in": r'#error "(.+)"',
    }
    for name, pattern in patterns.items():
        joined = re.sub(r'"\s*"', "", (ROOT / name).read_text("utf-8"))
        for found in re.finditer(pattern, joined):
            yield name, re.sub(r"%[.\d]*[lz]*[a-z]|\$\w+|\$\{\w+\}", FILLED, found[1])


if __name__ == "__main__":
    for message, where in messages().items():
        print(f"{where}: {message}")
