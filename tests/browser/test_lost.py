"""Nothing is hidden, and nothing that was typed is lost."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.page import (
    STATUSES,
    answer,
    choose,
    choose_provider,
    fill,
    hold,
    opened_form,
    row,
    said,
    until,
    wait_until,
)
from tests.hosts import CANARY

RENEW = """(name) => {
  document.querySelector("model-registry").getToken = async () => {
    const answer = await fetch(`/as/${name}/token`, { method: "POST" });
    window.renewed = (window.renewed ?? 0) + 1;
    return (await answer.json()).token;
  };
}"""
# Nothing that evaluates text, which the policy of the page forbids.
RENEWED = "() => window.renewed ?? 0"


def renewed(page, count):
    """Wait until a token was asked for so often."""
    wait_until(page, lambda: page.evaluate(RENEWED) >= count)


# 1: a refusal is seen where it happens, and the place in the list survives


def test_a_refusal_is_in_view_at_the_bottom_of_a_long_list(demo):
    demo.fill("carol", 40)
    model_id = demo.ask("carol", "GET", "/by-id/m-039")["id"]
    demo.ask("carol", "PUT", "/defaults/general", {"id": model_id})
    page = demo.open("carol")
    choose(page, "m-039", "Delete…").get_by_role("button", name="Delete").click()

    expect(row(page, "m-039").locator(".result")).to_contain_text("It is your default")
    expect(row(page, "m-039").locator(".result")).to_be_in_viewport(ratio=1)
    assert page.evaluate("scrollY") > 500


def test_an_old_csrf_token_says_to_reload(demo):
    page = demo.open("bob")
    text = "<p>The CSRF tokens do not match.</p>"
    page.route(
        re.compile(r"/models/\d+/test$"),
        lambda route: route.fulfill(status=400, body=text, content_type="text/html"),
    )
    page.get_by_role("button", name="Test bobs-own").click()

    expect(row(page, "bobs-own").locator(".result")).to_contain_text("Reload the page")


def test_a_success_is_in_view_and_the_place_in_the_list_stays(demo):
    demo.fill("carol", 40)
    page = demo.open("carol")
    menu = page.get_by_label("More for m-011", exact=True)
    menu.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")

    choose(page, "m-011", "Delete…").get_by_role("button", name="Delete").click()

    expect(row(page, "m-011")).to_have_count(0)
    expect(page.get_by_label("More for m-012", exact=True)).to_be_focused()
    expect(page.get_by_text("m-011 is deleted.")).to_be_in_viewport(ratio=1)
    assert abs(page.evaluate("scrollY") - before) < 200


def test_a_message_is_dismissed_or_gives_way_to_the_next(demo):
    demo.fill("carol", 3)
    page = demo.open("carol")
    said = page.locator(".outcome [role=status]")
    dismiss = page.get_by_role("button", name="Dismiss")
    expect(dismiss).to_be_hidden()
    choose(page, "m-000", "Delete…").get_by_role("button", name="Delete").click()
    expect(said).to_have_text("m-000 is deleted.")

    dismiss.click()

    expect(said).to_be_empty()
    expect(dismiss).to_be_hidden()
    expect(page.locator("model-registry h2")).to_be_focused()
    choose(page, "m-001", "Delete…").get_by_role("button", name="Delete").click()
    expect(said).to_have_text("m-001 is deleted.")
    row(page, "m-002").get_by_role("button", name="Test").click()
    expect(said).to_contain_text("m-002: The provider refuses")
    expect(said).not_to_be_in_viewport()  # as the row says it
    expect(dismiss).to_be_hidden()
    choose(page, "m-002", "Delete…").get_by_role("button", name="Delete").click()
    expect(said).to_have_text("m-002 is deleted.")
    page.route("**/defaults.js", lambda route: route.abort())
    page.get_by_role("button", name="Defaults").click()
    expect(page.locator(".messages [role=alert]")).to_contain_text("did not load")
    expect(said).to_be_empty()


# 2: a renewed token of the same user


def test_a_renewed_token_of_the_same_user_loses_nothing(demo):
    page = demo.open("bob")
    page.get_by_role("searchbox").fill("bobs")
    expect(row(page, "house-model")).to_have_count(0)
    dialog = opened_form(page)
    fill(dialog, Name="half", API_key=CANARY)

    for count in (1, 2):  # as React does with an inline function
        page.evaluate(RENEW, "bob")
        renewed(page, count)
    page.wait_for_timeout(300)

    expect(dialog.get_by_label("Name", exact=True)).to_have_value("half")
    expect(dialog.get_by_label("API key")).to_have_value(CANARY)
    dialog.get_by_label("API key").fill("")
    assert page.get_by_role("searchbox", include_hidden=True).input_value() == "bobs"


def test_a_token_of_another_user_in_the_same_function_starts_over(demo):
    page = demo.open("bob")
    page.evaluate(RENEW, "bob")
    renewed(page, 1)
    opened_form(page)
    sent = []
    page.on("request", lambda request: sent.append(request.method))

    page.evaluate(RENEW.replace("`/as/${name}/token`", "`/as/${window.who ?? 'bob'}/token`"), "")
    renewed(page, 2)
    page.evaluate("window.who = 'carol'")
    fill(page.get_by_role("dialog"), Name="bobs", Model="m", API_key="k")
    page.get_by_role("dialog").get_by_role("button", name="Register", exact=True).click()

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row(page, "house-model")).to_be_visible()
    expect(row(page, "bobs-own")).to_have_count(0)
    assert "bobs" not in demo.names("carol") + demo.names("bob")


# 3: while a save is under way, and after another user's


def test_nothing_can_be_typed_while_it_is_saved(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    fill(dialog, Name="new", Model="m", API_key=CANARY)
    held = hold(page, "**/register", "POST")
    lists = hold(page, "**/api/models/details?*")

    dialog.get_by_label("Model", exact=True).press("Enter")
    until(page, held)

    saving = dialog.get_by_role("button", name="Saving…")
    expect(saving).to_be_focused()
    expect(dialog.get_by_label("Name", exact=True)).to_be_disabled()
    expect(dialog.get_by_role("button", name="Test connection")).to_be_disabled()
    held.pop().continue_()
    until(page, lists)  # which is not waited for
    expect(page.get_by_role("dialog")).to_have_count(0)
    lists.pop().continue_()
    expect(row(page, "new")).to_be_visible()


def test_cancel_asks_as_escape_does(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)

    fill(opened_form(page), Name="half")
    dialog.get_by_role("button", name="Cancel").click()
    question = page.get_by_role("dialog", name="Leave this form?")
    question.get_by_role("button", name="Cancel").click()

    expect(dialog.get_by_label("Name", exact=True)).to_have_value("half")


@pytest.mark.parametrize("keeps", ["Yours", "Theirs"])
def test_after_a_change_of_another_user_both_are_shown_side_by_side(demo, keeps):
    page = demo.open("bob")
    page.get_by_role("button", name="Edit bobs-own").click()
    dialog = page.get_by_role("dialog")
    fill(dialog, Description="Mine", Temperature="0.5")
    theirs = {"description": "Theirs", "abilities": ["chat"]}
    demo.ask("bob", "PATCH", "/by-id/bobs-own", theirs)

    dialog.get_by_role("button", name="Save").click()
    choice = page.get_by_role("dialog", name="bobs-own has changed")
    expect(choice.get_by_role("group", name="Description")).to_contain_text("Theirs: Theirs")
    expect(choice.get_by_role("group", name="Description")).to_contain_text("Yours: Mine")
    expect(choice.get_by_role("group", name="Abilities")).to_contain_text("Theirs: chat")
    expect(choice.get_by_role("group", name="Temperature")).to_contain_text("Yours: 0.5")
    choice.get_by_role("button", name="Back to the form").click()
    expect(dialog.get_by_label("Description")).to_have_value("Mine")
    dialog.get_by_role("button", name="Save").click()
    choice.get_by_label(f"{keeps}: ").check()
    choice.get_by_role("button", name="Save these").click()

    expect(page.get_by_role("dialog")).to_have_count(0)
    model = demo.ask("bob", "GET", "/by-id/bobs-own")
    assert model["description"] == {"Yours": "Mine", "Theirs": "Theirs"}[keeps]
    assert (model["abilities"], model["temperature"]) == (["chat"], 0.5)


# 4: what is slow, and what fails


def test_it_is_said_that_something_is_slow(demo):
    page = demo.open("bob")
    held = hold(page, "**/api/models/details?*")
    page.evaluate("() => { document.querySelector('model-registry').refresh(); }")
    until(page, held)

    expect(page.get_by_text("Loading…")).to_be_visible()
    held.pop().continue_()
    expect(page.get_by_text("Loading…")).to_be_hidden()


@pytest.mark.parametrize("by", ["Try again", "online", "Retry-After", "token"])
def test_what_failed_to_load_is_loaded_again(demo, by):
    page = demo.open("bob")
    headers = {"Retry-After": "1"} if by == "Retry-After" else {}
    page.route("**/api/models/details?*", lambda route: route.fulfill(status=503, headers=headers))
    page.get_by_role("searchbox").fill("house")
    alert = page.locator(".messages [role=alert]")
    expect(alert).to_contain_text("The server returned 503.")
    expect(row(page, "bobs-own")).to_be_visible()
    page.unroute_all()

    if by == "Try again":
        page.get_by_role("button", name="Try again").click()
    elif by == "online":
        page.evaluate("dispatchEvent(new Event('online'))")
    elif by == "token":
        page.evaluate(RENEW, "bob")

    expect(row(page, "bobs-own")).to_have_count(0)
    expect(alert).to_be_empty()
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_defaults_that_fail_do_not_take_the_list_along(demo):
    page = demo.open("bob")
    page.route("**/api/models/defaults", lambda route: route.fulfill(status=500))
    page.get_by_role("searchbox").fill("bobs")

    expect(row(page, "house-model")).to_have_count(0)
    expect(row(page, "bobs-own")).to_be_visible()
    expect(page.locator(".messages")).to_contain_text("The defaults could not be loaded.")


@pytest.mark.parametrize("status", STATUSES)
def test_whatever_the_server_says_is_in_view_and_nothing_typed_is_lost(demo, status):
    page = demo.open("bob")
    for pattern, method in [
        ("**/register", "POST"),
        ("**/test-connection", "POST"),
        ("**/providers/*/models", "POST"),
        ("**/test", "POST"),
        ("**/grants/**", "PUT"),
        ("**/transfer", "POST"),
        ("**/defaults/*", "PUT"),
        ("**/api/models/*", "DELETE"),
    ]:
        answer(page, pattern, method, status)
    if status != 401:
        page.get_by_role("button", name="Test bobs-own").click()
        expect(row(page, "bobs-own").locator(".result")).to_contain_text(said(status))
        choose(page, "bobs-own", "Delete…").get_by_role("button", name="Delete").click()
        expect(row(page, "bobs-own").locator(".result")).to_be_in_viewport(ratio=1)

    dialog = opened_form(page)
    fill(dialog, Name="new", Model="m", API_key="k", Description="Kept")
    for name in ("Test connection", "Ask the provider for its models", "Register"):
        dialog.get_by_role("button", name=name, exact=True).click()
        expect(dialog.get_by_role("alert")).to_contain_text(said(status))
        expect(dialog.get_by_role("alert")).to_be_in_viewport(ratio=1)
    anyway = dialog.get_by_role("button", name="Register anyway")
    if anyway.is_visible():  # what was refused is the test
        anyway.click()
        expect(dialog.get_by_role("alert")).to_contain_text(said(status))
    expect(dialog.get_by_label("Description")).to_have_value("Kept")
    expect(dialog.get_by_label("API key")).to_have_value("k")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    if status == 401:
        return

    dialog = choose(page, "bobs-own", "Share…")
    fill(dialog, Who="carol")
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text(said(status))
    expect(dialog.get_by_label("Who")).to_have_value("carol")
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Leave").click()
    dialog = choose(page, "bobs-own", "Use as default…")
    dialog.get_by_role("button", name="Use: General").click()
    expect(dialog.get_by_role("alert")).to_contain_text(said(status))


# 5: menus, focus, announcements, narrow windows and forced colors


@pytest.mark.parametrize("by", ["click", "Escape"])
def test_a_menu_closes_when_something_else_is_done(demo, by):
    page = demo.open("bob")
    page.get_by_label("More for bobs-own").click()
    item = row(page, "bobs-own").get_by_role("button", name="Switch off")
    expect(item).to_be_visible()

    if by == "click":
        row(page, "house-model").locator(".more").click()  # which takes no focus
    else:
        page.evaluate("document.activeElement.shadowRoot.activeElement.blur()")
        page.keyboard.press("Escape")

    expect(item).to_be_hidden()


def test_no_field_that_has_the_focus_is_behind_the_buttons(demo):
    page = demo.open("bob", viewport={"width": 640, "height": 360}, device_scale_factor=2)
    opened_form(page)
    covered = """() => {
      const root = document.querySelector("model-registry").shadowRoot;
      const control = root.activeElement, footer = root.querySelector("dialog footer");
      if (!control || footer.contains(control) || control.contains(footer)) return null;
      const [one, other] = [control.getBoundingClientRect(), footer.getBoundingClientRect()];
      return one.bottom > other.top ? control.outerHTML : null;
    }"""
    for key in ("Tab", "Shift+Tab"):
        for _ in range(18):
            page.keyboard.press(key)
            assert page.evaluate(covered) is None


def test_what_was_done_is_said_to_those_who_do_not_see_it(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    status = dialog.get_by_role("status")

    fill(dialog, Who="carol")
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(status).to_have_text("carol has access.")
    dialog.get_by_role("checkbox", name="carol may edit").check()
    expect(status).to_have_text("carol: may edit.")
    dialog.get_by_role("button", name="Remove carol").click()
    expect(status).to_have_text("carol no longer has access.")
    dialog.get_by_role("button", name="Done").click()
    dialog = choose(page, "bobs-own", "Use as default…")
    dialog.get_by_role("button", name="Use: General").click()
    expect(dialog.get_by_role("status")).to_have_text("General: bobs-own")


def test_the_longest_names_fit_a_narrow_window(demo):
    name = "w" * 255
    url = f"https://models.example.com/{'v' * 400}"
    body = {"model_provider": "p" * 64, "model_name": "M" * 255, "api_key": "k", "base_url": url}
    body |= {"model_id": name, "description": "d" * 500, "abilities": ["a" * 60, "b" * 60]}
    demo.ask("bob", "POST", "/register", body)
    page = demo.open("bob", viewport={"width": 320, "height": 640})
    wide = """() => {
      const root = document.querySelector("model-registry").shadowRoot;
      const boxes = [document.documentElement, ...root.querySelectorAll("section, dialog")];
      return boxes.filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.localName);
    }"""
    assert page.evaluate(wide) == []
    page.get_by_label(f"More for {name}").click()
    assert page.evaluate(wide) == []
    page.keyboard.press("Escape")
    for item in ("Share…", "Use as default…", "Delete…"):
        choose(page, name, item).wait_for()
        assert page.evaluate(wide) == [], item
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name=f"Edit {name}").click()
    page.get_by_role("dialog").wait_for()
    assert page.evaluate(wide) == []


def test_forced_colors_tell_fields_that_are_wrong(demo):
    page = demo.open("bob", forced_colors="active")
    dialog = opened_form(page)
    dialog.get_by_role("button", name="Register", exact=True).click()

    style = "(node) => getComputedStyle(node).borderStyle"
    assert dialog.get_by_label("API key").evaluate(style) == "double"
    assert dialog.get_by_label("Description").evaluate(style) == "solid"


# 8: fields have words for people


def test_a_field_that_is_left_empty_says_so_at_once(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    fault = dialog.locator("[data-field=api_key] .error")

    dialog.get_by_label("API key", exact=True).focus()
    page.keyboard.press("Tab")
    expect(fault).to_have_text("Fill this in.")
    fill(dialog, API_key="x")
    dialog.get_by_label("API key", exact=True).focus()
    page.keyboard.press("Tab")
    expect(fault).to_be_empty()


@pytest.mark.parametrize(
    ("pasted", "kept", "cut"),
    [
        ("https://host.example.com/v1/chat/completions", "https://host.example.com/v1", "/chat/completions"),
        ("https://host.example.com/v1/models/", "https://host.example.com/v1", "/models/"),
        ("https://host.example.com/models/v1", "https://host.example.com/models/v1", None),
    ],
)  # fmt: skip
def test_a_whole_endpoint_is_cut_with_a_word(demo, pasted, kept, cut):
    page = demo.open("bob")
    address = opened_form(page).get_by_label("Base URL")
    address.fill(pasted)
    address.press("Tab")

    expect(address).to_have_value(kept)
    notice = page.locator("[data-field=base_url] .notice")
    expect(notice).to_have_text(
        f"“{cut}” is cut off, because the URL ends before it." if cut else ""
    )


def test_a_key_does_not_follow_to_another_provider(demo):
    dialog = opened_form(demo.open("bob"))
    fill(dialog, API_key=CANARY)

    choose_provider(dialog, "anthropic")

    expect(dialog.get_by_label("API key")).to_have_value("")
    expect(dialog.get_by_text("The key for OpenAI was cleared")).to_be_visible()


def test_a_dialog_whose_module_does_not_load_is_said(demo):
    page = demo.open("bob")
    page.route("**/defaults.js", lambda route: route.abort())

    page.get_by_role("button", name="Defaults").click()

    expect(page.locator(".messages [role=alert]")).to_have_text(
        "A part of this page did not load. Reload the page."
    )
