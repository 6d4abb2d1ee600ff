"""What people do with the page, what holds its requests back, and hosts that show it."""

import json

from flask import url_for
from flask_jwt_extended import create_access_token

from tests.browser.conftest import PATIENCE

PAGE = """<!doctype html><html lang="en"><title>Host</title><main><h1>Host</h1>{}</main>
<script type="module" src="{}"></script><script type="module" src="/host.js"></script></html>"""

# What docs/front-end.md names, and nothing else.
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


# What a server refuses with; 0 is no network.
STATUSES = [401, 403, 409, 412, 413, 422, 429, 502, 503, 0]


def row(page, name):
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.locator("model-registry .models > li").filter(has=heading)


def choose(page, name, item):
    """Choose from the menu of a model."""
    page.get_by_label(f"More for {name}", exact=True).click()
    row(page, name).get_by_role("button", name=item, exact=True).click()
    return page.get_by_role("dialog")


def fill(dialog, **texts):
    for label, text in texts.items():
        dialog.get_by_label(label.replace("_", " "), exact=True).fill(text)


def opened_form(page):
    """Open the form that registers models, with all of its fields."""
    page.get_by_role("button", name="Register a model").click()
    dialog = page.get_by_role("dialog", name="Register a model")
    dialog.wait_for()  # its module is loaded when the first is opened
    dialog.get_by_text("More", exact=True).click()
    return dialog


def opened_defaults(page):
    page.get_by_role("button", name="Defaults").click()
    return page.get_by_role("dialog", name="Defaults")


def choose_provider(dialog, name):
    """Type a name of a provider, and choose the first that is like it."""
    dialog.get_by_label("Provider", exact=True).fill(name)
    dialog.get_by_label("Provider", exact=True).press("Enter")


def answer(page, pattern, method, status):
    """Refuse requests with a status."""

    def refuse(route):
        if route.request.method != method:
            route.fallback()
        elif not status:
            route.abort()
        else:
            title = f"Refused with {status}."
            body = json.dumps({"type": "urn:problem-type:model-registry:x", "title": title})
            route.fulfill(status=status, body=body, headers={"Retry-After": "7"})

    page.route(pattern, refuse)


def said(status):
    """Return what the page says of it."""
    texts = {401: "not logged in", 0: "cannot be reached"}
    return texts.get(status, f"Refused with {status}. Try again in 7 seconds.")


def hold(page, pattern, method="GET"):
    """Hold requests back; returns the list that they are in."""
    held = []

    def keep(route):
        held.append(route) if route.request.method == method else route.fallback()

    page.route(pattern, keep)
    return held


def wait_until(page, is_so):
    """Wait for something that is known on this side."""
    for _ in range(PATIENCE // 25):
        if is_so():
            return
        page.wait_for_timeout(25)
    raise AssertionError("it did not happen")


def until(page, held, count=1):
    wait_until(page, lambda: len(held) >= count)


def add_people(host):
    """Add the routes from which a page gets alice's token and the people to share with."""

    @host.app.get("/token")
    def token():
        return create_access_token(str(host.user("alice")))

    @host.app.get("/people")
    def people():
        return [{"key": str(host.user("bob")), "name": "Bob"}]


def add_pages(element, script="", login=None):
    """Return what adds a page with the element, and a script of the host's, to a host app."""

    def add(host):
        @host.app.get("/page")
        def page():
            token = create_access_token(str(host.user("alice")))
            address = url_for("model_registry.static", filename="model-registry.js")
            response = host.app.make_response(PAGE.format(element.format(token=token), address))
            if login:
                login(response, token)
            return response

        @host.app.get("/host.js")
        def host_script():
            token = create_access_token(str(host.user("alice")))
            return script.replace("TOKEN", token), {"Content-Type": "text/javascript"}

        @host.app.after_request
        def with_policy(response):
            response.headers["Content-Security-Policy"] = POLICY
            return response

    return add
