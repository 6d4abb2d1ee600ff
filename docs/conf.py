"""Configuration of the documentation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for operations.py

project = "flask-model-registry"
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
html_theme = "furo"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
myst_heading_anchors = 3
exclude_patterns = ["_build"]
