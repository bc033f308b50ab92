#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the README's picture: a conversion in a terminal, and the page about the model that it wrote."""

import base64
import html
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "python"))

from browser import chromium  # noqa: E402 - it lies with the tests

EXAMPLE = ROOT / "examples" / "hello_world"
PICTURE = ROOT / "docs" / "picture.png"
SIZE = (1240, 700)

BUDGETS = ("--max-flash", "4K", "--max-arena", "4K", "--max-macs", "1K")
CONVERT = (
    "convert", "--name", "hello_world", "--src", "hello_world.keras", "--quantize", "int8",
    "--calibration", "calibration.npz", *BUDGETS, "--report",
)  # fmt: skip

SHEET = """
<!DOCTYPE html>
<style>
body {{ margin: 0; width: {width}px; height: {height}px; overflow: hidden; background: #dfe5ec; position: relative; }}
div {{ position: absolute; border-radius: 10px; overflow: hidden; box-shadow: 0 6px 26px #0005; }}
.page {{ right: 20px; top: 20px; width: 800px; height: 660px; }}
.page img {{ width: 800px; display: block; }}
.terminal {{ left: 20px; top: 395px; width: 600px; background: #12161b; color: #e8edf2; }}
pre {{ margin: 0; padding: 16px 18px; font: 12px/1.5 "DejaVu Sans Mono", monospace; white-space: pre-wrap; }}
b {{ color: #7cc9a0; font-weight: 400; }}
</style>
<div class="page"><img src="data:image/png;base64,{page}"></div>
<div class="terminal"><pre>{terminal}</pre></div>
"""


def main() -> None:
    """Convert the example and take the picture."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        printed = _run(*CONVERT, folder=folder)
        browser.open(folder / "hello_world.html", width=1120)
        page = base64.b64encode(browser.picture()).decode()
        shown = re.sub(r" (--(?:quantize|max-flash) )", r" \\\n    \1", " ".join(("tflm-build", *CONVERT)))
        terminal = f"<b>$</b> {html.escape(shown)}\n{html.escape(printed)}"
        sheet = folder / "sheet.html"
        sheet.write_text(SHEET.format(page=page, terminal=terminal, width=SIZE[0], height=SIZE[1]), "utf-8")
        browser.open(sheet, width=SIZE[0])
        PICTURE.write_bytes(browser.picture(SIZE))
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} B\n")


def _run(*arguments: str, folder: Path) -> str:
    """Run the command in the example's folder; return what it prints."""
    command = [sys.executable, "-m", "tflm_build", *arguments, "--out-dir", str(folder)]
    return subprocess.run(command, cwd=EXAMPLE, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
