"""The site that Sphinx makes of the documentation."""

import json
import re
import shutil
import subprocess
from importlib.util import find_spec

import pytest

import flask_model_registry
from tests.browser.conftest import CHROMIUM
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


def test_each_page_has_the_version_in_its_title_and_no_empty_header(site):
    for name, text in pages(site).items():
        title = re.search(r"<title>(.*?)</title>", text)[1]

        assert title.endswith(f"flask-model-registry {flask_model_registry.__version__}"), name
        assert re.findall(r"<th\b[^>]*>\s*(?:<p>\s*</p>)?\s*</th>", text) == [], name


# What is wider than a phone, unless it scrolls by itself; and the blocks of code without a button.
WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (each) => each && (getComputedStyle(each).overflowX !== "visible" || scrolls(each.parentElement));
  const wide = [...document.querySelectorAll("article *")].filter(
    (each) => each.getBoundingClientRect().right > width + 1 && !scrolls(each.closest("article *")));
  const blocks = [...document.querySelectorAll("div.highlight")].filter((each) => !each.querySelector("button.copybtn"));
  return [document.documentElement.scrollWidth - width, wide.map((each) => each.outerHTML), blocks.length];
}"""


def test_each_page_fits_a_phone(site):
    playwright = pytest.importorskip("playwright.sync_api")
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 390, "height": 844}, is_mobile=True)
        for name in pages(site):
            page.goto((site / f"{name}.html").as_uri())
            assert page.evaluate(WIDE) == [0, [], 0], name
        chromium.close()


def test_each_block_of_code_has_a_button_that_copies_it(site):
    text = pages(site)["quickstart"]
    (script,) = re.findall(r'src="(_static/copybutton\.js[^"]*)"', text)

    assert (site / script.partition("?")[0]).exists()
    assert '<div class="highlight">' in text


# What Sphinx's script needs of a browser, and what it finds first.
SEARCH = """
globalThis.window = globalThis;
const document = { getElementById: () => ({}), documentElement: { dataset: {} } };
const DOCUMENTATION_OPTIONS = {}, SPHINX_HIGHLIGHT_ENABLED = false;
const _ready = () => {};
%s
const found = terms.map((term) => Search._performSearch(...Search._parseQuery(term)).slice(-2));
console.log(JSON.stringify(found.map((results) => results.map((each) => each[0] + each[2]))));
"""
SOUGHT = {
    "401": "http#error-unauthenticated",
    "503": "http#error-unavailable",
    "model-id-taken": "http#error-model-id-taken",
    "MODEL_REGISTRY_ALLOWED_HOSTS": "python#settings",
    "pagination": "http",
    "failover": "databases",
}


def test_a_search_finds_statuses_codes_settings_and_subjects(site):
    node = shutil.which("node") or pytest.skip("node is not installed")
    names = ("_static/language_data.js", "_static/searchtools.js", "searchindex.js")
    scripts = "\n".join((site / each).read_text() for each in names)
    program = SEARCH % f"{scripts}\nconst terms = {json.dumps([*SOUGHT])};"

    found = json.loads(
        subprocess.run([node], input=program, check=True, capture_output=True, text=True).stdout
    )

    for (term, page), first in zip(SOUGHT.items(), found, strict=True):
        assert any(each.startswith(page) for each in first), (term, first)
