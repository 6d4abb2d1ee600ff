"""A page whose parts htmx swaps in and out."""

import re

import pytest
from flask import render_template_string, request
from flask_jwt_extended import create_access_token, set_access_cookies
from playwright.sync_api import expect

from tests.browser.conftest import missing
from tests.browser.page import opened_form, row, wait_until
from tests.browser.vite import NPM, SECTION
from tests.hosts import CANARY, PREFIX, model

POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'"
PAGE, FRAGMENT = re.findall(
    r"^```html\n(.*?)^```$", SECTION.partition("### htmx")[2], re.DOTALL | re.MULTILINE
)
# htmx styles what shows that a request is under way by an element of its own, which no policy of this kind lets it.
HEAD = """<!doctype html><html lang="en"><title>Host</title>
<meta name="htmx-config" content='{"includeIndicatorCSS": false}'><header><h1>Host</h1></header>"""
LISTENERS = """
window.listening = 0;
for (const [name, step] of [["addEventListener", 1], ["removeEventListener", -1]]) {
  const { [name]: real } = EventTarget.prototype;
  EventTarget.prototype[name] = function (...given) {
    if (given[1]?.localName === "model-registry") window.listening += step;
    return real.apply(this, given);
  };
}
"""


@pytest.fixture
def page(served, windows):
    """Return a window with a page of htmx's, which shows no models at first."""
    script = NPM / "htmx.org" / "dist" / "htmx.min.js"
    source = LISTENERS + (script.read_text() if script.exists() else missing("htmx"))
    given = []

    def add(host):
        host.app.jinja_env.globals["csrf_token"] = lambda: "made by the host"

        @host.app.get("/page")
        def page():
            response = host.app.make_response(HEAD + render_template_string(PAGE))
            set_access_cookies(response, create_access_token(str(host.user("alice"))))
            return response

        @host.app.get("/models")
        def fragment():
            return render_template_string(FRAGMENT)

        @host.app.get("/about")
        def about():
            return "<p>About</p>"

        @host.app.before_request
        def check():
            if request.path.startswith(f"{PREFIX}/") and request.method != "GET":
                given.append(request.headers.get("X-CSRFToken"))

        @host.app.after_request
        def with_policy(response):
            response.headers["Content-Security-Policy"] = POLICY
            return response

        host.app.view_functions["static"] = lambda filename: (
            source,
            {"Content-Type": "text/javascript"},
        )

    host, address = served(
        add, JWT_TOKEN_LOCATION=["cookies"], JWT_COOKIE_SECURE=False, JWT_COOKIE_CSRF_PROTECT=False
    )
    with host.app.app_context():
        host.registry.create(**model(model_id="mine"), user=host.load("alice"))
        host.db.session.commit()
    page = windows(f"{address}/page")
    yield page
    assert {*given} <= {"made by the host"}


def show(page, name):
    page.get_by_role("button", name=name, exact=True).first.click()
    if name == "Models":
        row(page, "mine").wait_for()
    else:
        expect(page.locator("#main")).to_have_text("About")


def test_an_element_that_is_swapped_out_leaves_nothing(page, axe):
    for _ in range(3):
        show(page, "Models")
        page.get_by_role("searchbox").fill("mi")
        page.evaluate("window.last = new WeakRef(document.querySelector('model-registry'))")
        assert page.evaluate("window.listening") > 0
        show(page, "About")
        assert page.evaluate("window.listening") == 0

    def is_collected():
        page.request_gc()
        return page.evaluate("window.last.deref() === undefined")

    wait_until(page, is_collected)

    show(page, "Models")
    expect(page.get_by_role("searchbox")).to_have_value("")
    assert axe(page) == []


def test_a_swap_leaves_what_is_open_and_typed_in_a_kept_element(page):
    show(page, "Models")
    dialog = opened_form(page)
    dialog.get_by_label("API key", exact=True).fill(CANARY)
    dialog.get_by_role("option", name="gpt-4o").click()

    page.evaluate("document.querySelector('#main').append('swapped out')")
    page.evaluate("htmx.ajax('GET', '/models', '#main')")
    expect(page.get_by_text("swapped out")).to_have_count(0)
    expect(dialog.get_by_label("API key", exact=True)).to_have_value(CANARY)
    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(row(page, "gpt-4o")).to_be_visible()
    expect(page.locator("model-registry")).to_have_count(1)
