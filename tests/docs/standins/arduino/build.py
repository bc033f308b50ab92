# SPDX-License-Identifier: Apache-2.0
"""Compile a sketch and libraries as Arduino's tools do, for this machine and with the vendor's TFLM."""

import subprocess
from pathlib import Path

CORE = Path(__file__).resolve().parent / "core"
VENV = Path(__file__).resolve().parents[4] / ".venv"
VENDOR = VENV / "tflm" / "xmos_ai_tools"
LIBRARY = VENDOR / "xinterpreters" / "libs" / "linux" / "xtflm_python.so"


def build(sketch: Path, libraries: list[Path], program: Path) -> None:
    """Compile what lies in src/ of each library, with src/ to include from, and link it with the sketch."""
    program.parent.mkdir(parents=True, exist_ok=True)
    system = [CORE, VENDOR / "runtime" / "include", Path("/usr/include/gemmlowp")]
    flags = ["-Os", *(f"-isystem{path}" for path in system), *(f"-I{library / 'src'}" for library in libraries)]
    sources = [path for library in libraries for path in (library / "src").rglob("*") if path.suffix in {".c", ".cpp"}]
    objects: list[Path] = []
    for source in [*sorted(sources), sketch]:
        compiler = ["gcc"] if source.suffix == ".c" else ["g++", "-std=gnu++17", "-Dtflite=tflite_micro", "-fno-rtti"]
        kind = ["-include", "Arduino.h", "-xc++"] if source == sketch else []
        objects.append(program.with_name(f"{len(objects)}.o"))
        subprocess.run([*compiler, *flags, *kind, "-c", source, "-o", objects[-1]], check=True)
    subprocess.run(["g++", *objects, LIBRARY, f"-Wl,-rpath,{LIBRARY.parent}", "-o", program], check=True)
