"""Sphinx configuration: `sphinx-build -W -b html docs build/docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "Vantage"
author = "Vantage developers"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "Vantage"
myst_heading_anchors = 3
highlight_language = "text"
default_role = "code"  # docstrings write `name`
exclude_patterns = ["generate.py"]


def setup(app):
    app.connect("autodoc-process-docstring", _plain)


def _plain(_app, what, _name, _obj, _options, lines):
    """Leave the module's docstring to docs/api.md; an asterisk in the others means itself."""
    lines[:] = [] if what == "module" else [line.replace("*", r"\*") for line in lines]
