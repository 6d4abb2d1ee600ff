"""Late responses, switched users and broken servers never mix one user's data with another's."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.page import choose, choose_provider, fill, hold, opened_form, row, until
from tests.hosts import CANARY

BECOME = """(name) => {
  document.querySelector("model-registry").getToken = async () => {
    const answer = await fetch(`/as/${name}/token`, { method: "POST" });
    return (await answer.json()).token;
  };
}"""


def let_go(page, held):
    """Let all that was held back go on, and wait until it has arrived."""
    while held:
        held.pop(0).continue_()
    page.wait_for_timeout(300)


def alert(page):
    return page.locator(".messages [role=alert]")


@pytest.mark.parametrize("fails", [False, True], ids=["list arrives", "list fails"])
def test_another_user_sees_nothing_of_the_first(demo, fails):
    page = demo.open("bob")
    choose(page, "bobs-own", "Switch off")
    page.get_by_label("State").select_option("all")
    expect(row(page, "bobs-own")).to_be_visible()
    fill(opened_form(page), API_key=CANARY)
    if fails:
        page.route("**/api/models/details?*", lambda route: route.fulfill(status=500))

    page.evaluate(BECOME, "carol")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row(page, "bobs-own")).to_have_count(0)
    expect(page.get_by_role("status").first).to_be_empty()
    expect(alert(page)).to_have_text("The server returned 500." if fails else "")


@pytest.mark.parametrize("ends", ["pointerup", "never said"])
def test_nothing_moves_while_a_button_is_pressed(demo, ends):
    page = demo.open("bob")
    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    held = hold(page, "**/api/models/providers/*/models", "POST")
    fill(dialog, Model="demo-small", API_key="demo-key")
    until(page, held)
    button = dialog.get_by_role("button", name="Test connection")
    button.scroll_into_view_if_needed()
    place = button.bounding_box()
    page.mouse.move(place["x"] + 5, place["y"] + 5)
    page.mouse.down()

    let_go(page, held)

    assert button.bounding_box() == place
    assert dialog.get_by_text("3 models").count() == 0
    if ends == "pointerup":
        page.mouse.up()
        expect(dialog.get_by_role("status")).to_have_text(re.compile("^Works"))
    expect(dialog.get_by_text("3 models")).to_be_visible()


def test_a_menu_stays_open_when_the_list_arrives(demo):
    page = demo.open("bob")
    held = hold(page, "**/api/models/details?*")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    until(page, held)
    page.get_by_label("More for bobs-own", exact=True).click()
    item = row(page, "bobs-own").get_by_role("button", name="Switch off", exact=True)
    item.focus()

    let_go(page, held)

    expect(item).to_be_focused()
    page.unroute("**/api/models/details?*")
    item.click()
    expect(row(page, "bobs-own").get_by_role("button", name="Switch on bobs-own")).to_be_visible()


@pytest.mark.parametrize("name", ["Edit bobs-own", "Share…"])
def test_what_was_asked_for_one_user_is_not_shown_to_another(demo, name):
    page = demo.open("bob")
    model_id = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    held = hold(page, f"**/api/models/{model_id}")
    if name == "Share…":
        page.get_by_label("More for bobs-own").click()
    page.get_by_role("button", name=name).click()
    until(page, held)

    page.evaluate(BECOME, "carol")
    expect(row(page, "bobs-own")).to_have_count(0)
    let_go(page, held)

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row(page, "house-model")).to_be_visible()


def test_a_model_that_one_user_has_registered_is_not_named_to_another(demo):
    page = demo.open("bob")
    tests = hold(page, re.compile(r"/models/\d+/test$"), "POST")
    dialog = opened_form(page)
    choose_provider(dialog, "stand")
    fill(dialog, Name="of-bob", Model="demo-small", API_key="demo-key")
    held = hold(page, "**/api/models/details?*")
    dialog.get_by_role("button", name="Register", exact=True).click()
    until(page, held)

    page.evaluate(BECOME, "carol")
    until(page, held, 2)
    let_go(page, held)
    expect(row(page, "house-model")).to_be_visible()
    let_go(page, held)

    expect(page.locator(".messages")).not_to_contain_text("of-bob")
    assert tests == []


def test_a_late_token_of_one_user_changes_nothing_for_another(demo):
    page = demo.open("bob")
    tokens = hold(page, "**/as/bob/token", "POST")
    page.evaluate(BECOME, "bob")
    page.evaluate("void document.querySelector('model-registry').refresh()")
    until(page, tokens, 2)
    page.evaluate(BECOME, "carol")
    expect(row(page, "bobs-own")).to_have_count(0)
    expect(row(page, "house-model")).to_be_visible()
    fill(opened_form(page), Name="of-carol")

    let_go(page, tokens)

    expect(page.get_by_label("Name", exact=True)).to_have_value("of-carol")
    expect(row(page, "house-model")).to_be_visible()


def test_what_one_user_has_begun_is_not_done_for_another(demo):
    page = demo.open("bob")
    page.evaluate(
        """() => {
          window.waiting = [];
          const people = () => new Promise((resolve) => waiting.push(resolve));
          document.querySelector("model-registry").people = people;
        }"""
    )
    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_label("Who", exact=True).fill("1")
    dialog.get_by_role("button", name="Share", exact=True).click()
    sent = hold(page, "**/grants/**", "PUT")
    page.evaluate(BECOME, "carol")
    expect(row(page, "house-model")).to_be_visible()

    for _ in range(2):  # it asks whom the host names, and then for the name
        page.evaluate("waiting.forEach((resolve) => resolve([]))")
        page.wait_for_timeout(300)

    assert sent == []
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(alert(page)).to_be_empty()


def test_a_list_that_was_asked_for_before_a_failure_does_not_take_it_back(demo):
    page = demo.open("bob")
    page.route("**/defaults.js", lambda route: route.abort())
    held = hold(page, "**/api/models/details?*")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    until(page, held)
    page.get_by_role("button", name="Defaults").click()
    expect(alert(page)).to_contain_text("did not load")

    let_go(page, held)

    expect(page.locator("model-registry .models:not([aria-busy])")).to_be_visible()
    expect(alert(page)).to_contain_text("did not load")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(alert(page)).to_be_empty()
    let_go(page, held)


def test_a_list_that_is_asked_for_again_loads_no_texts_of_dialogs(demo):
    page, loaded = demo.open("bob"), []
    page.on("request", lambda request: loaded.append(request.url))
    held = hold(page, "**/api/models/details?*")

    for count in (1, 2):
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        until(page, held, count)
    let_go(page, held)

    expect(page.locator("model-registry .models:not([aria-busy])")).to_be_visible()
    assert [each for each in loaded if "_dialogs" in each] == []


def test_a_late_refusal_of_one_user_does_not_log_another_out(demo):
    page = demo.open("bob")
    page.evaluate(
        "addEventListener('model-registry-unauthenticated', () => { window.told = true; })"
    )
    held = hold(page, "**/test", "POST")
    page.get_by_role("button", name="Test bobs-own").click()
    until(page, held)

    page.evaluate(BECOME, "carol")
    expect(row(page, "bobs-own")).to_have_count(0)
    held.pop().fulfill(status=401)
    page.wait_for_timeout(300)

    assert page.evaluate("window.told") is None
    expect(row(page, "house-model")).to_be_visible()


def test_a_token_goes_to_the_address_that_it_was_asked_for(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    fill(dialog, Name="x", Model="m", API_key=CANARY)
    page.evaluate(
        """() => {
          const element = document.querySelector("model-registry");
          const ask = element.getToken;
          window.sent = [];
          window.fetch = new Proxy(window.fetch, {
            apply: (target, self, [address, request]) => {
              window.sent.push([String(address), JSON.stringify(request ?? {})]);
              return Reflect.apply(target, self, [address, request]);
            },
          });
          window.go = new Promise((resolve) => { window.answer = resolve; });
          Object.getPrototypeOf(element).currentToken = async () => { await window.go; return ask(); };
        }"""
    )
    dialog.get_by_role("button", name="Register", exact=True).click()

    page.evaluate(
        "document.querySelector('model-registry').setAttribute('src', 'http://evil.example.com/m')"
    )
    page.evaluate("window.answer()")
    page.wait_for_timeout(500)

    sent = page.evaluate("window.sent")
    assert [address for address, request in sent if CANARY in request] == []
    assert "x" not in demo.names("bob")
    blocked = page.evaluate("window.violations.splice(0)")  # requests to there, without an API key
    assert {each.partition(" ")[0] for each in blocked} <= {"connect-src"}


def test_a_removed_element_forgets_everything(demo):
    page = demo.open("bob")
    fill(opened_form(page), API_key=CANARY)
    page.evaluate("window.element = document.querySelector('model-registry'); element.remove()")

    page.evaluate("document.querySelector('main').append(element)")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row(page, "bobs-own")).to_be_visible()


def test_a_page_that_the_browser_keeps_holds_nothing(demo):
    page = demo.open("bob")
    fill(opened_form(page), API_key=CANARY)

    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("model-registry h3")).to_have_count(0)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")

    expect(row(page, "bobs-own")).to_be_visible()


@pytest.mark.parametrize("fails", [False, True], ids=["works", "fails"])
def test_a_box_shows_what_the_server_knows(demo, fails):
    page = demo.open("alice")
    model_id = demo.ask("alice", "GET", "/by-id/team-search")["id"]
    dialog = choose(page, "team-search", "Share…")
    box = dialog.get_by_label("Share with everyone")
    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("research")
    held = hold(page, f"**/api/models/{model_id}", "PATCH")

    box.click()
    until(page, held)
    box.click()
    held.pop().fulfill(status=503) if fails else let_go(page, held)
    expect(dialog.locator("[aria-busy]")).to_have_count(0)

    expect(box).to_be_checked(checked=not fails)
    assert demo.ask("alice", "GET", "/by-id/team-search")["is_shared"] is not fails


def test_a_default_changes_in_the_scope_that_is_shown(demo):
    page = demo.open("alice")
    row(page, "house-model").get_by_text("More").click()
    page.get_by_role("button", name="Use as default…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Use: Compacting").click()
    expect(dialog.get_by_role("button", name="Clear: Compacting")).to_be_visible()
    held = hold(page, "**/defaults?scope=app")

    dialog.get_by_label("For").select_option("app")
    until(page, held)
    expect(dialog.get_by_role("listitem")).to_have_count(0)
    let_go(page, held)

    expect(dialog.get_by_role("listitem").filter(has_text="Compacting")).to_contain_text("none")
    expect(dialog.get_by_role("button", name="Clear: General")).to_be_visible()


def test_what_is_opened_late_does_not_come_over_something_else(demo):
    page = demo.open("bob")
    model_id = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    held = hold(page, f"**/api/models/{model_id}")
    page.get_by_role("button", name="Edit bobs-own").click()
    until(page, held)

    dialog = opened_form(page)
    dialog.get_by_label("API key").focus()
    let_go(page, held)

    expect(page.get_by_role("dialog")).to_have_count(1)
    expect(dialog.get_by_label("API key")).to_be_focused()


def test_a_save_that_fails_after_its_form_was_closed_is_told(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    fill(dialog, Name="x", Model="m", API_key=CANARY)
    held = hold(page, "**/register", "POST")
    dialog.get_by_role("button", name="Register", exact=True).click()
    until(page, held)

    dialog.get_by_role("button", name="Cancel").click()
    question = page.get_by_role("dialog", name="Leave this form?")
    expect(question).to_contain_text("It is being saved")
    question.get_by_role("button", name="Leave").click()
    held.pop().fulfill(status=503, body=json.dumps({"title": "Full"}))

    expect(alert(page)).to_have_text("Full")


def test_a_question_goes_with_its_form(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    fill(dialog, Name="saved", Model="m", API_key=CANARY)
    held = hold(page, "**/register", "POST")
    dialog.get_by_role("button", name="Register", exact=True).click()
    until(page, held)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Leave this form?")).to_be_visible()

    let_go(page, held)

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row(page, "saved")).to_be_visible()


def test_a_test_keeps_its_result_when_the_list_is_drawn_anew(demo):
    page = demo.open("bob")
    held = hold(page, "**/test", "POST")
    page.get_by_role("button", name="Test bobs-own").click()
    until(page, held)
    page.evaluate("document.querySelector('model-registry').refresh()")
    page.get_by_role("button", name="Test bobs-own").click()
    page.wait_for_timeout(200)
    assert len(held) == 1

    let_go(page, held)

    expect(row(page, "bobs-own").locator(".result")).to_contain_text("Works")


BROKEN = {
    "an object for a list of errors": (422, json.dumps({"title": "T", "errors": {"a": 1}}), "T"),
    "errors that are none": (
        422,
        json.dumps({"title": "T", "errors": ["x", {"field": 1}, None]}),
        "T",
    ),
    "null": (422, "null", "The server returned 422."),
    "a number": (422, "5", "The server returned 422."),
    "a page": (500, "<!doctype html><h1>Oops</h1>", "The server returned 500."),
    "a page that is well": (200, "<!doctype html>", "The server's response is not understood."),
    "nothing": (204, "", "The server's response is not understood."),
}


@pytest.mark.parametrize(("status", "body", "said"), BROKEN.values(), ids=[*BROKEN])
def test_a_broken_answer_is_said_in_words(demo, status, body, said):
    page = demo.open("bob")
    dialog = opened_form(page)
    fill(dialog, Name="x", Model="m", API_key=CANARY)
    page.route("**/register", lambda route: route.fulfill(status=status, body=body))

    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(dialog.get_by_role("alert")).to_have_text(said)
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    page.route(
        "**/api/models/details?*", lambda route: route.fulfill(status=200, body='{"not": "a list"}')
    )
    page.get_by_role("searchbox").fill("x")
    expect(alert(page)).to_have_text("The server's response is not understood.")


def test_a_broken_catalogue_is_asked_for_again(demo):
    page = demo.open("bob")
    page.route("**/providers", lambda route: route.fulfill(status=200, body="{}"))
    page.evaluate(BECOME, "carol")
    expect(alert(page)).to_contain_text("not understood")

    page.unroute_all()
    page.evaluate("document.querySelector('model-registry').refresh()")

    expect(row(page, "house-model")).to_be_visible()


@pytest.mark.parametrize("text", ["1,000", "1.000", "0x10", "1e3", "many"])
def test_a_number_that_could_be_another_is_refused(demo, text):
    dialog = opened_form(demo.open("bob"))
    dialog.get_by_label("Category").select_option("embedding")
    fill(dialog, Name="x", Model="m", API_key="k", Dimension=text)

    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(dialog.locator("[data-field=dimension] .error")).not_to_be_empty()
    assert "x" not in demo.names("bob")


def test_pages_are_turned_one_at_a_time(demo):
    demo.fill("carol", 105)
    page = demo.open("carol")

    page.get_by_role("button", name="Next").dblclick()

    expect(page.get_by_text("Page 2")).to_be_visible()
    expect(page.locator("model-registry:not([aria-busy]) h3").first).to_have_text("m-049")


def test_browsers_are_told_what_is_no_place_for_passwords_and_words(demo):
    page = demo.open("bob")

    assert page.get_by_role("searchbox").get_attribute("autocomplete") == "off"
    assert opened_form(page).get_by_label("API key").get_attribute("autocomplete") == "new-password"


def test_an_edit_without_a_change_changes_nothing(demo):
    odd = {"description": "  a\r\n\r\nb  ", "abilities": ["z", "a"]}
    demo.ask("bob", "PATCH", "/by-id/bobs-own", odd)
    before = demo.ask("bob", "GET", "/by-id/bobs-own")
    page = demo.open("bob")
    page.get_by_role("button", name="Edit bobs-own").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Category").select_option("embedding")
    dialog.get_by_label("Category").select_option("llm")

    dialog.get_by_role("button", name="Save").click()

    expect(page.get_by_role("status").first).to_have_text("Nothing was changed.")
    assert demo.ask("bob", "GET", "/by-id/bobs-own") == before


def test_a_refusal_by_the_host_is_said_once_and_not_asked_for_again_and_again(demo):
    page = demo.open("bob")
    asked = []

    def refuse(route):
        if "/static/" in route.request.url:
            route.fallback()
            return
        asked.append(route.request.url)
        route.fulfill(status=403, body="no")

    page.route("**/test", refuse)
    page.get_by_role("button", name="Test bobs-own").click()
    expect(row(page, "bobs-own").locator(".result")).to_have_text("The server returned 403.")
    page.route("**/api/models/**", refuse)
    choose(page, "bobs-own", "Switch off")
    expect(row(page, "bobs-own").locator(".result")).to_have_text("The server returned 403.")
    page.get_by_role("searchbox").fill("x")
    page.wait_for_timeout(1000)

    expect(alert(page)).to_have_text("The server returned 403.")
    assert len(asked) <= 6


def test_a_name_that_is_typed_before_names_are_known_is_that_name(demo):
    page = demo.open("bob")
    page.evaluate(
        """() => {
          const element = document.querySelector("model-registry");
          const people = element.people;
          const waiting = [];
          element.people = () => new Promise((resolve) => waiting.push(resolve));
          window.known = async () => {
            const all = typeof people === "function" ? await people() : people;
            for (const each of waiting) each(all);
            element.people = all;
          };
        }"""
    )
    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_label("Who").fill("carol")
    dialog.get_by_role("button", name="Share", exact=True).click()

    page.evaluate("window.known()")

    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("carol")
