# SPDX-License-Identifier: Apache-2.0
"""Configure Sphinx: `./dev docs` builds the pages, and `./dev lint` refuses every warning."""

import json
from pathlib import Path

from docutils.parsers.rst.directives.tables import CSVTable
from hawkmoth.util.compiler import get_include_args
from pygments.lexers.c_cpp import CLexer
from sphinx.application import Sphinx

import tflm_build

project = "tflm-build"
version = release = tflm_build.__version__
copyright = "the authors of tflm-build"  # noqa: A001 - Sphinx's name for it

extensions = [
    "myst_parser",
    "sphinx_click",
    "hawkmoth",
    "hawkmoth.ext.javadoc",
    "sphinxcontrib.moderncmakedomain",
]
# What stands between single backquotes in the comments of C is code.
default_role = "code"
nitpicky = True
# Options begin with two hyphens, not with a dash.
smartquotes = False
# Of the standard library, and of the interpreter's C++.
nitpick_ignore = [("c:identifier", name) for name in ("uint32_t", "int32_t", "intptr_t", "size_t")]

# As deep as the headings go: links to them are checked.
myst_heading_anchors = 4
myst_ref_domains = ["std"]

hawkmoth_root = str(Path(__file__).resolve().parents[1] / "runtime" / "include")
hawkmoth_clang = ["-std=c99", f"-I{hawkmoth_root}", *get_include_args("clang")]
hawkmoth_transform_default = "javadoc"

html_theme = "furo"
html_title = f"tflm-build {version}"
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_copy_source = False


class TsvTable(CSVTable):  # type: ignore[misc] # docutils has no types
    """Show a table of the compiler: tab-separated, below comments of which the last has the names of the columns."""

    def get_csv_data(self) -> tuple[list[str], str]:
        """Return the header and the rows."""
        self.options |= {"delim": "\t", "header-rows": 1, "quote": "\x1f"}
        lines, source = super().get_csv_data()
        comments = [line for line in lines if line.startswith("#")]
        return [comments[-1].removeprefix("# "), *(line for line in lines if not line.startswith("#"))], source


class SchemaTable(CSVTable):  # type: ignore[misc]
    """Show what a JSON schema says of each part."""

    def get_csv_data(self) -> tuple[list[str], str]:
        """Return a row for each part."""
        self.options |= {"delim": "\t", "quote": "\x1f"}
        lines, source = super().get_csv_data()
        parts = json.loads("\n".join(lines))["properties"]
        return [f"``{name}``\t{part['description']}" for name, part in parts.items()], source


def setup(app: Sphinx) -> None:
    """Make the directives known, and colour linker scripts, which Pygments does not know."""
    app.add_directive("schema-table", SchemaTable)
    app.add_directive("tsv-table", TsvTable)
    app.add_lexer("ld", CLexer)
