"""Configuration of the documentation."""

from flask_model_registry import __version__

project = "flask-model-registry"
version = release = __version__
html_title = f"{project} {release}"
copyright = "2026, the flask-model-registry authors"
myst_enable_extensions = ["colon_fence"]
extensions = ["myst_parser", "sphinx_copybutton", "sphinxext.opengraph"]
html_theme = "furo"
myst_heading_anchors = 4
copybutton_exclude = ".linenos, .gp, .go"  # prompts and output of Python sessions
ogp_social_cards = {"enable": False}  # they need Matplotlib
exclude_patterns = ["_build"]
