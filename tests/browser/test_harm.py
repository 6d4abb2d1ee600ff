"""What others write is text, whatever it looks like; keys are kept nowhere; the policy holds."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.page import choose, choose_provider, fill, opened_form, row
from tests.hosts import CANARY

MARKUP = [
    "<script>window.hacked = true</script>",
    "<img src=x onerror='window.hacked = true'>",
    '"><svg onload=window.hacked=true>',
    "' onfocus='window.hacked=true' autofocus='",
    "javascript:window.hacked=true",
    "<a href='javascript:window.hacked=true'>click</a>",
    "</style><style>:host { display: none }</style>",
    "<iframe srcdoc='<script>parent.hacked=true</script>'></iframe>",
    "{{constructor.constructor('window.hacked=true')()}}",
    "</textarea><script>window.hacked = true</script>",
    "<model-registry src='//evil.example.com'></model-registry>",
    "\u202egnp.exe <b>bold</b>",
]
# What the page's own code never makes.
STRANGE = "script, img, svg, iframe, a, object, embed, style, link, b, model-registry, [style], [onload], [onerror], [onfocus]"
FOUND = """(strange) => {
  const root = document.querySelector("model-registry").shadowRoot;
  return [...root.querySelectorAll(strange)].map((each) => each.outerHTML);
}"""


def is_unharmed(page):
    assert page.evaluate(FOUND, STRANGE) == []
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("markup", MARKUP)
def test_an_answer_full_of_markup_is_shown_as_text(demo, markup):
    page = demo.open("alice")
    model = demo.ask("alice", "GET", "/by-id/team-search")
    hostile = {name: markup if isinstance(value, str) else value for name, value in model.items()}
    hostile |= {"category": "llm", "abilities": [markup], "base_url": markup, "description": markup}
    default = {"config_type": "general", "source": "user", "model": hostile}
    provider = {"id": markup, "name": markup, "base_url": markup, "aliases": [], "needs_key": True,
                "needs_base_url": False, "can_be_tested": True, "categories": [markup],
                "keys_url": f"javascript:{markup}"}  # fmt: skip
    rights = {"can_edit": True, "can_delete": False}
    grants = {"users": [{"user": markup, **rights}], "groups": [{"group": markup, **rights}]}
    problem = {"title": markup, "detail": markup, "errors": [{"field": markup, "message": markup},
                                                            {"field": "model_id", "message": markup}]}  # fmt: skip
    details = {
        "model": hostile,
        "owner": markup,
        "test": {"result": markup, "latency_ms": 1, "at": markup},
        "key": {"is_set": True, "expires_at": markup, "credential": {"id": 1, "name": markup}},
        "grants": {"users": 1, "groups": 1},
    }
    answers = {
        ("GET", "/providers"): [provider],
        ("GET", "/details"): [details],
        ("GET", f"/{model['id']}"): hostile,
        ("GET", f"/{model['id']}/credential"): {
            "is_set": True,
            "status": markup,
            "updated_at": markup,
        },
        ("GET", f"/{model['id']}/grants"): grants,
        ("GET", "/defaults"): [default],
        ("PATCH", f"/{model['id']}"): problem,
        ("POST", f"/{model['id']}/test"): {"result": markup, "latency_ms": 1},
        ("POST", "/test-connection"): problem,
    }

    def answer(route):
        path = route.request.url.partition("/api/models")[2].partition("?")[0]
        found = answers.get((route.request.method, path))
        status = 422 if found is problem else 200
        if found is None:
            route.continue_()
            return
        route.fulfill(status=status, body=json.dumps(found), content_type="application/json")

    page.route("**/api/models/**", answer)
    page.evaluate(
        """(text) => {
          const element = document.querySelector("model-registry");
          element.people = [{ key: text, name: text }];
          const again = element.cloneNode();
          again.getToken = element.getToken;
          again.people = element.people;
          again.groups = [text];
          element.replaceWith(again);
        }""",
        markup,
    )
    expect(page.locator("model-registry h3")).to_have_text([markup])
    is_unharmed(page)

    menu = page.locator("model-registry summary")
    page.locator("model-registry [data-key$=':test']").click()
    expect(page.locator("model-registry .models .result")).not_to_have_text("Testing…")
    page.locator("model-registry [data-key$=':edit']").click()
    dialog = page.get_by_role("dialog")
    fill(dialog, Model="changed")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text(markup)
    is_unharmed(page)
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()

    menu.click()
    page.get_by_role("button", name="Share…").click()
    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text(f"Group {markup}")
    is_unharmed(page)
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Defaults").click()
    expect(
        dialog.get_by_role("combobox").and_(dialog.locator("[data-kind=general]"))
    ).to_have_value(re.compile(re.escape(" ".join(markup.splitlines()))))
    is_unharmed(page)


@pytest.mark.parametrize("markup", MARKUP[:-1])  # the API itself refuses the last one
def test_what_one_person_writes_is_text_to_another(demo, markup):
    mine = demo.open("alice")
    dialog = opened_form(mine)
    choose_provider(dialog, "stand-in")
    fill(dialog, Name="harmless", Model=markup, Description=markup, API_key="demo-key")
    dialog.get_by_label("Share with everyone").check()

    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("does not have this model")
    dialog.get_by_role("button", name="Register anyway").click()
    expect(row(mine, "harmless")).to_be_visible()
    theirs = demo.open("carol")

    for page in (mine, theirs):
        expect(row(page, "harmless").locator(".description")).to_have_text(markup)
        is_unharmed(page)
    sharing = choose(mine, "harmless", "Share…")
    sharing.get_by_label("With", exact=True).select_option("groups")
    fill(sharing, Who=markup)
    sharing.get_by_role("button", name="Share", exact=True).click()
    question = mine.get_by_role("dialog").filter(has_text="does not list that group")
    is_unharmed(mine)
    question.get_by_role("button", name="Share", exact=True).click()
    expect(sharing.get_by_role("list", name="Shared with")).to_contain_text(f"Group {markup}")
    is_unharmed(mine)


def test_a_key_goes_to_the_server_once_and_is_kept_nowhere(demo):
    page = demo.open("bob")
    sent = []
    page.on(
        "request",
        lambda request: sent.append((request.method, request.url, request.post_data or "")),
    )
    dialog = opened_form(page)
    fill(dialog, Name="secretive", Model="demo-small", API_key=CANARY)
    assert dialog.get_by_label("API key").get_attribute("type") == "password"
    expect(dialog.get_by_role("listbox", name="Models")).to_be_visible()

    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(row(page, "secretive")).to_be_visible()
    page.get_by_role("button", name="Edit secretive").click()
    expect(page.get_by_role("dialog").get_by_label("API key")).to_have_value("")

    with_key = [(method, url) for method, url, body in sent if CANARY in body + url]
    paths = ["providers/openai/models", "test-connection", "register"]
    assert with_key == [("POST", f"{demo.address}/api/models/{path}") for path in paths]


def test_the_watch_over_the_policy_sees_what_breaks_it(demo):
    page = demo.open("bob")

    page.evaluate(
        """() => {
          const node = document.createElement("div");
          node.setAttribute("style", "color: red");
          document.body.append(node);
        }"""
    )

    page.wait_for_function("window.violations.length > 0")
    (violation,) = page.evaluate("window.violations.splice(0)")
    assert violation.startswith("style-src-attr")


def test_the_watch_over_keys_sees_one_that_is_kept(demo):
    from tests.browser.conftest import KEPT
    from tests.conftest import traces

    page = demo.open("bob")
    fill(opened_form(page), API_key=CANARY)

    assert traces(page.evaluate(KEPT)) != []
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
