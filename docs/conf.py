"""Configuration of the documentation."""

import sys
from pathlib import Path

from flask_model_registry import __version__

sys.path.insert(0, str(Path(__file__).parent))  # for operations.py

project = "flask-model-registry"
version = release = __version__
html_title = f"{project} {release}"
copyright = "2026, the flask-model-registry authors"
myst_enable_extensions = ["colon_fence"]
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "operations",
]
intersphinx_mapping = {}
nitpick_ignore = [("py:class", "datetime")]  # which is Python's
html_theme = "furo"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
myst_heading_anchors = 4
exclude_patterns = ["_build"]
