"""How the page gets in: a token in three ways, cookies with a CSRF token, a login of the host's."""

import pytest
from flask import redirect, request, session
from flask_jwt_extended import set_access_cookies
from playwright.sync_api import expect

from tests.browser.page import add_pages, choose, fill, opened_form, row
from tests.hosts import CANARY, PREFIX


def registers_and_deletes(page):
    dialog = opened_form(page)
    fill(dialog, Name="mine", Model="gpt-4o", API_key=CANARY)
    expect(dialog.get_by_role("option", name="gpt-4o")).to_be_visible()
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(row(page, "mine")).to_be_visible()
    choose(page, "mine", "Delete…").get_by_role("button", name="Delete").click()
    expect(page.locator(".empty")).to_contain_text("No models yet")


@pytest.mark.parametrize(
    ("element", "script"),
    [
        ('<model-registry src="/api/models" token="{token}"></model-registry>', ""),
        (
            "<model-registry></model-registry>",
            'document.querySelector("model-registry").token = "TOKEN";',
        ),
        (
            '<model-registry src="/api/models/"></model-registry>',
            'document.querySelector("model-registry").getToken = async () => "TOKEN";',
        ),
        (
            "",
            """const early = document.createElement("model-registry");
            early.token = "TOKEN";
            document.querySelector("main").append(early);""",
        ),
        (
            '<model-registry></model-registry><script src="/host.js"></script>',
            """if (!window.told) document.querySelector("model-registry").token = "TOKEN";
            window.told = true;""",
        ),
    ],
    ids=["attribute", "property", "function", "made by a script", "before the file is there"],
)
def test_the_page_uses_the_token_that_it_is_given(served, windows, element, script):
    _, address = served(add_pages(element, script))

    registers_and_deletes(windows(f"{address}/page"))

    assert 401 not in windows.statuses


def test_the_page_uses_cookies_with_a_csrf_token(served, windows):
    def login(response, token):
        set_access_cookies(response, token)

    _, address = served(
        add_pages("<model-registry></model-registry>", login=login),
        JWT_TOKEN_LOCATION=["cookies"],
        JWT_COOKIE_SECURE=False,
    )

    registers_and_deletes(windows(f"{address}/page"))


ASKING = """const models = document.querySelector("model-registry");
let asked = 0;
models.getCsrfToken = async () => `number ${++asked}`;"""


@pytest.mark.parametrize(
    ("attribute", "script", "expected"),
    [
        ('csrf-token="made by the host"', "", ["made by the host"] * 2),
        # The provider is asked with the others: for its models, and for tests before and after.
        ("", ASKING, ["number 3", "number 5"]),
    ],
    ids=["attribute", "function"],
)
def test_the_page_sends_the_csrf_token_of_a_login_with_sessions(
    served, windows, attribute, script, expected
):
    element = f'<model-registry {attribute} csrf-header="X-CSRFToken"></model-registry>'
    given = []

    def add(host):
        add_pages(element, script, login=log_in)(host)

        @host.app.before_request
        def check():
            if request.path.startswith(f"{PREFIX}/") and request.method != "GET":
                given.append(request.headers.get("X-CSRFToken"))

    def log_in(response, token):
        response.set_cookie("access_token_cookie", token)

    _, address = served(
        add, JWT_TOKEN_LOCATION=["cookies"], JWT_COOKIE_SECURE=False, JWT_COOKIE_CSRF_PROTECT=False
    )

    registers_and_deletes(windows(f"{address}/page"))

    assert given == expected


def test_a_csrf_check_that_comes_first_does_not_hide_a_logout(served, windows):
    def add(host):
        add_pages('<model-registry token="{token}"></model-registry>')(host)

        @host.app.before_request
        def check():
            if request.path == f"{PREFIX}/register":
                host.app.config["JWT_SECRET_KEY"] = "k" * 48  # the token is good no more
                return "The CSRF tokens do not match.", 400
            return None

    _, address = served(add)
    page = windows(f"{address}/page")
    page.evaluate(
        "addEventListener('model-registry-unauthenticated', () => { window.told = true; })"
    )
    dialog = opened_form(page)
    fill(dialog, Name="mine", Model="gpt-4o", API_key="k")

    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(page.locator(".messages [role=alert]")).to_contain_text("not logged in")
    assert page.evaluate("window.told") is True


def test_the_heading_is_the_hosts_to_choose(served, windows):
    _, address = served(add_pages('<model-registry token="{token}" heading="AI"></model-registry>'))
    page = windows(f"{address}/page")

    expect(page.get_by_role("heading", name="AI", exact=True)).to_be_visible()
    page.evaluate("document.querySelector('model-registry').setAttribute('heading', '')")

    expect(page.get_by_role("region", name="Models")).to_be_visible()
    box = page.get_by_role("heading", name="Models", exact=True).bounding_box()
    assert box["height"] <= 1


def test_a_login_page_of_the_host_in_place_of_401_means_the_same(served, windows):
    def add(host):
        add_pages("<model-registry></model-registry>")(host)

        @host.app.before_request
        def to_login():
            if (
                request.path.startswith(f"{PREFIX}/")
                and "/static/" not in request.path
                and not session
            ):
                return redirect("/login")
            return None

    _, address = served(add, SECRET_KEY="s" * 32)

    page = windows(f"{address}/page")

    expect(page.locator(".messages [role=alert]")).to_contain_text("not logged in")
