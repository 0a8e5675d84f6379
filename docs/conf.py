"""The documentation's site: `make docs`."""

import os
import re
from importlib.metadata import version as version_of
from pathlib import Path

from docutils import nodes

project = "biofuse"
author = copyright = "the biofuse developers"
release = version = version_of("biofuse")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
html_theme = "furo"
html_title = f"biofuse {version}"
myst_enable_extensions = ["colon_fence"]
napoleon_google_docstring = False
autodoc_typehints = "none"
# In docstrings, `Name` is a link where there is such a name.
default_role = "py:obj"
# They would make one dash of an option's two.
smartquotes = False
# The page of commands is the man page, too.
man_pages = [
    ("commands", "biofuse", "show a VCF Zarr store as the files that genetics programs read", [], 1)
]
# Headings that pages link to.
myst_heading_anchors = 3
# "sh by-hand" is a shell's language for whoever reads, and for tests that it is not run.
suppress_warnings = ["misc.highlighting_failure"]
exclude_patterns = ["build"]

_DOCS = Path(__file__).parent
_ROOT = _DOCS.parent
_SOURCES = "https://github.com/sgkit-dev/biofuse/blob/main"
# Pages that are made of files elsewhere.
_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
# An option's value, of a name that has a format's before it.
_VALUE_OF_FORMAT = re.compile(r"<\w+?__(\w+)>")
_LINK = re.compile(r"\]\(([\w./-]+)(#[\w-]*)?\)")


def _link_within(text: str, source: Path, page: Path) -> str:
    """A page's links as they are on the site: those in a checkout are to files."""

    def replace(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(source / link[1]))
        if not target.is_relative_to(_ROOT) or not target.exists():
            return link[0]
        name = str(target.relative_to(_ROOT))
        if name in _PAGES:
            target = _DOCS / _PAGES[name]
        if not target.is_relative_to(_DOCS):
            return f"]({_SOURCES}/{name})"
        return f"]({os.path.relpath(target, page)}{link[2] or ''})"

    return _LINK.sub(replace, text)


def _read_page(app, name: str, content: list[str]) -> None:
    folder = (_DOCS / name).parent
    content[0] = _link_within(content[0], folder, folder)


def _read_included(app, path: Path, name: str, content: list[str]) -> None:
    content[0] = _link_within(content[0], (_DOCS / path).resolve().parent, (_DOCS / name).parent)


def _name_values(app, ctx, lines: list[str]) -> None:
    lines[:] = [_VALUE_OF_FORMAT.sub(r"<\1>", line) for line in lines]


def _show_examples(app, ctx, lines: list[str]) -> None:
    """What help has below its options is set as it is typed: in columns."""
    text = [line.removeprefix("| ") for line in lines]
    lines[:] = [".. code-block:: none", "", *(f"   {line}" for line in text), ""] if text else []


def _set_dashes(app, document: nodes.document) -> None:
    """Between a parameter and what is said of it."""
    for text in list(document.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))


def setup(app) -> None:
    app.connect("doctree-read", _set_dashes)
    app.connect("sphinx-click-process-options", _name_values)
    app.connect("sphinx-click-process-epilog", _show_examples)
    app.connect("source-read", _read_page)
    app.connect("include-read", _read_included)
