#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the README's picture: a model in a terminal, and the page about it."""

import base64
import io
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import chromium  # noqa: E402 - these lie with the tests
from support.terminal import show  # noqa: E402

EXAMPLE = ROOT / "examples" / "hello_world"
PICTURE = ROOT / "docs" / "picture.png"
SIZE = (1600, 980)
COLUMNS = 108

BUDGETS = ("--max-flash", "4K", "--max-arena", "4K", "--max-macs", "1K")
CONVERT = (
    "convert", "--name", "hello_world", "--src", "hello_world.keras", "--quantize", "int8",
    "--calibration", "calibration.npz", *BUDGETS, "--report",
)  # fmt: skip

SHEET = """
<!DOCTYPE html>
<meta charset="utf-8">
<style>
body {{ margin: 0; width: {width}px; height: {height}px; overflow: hidden; background: #dfe5ec; position: relative; }}
div {{ position: absolute; border-radius: 10px; overflow: hidden; box-shadow: 0 6px 26px #0005; }}
.page {{ right: 20px; top: 20px; width: 780px; height: 940px; }}
.page img {{ width: 780px; display: block; }}
.terminal {{ left: 20px; top: 20px; width: 760px; height: 940px; background: #12161b; color: #e8edf2; }}
pre {{ margin: 0; padding: 14px 18px; font: 11px/1.35 "DejaVu Sans Mono", monospace; }}
</style>
<div class="page"><img src="data:image/png;base64,{page}"></div>
<div class="terminal"><pre>{terminal}</pre></div>
"""


def main() -> None:
    """Convert the example and take the picture."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        command = [sys.executable, "-m", "tflm_build", *CONVERT, "--out-dir", name]
        subprocess.run(command, cwd=EXAMPLE, check=True, stdout=subprocess.PIPE)
        browser.open(folder / "hello_world.html", width=1120)
        page = base64.b64encode(browser.picture()).decode()
        sheet = folder / "sheet.html"
        sheet.write_text(SHEET.format(page=page, terminal=_inspect(folder), width=SIZE[0], height=SIZE[1]), "utf-8")
        browser.open(sheet, width=SIZE[0])
        PICTURE.write_bytes(browser.picture(SIZE))
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} B\n")


def _inspect(folder: Path) -> str:
    """Show the model on a terminal; return what stands there as HTML."""
    words = ("inspect", "hello_world.json")
    command = [sys.executable, "-m", "tflm_build", *words]
    printed = show(command, folder=folder, TERM="xterm-256color", COLUMNS=str(COLUMNS))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$", "bright_green"), " ", " ".join(("tflm-build", *words))))
    console.print(Text.from_ansi(printed))
    return console.export_html(code_format="{code}", inline_styles=True)


if __name__ == "__main__":
    main()
