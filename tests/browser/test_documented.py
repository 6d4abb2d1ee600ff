"""The page of the documentation, as a host puts it into its own."""

import json
import re

from flask import render_template_string
from playwright.sync_api import expect

from tests.browser.conftest import ROOT
from tests.browser.page import add_people, choose
from tests.doc_runner import text_of

TEXT = text_of(ROOT / "docs" / "front-end.md", "The page for users")
PAGE = """<!doctype html><html lang="en"><title>Host</title><main><h1>Host</h1>{}</main>
<link rel="stylesheet" href="/host.css"><script type="module" src="/host.js"></script></html>"""
SESSION = (
    'const session = { accessToken: () => fetch("/token").then((answer) => answer.text()) };\n'
)


def block(language):
    return re.search(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[1]


def test_what_the_documentation_shows_of_the_page_works(served, windows):
    def add(host):
        @host.app.get("/page")
        def page():
            return render_template_string(PAGE.format(block("html")))

        @host.app.get("/host.js")
        def script():
            return SESSION + block("js"), {"Content-Type": "text/javascript"}

        @host.app.get("/host.css")
        def style():
            return block("css"), {"Content-Type": "text/css"}

        add_people(host)

        @host.app.get("/csrf-token")
        def csrf_token():
            return "made by the host"

        @host.app.get("/teams")
        def teams():
            return ["research"]

        @host.app.get("/login")
        def login():
            return "The login"

    host, address = served(add)
    with host.app.app_context():
        host.registry.create(
            model_id="m",
            model_provider="openai",
            model_name="m",
            api_key="k",
            user=host.load("alice"),
        )
        host.db.session.commit()

    page = windows(f"{address}/page")

    dialog = choose(page, "m", "Share…")
    dialog.get_by_label("Who").fill("Bob")
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("Bob")
    accent = page.locator("model-registry button.primary").first.evaluate(
        "(node) => getComputedStyle(node).backgroundColor"
    )
    assert accent == "rgb(10, 125, 90)"

    with host.app.app_context():
        host.db.session.delete(host.load("alice"))
        host.db.session.commit()
    # Without the braces, evaluate() awaits what refresh() promises, and the page leaves for /login before that.
    page.evaluate("() => { document.querySelector('model-registry').refresh(); }")
    expect(page.locator("body")).to_have_text("The login")


def test_every_attribute_property_and_event_is_documented():
    folder = ROOT / "flask_model_registry" / "web" / "static"
    source = "".join(path.read_text() for path in folder.glob("*.js"))
    (manifest,) = json.loads((folder / "custom-elements.json").read_text())["modules"]
    (element,) = manifest["declarations"]
    declared = {
        kind: {each["name"] for each in element[kind]}
        for kind in ("attributes", "members", "events", "cssProperties", "cssParts")
    }
    attributes = re.findall(r'[gh][ea][ts]Attribute\("([a-z-]+)"\)', source)
    events = re.findall(r'emit\("([a-z-]+)"', source)
    properties = re.findall(r"var\((--model-registry-[a-z-]+)", source)

    attributes = {name for name in attributes if not name.startswith(("aria-", "data-", "list"))}
    shown = {
        "src",
        "token",
        "can-share",
        "user-id",
        "csrf-token",
        "csrf-cookie",
        "csrf-header",
        "heading",
    }
    assert attributes == shown
    assert [name for name in {*attributes, "heading", "lang"} if f"`{name}" not in TEXT] == []
    assert [name for name in {*events} if f"`{name}`" not in TEXT] == []
    parts = " ".join(re.findall(r'part: "([a-z ]+)"', source)).split()
    assert declared["attributes"] == {*attributes, "heading", "lang"}
    assert declared["cssParts"] == {*parts, "danger"}  # the class of a button
    assert [name for name in declared["cssParts"] if f"`{name}`" not in TEXT] == []
    assert declared["events"] == {*events}
    assert declared["cssProperties"] == {*properties}
    types = (folder / "model-registry.d.ts").read_text()
    assert [name for name in declared["members"] if f"`{name}" not in TEXT] == []
    typed = re.findall(
        r"^  (?:[gs]et )?(\w+)[(:]", types.partition("extends HTMLElement")[2], re.MULTILINE
    )
    assert declared["members"] == {*typed}
    short = {name.removeprefix("--model-registry") for name in properties}
    assert [name for name in short if name not in TEXT] == []
