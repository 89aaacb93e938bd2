"""Sphinx configuration: `sphinx-build -W -b html docs build/docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "Vantage"
author = "Vantage developers"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "Vantage"
myst_heading_anchors = 3
exclude_patterns = ["generate.py"]
