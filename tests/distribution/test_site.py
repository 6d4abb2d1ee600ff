"""The site that Sphinx makes of the documentation."""

import re
from importlib.util import find_spec

import pytest

from tests.distribution.conftest import ROOT, run

NEEDED = ("furo", "myst_parser", "sphinx", "sphinx_copybutton", "sphinxext.opengraph")


def is_missing(name):
    try:
        return find_spec(name) is None
    except ModuleNotFoundError:
        return True


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    if any(map(is_missing, NEEDED)):
        pytest.skip("this needs the `docs` extra")
    folder = tmp_path_factory.mktemp("site")
    ran = run("sphinx", "-E", "-W", "-n", "-q", ROOT / "docs", folder)
    assert ran.code == 0, ran.printed
    return folder


def pages(site):
    names = [each.stem for each in (ROOT / "docs").glob("*.md")]
    assert len(names) > 20
    return {name: (site / f"{name}.html").read_text() for name in names}


def test_each_page_has_a_title_and_a_description_for_links_and_search_engines(site):
    for name, text in pages(site).items():
        (title,) = re.findall(r'<meta property="og:title" content="([^"]+)"', text)
        (description,) = re.findall(r'<meta name="description" content="([^"]+)"', text)
        heading = re.search(r"<h1>(.*?)<a ", text)[1]

        assert title == re.sub(r"<.*?>", "", heading), name
        assert len(description) > 40, name


def test_each_block_of_code_has_a_button_that_copies_it(site):
    text = pages(site)["quickstart"]
    (script,) = re.findall(r'src="(_static/copybutton\.js[^"]*)"', text)

    assert (site / script.partition("?")[0]).exists()
    assert '<div class="highlight">' in text
