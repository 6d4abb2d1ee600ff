"""Pages with Bootstrap and Tailwind, which are light or dark by their own means."""

import re

import pytest
from flask import url_for
from flask_jwt_extended import create_access_token
from playwright.sync_api import expect

from tests.browser.conftest import ARTEFACTS, ROOT, missing
from tests.browser.page import opened_form, row
from tests.browser.vite import INDEX, NPM, build
from tests.doc_runner import text_of
from tests.hosts import model

POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src data:"
)
STYLES = re.findall(
    r"^```css\n(.*?)^```$",
    text_of(ROOT / "docs" / "front-end.md", "The page for users"),
    re.DOTALL | re.MULTILINE,
)
HEAD = '<link rel="stylesheet" href="/built.css"><link rel="stylesheet" href="/host.css">'
PAGE = """<!doctype html><html lang="en"><title>Host</title>{}<body class="{}"><main><h1>Host</h1>
<model-registry token="{}"></model-registry></main><script type="module" src="{}"></script></html>"""
TAILWIND = "bg-white text-gray-900 dark:bg-gray-900 dark:text-gray-100"
# What a page does to be dark, and to be light again.
DARK = {
    "bootstrap": "document.documentElement.dataset.bsTheme = {} ? 'dark' : 'light'",
    "tailwind": "document.documentElement.classList.toggle('dark', {})",
}
COLORS = """() => {
  const of = (node) => {
    const { backgroundColor, color, fontFamily, fontSize } = getComputedStyle(node);
    return { backgroundColor, color, fontFamily, fontSize };
  };
  const root = document.querySelector("model-registry").shadowRoot;
  return [document.body, root.querySelector("section"), root.querySelector("dialog")].filter(Boolean).map(of);
}"""


def bootstrap(_folder):
    path = NPM / "bootstrap" / "dist" / "css" / "bootstrap.min.css"
    return (path.read_text() if path.exists() else missing("bootstrap")), style_with("--bs-")


def style_with(word):
    """Return the recipe that has a word."""
    (style,) = [each for each in STYLES if word in each]
    return style


def tailwind(folder):
    index = INDEX.format("", "main.js").replace("<body>", f'<body class="{TAILWIND}">')
    files = {
        "index.html": index,
        "vite.config.js": 'import tailwindcss from "@tailwindcss/vite";\nexport default { plugins: [tailwindcss()] };',
        "src/main.js": 'import "./app.css";',
        "src/app.css": style_with("tailwindcss"),
    }
    (built,) = (build(folder, "main.js", **files) / "assets").glob("*.css")
    return built.read_text(), ""


@pytest.fixture(params=[bootstrap, tailwind], ids=lambda each: each.__name__)
def theme(request, tmp_path_factory, served, windows):
    """Return a window with a page, and what makes it dark."""
    name = request.param.__name__
    built, own = request.param(tmp_path_factory.mktemp(name))

    def add(host):
        @host.app.get("/page")
        def page():
            token = create_access_token(str(host.user("alice")))
            address = url_for("model_registry.static", filename="model-registry.js")
            classes = TAILWIND if name == "tailwind" else ""
            response = host.app.make_response(PAGE.format(HEAD, classes, token, address))
            response.headers["Content-Security-Policy"] = POLICY
            return response

        @host.app.get("/<any(built, host):sheet>.css")
        def style(sheet):
            return (built if sheet == "built" else own), {"Content-Type": "text/css"}

    host, address = served(add)
    with host.app.app_context():
        host.registry.create(**model(model_id="mine"), user=host.load("alice"))
        host.db.session.commit()
    page = windows(f"{address}/page", color_scheme="dark", reduced_motion="reduce")
    row(page, "mine").wait_for()
    return name, page


def test_it_has_the_surface_and_text_of_the_page_light_and_dark(theme, axe):
    name, page = theme
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    seen = []
    for is_dark in ("false", "true", "false"):
        page.evaluate(DARK[name].format(is_dark))
        host, section = page.evaluate(COLORS)
        assert section == host
        assert axe(page) == []
        seen.append(host["backgroundColor"])
        page.screenshot(path=ARTEFACTS / f"{name}-{len(seen)}.png")
    assert seen[0] == seen[2] != seen[1]

    opened_form(page)
    for is_dark in ("true", "false"):
        page.evaluate(DARK[name].format(is_dark))
        host, _, dialog = page.evaluate(COLORS)
        assert dialog == host
        assert axe(page) == []
    expect(page.get_by_role("button", name="Register", exact=True)).to_have_css(
        "color", host["backgroundColor"]
    )
