"""Configuration of the documentation."""

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from flask_model_registry import __version__, errors
from flask_model_registry.config import PREFIX

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


def add_index_entries(app: Sphinx, doctree: nodes.document) -> None:
    """Index errors by code and status, and settings by name.

    The site's search drops numbers, and ranks pages that mention a name often above the section
    about it. Index entries come first.
    """
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    found = [each for each in kinds if issubclass(each, errors.RegistryError)]
    sought = {f"error-{each.code}": [each.code, str(each.status)] for each in found}
    for section in doctree.findall(nodes.section):
        if "settings" in section["ids"] and app.env.docname == "python":
            literals = [each.astext() for each in section.findall(nodes.literal)]
            sought["settings"] = sorted({each for each in literals if each.startswith(PREFIX)})
        for target in sought.keys() & {*section["ids"]}:
            entries = [("single", text, target, "main", None) for text in sought[target]]
            section.insert(1, addnodes.index(entries=entries))


def setup(app: Sphinx) -> None:
    """Connect what this configuration adds to Sphinx."""
    app.connect("doctree-read", add_index_entries)
