"""Each action, refused in each way and slow: what happened is in view, and nothing typed is lost."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.page import (
    STATUSES,
    answer,
    choose,
    choose_provider,
    fill,
    opened_defaults,
    opened_form,
    row,
    said,
)

# After a 401 the list is gone.
IN_ORDER = sorted(STATUSES, key=lambda status: status == 401)
SLOW = """() => {
  const { fetch } = window;
  window.fetch = async (...given) => {
    await new Promise((resolve) => setTimeout(resolve, 2000));
    return fetch(...given);
  };
}"""


@pytest.fixture
def account(demo):
    """A credential of bob at the stand-in, that no model uses."""
    body = {"name": "Team", "model_provider": "stand-in", "secret": {"api_key": "demo-key"}}
    return demo.ask("bob", "POST", "/credentials", body)


def is_said(place, status):
    expect(place).to_contain_text(said(status))
    # The browser may cut a pixel off when lines above come and go.
    expect(place).to_be_in_viewport(ratio=0.95)


def in_a_form(page, dialog, pattern, method, send, statuses=STATUSES):
    """Send a form again and again, which is refused in each way."""
    for status in statuses:
        answer(page, pattern, method, status)
        send()
        is_said(dialog.get_by_role("alert"), status)


def test_a_change_that_is_refused_stays_typed(demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Edit bobs-own").click()
    dialog = page.get_by_role("dialog")
    fill(dialog, Name="other", API_key="typed")
    save = dialog.get_by_role("button", name="Save")

    # A 412 shows what another user has changed.
    statuses = [status for status in STATUSES if status != 412]
    in_a_form(page, dialog, "**/api/models/*", "PATCH", save.click, statuses)

    expect(dialog.get_by_label("Name", exact=True)).to_have_value("other")
    expect(dialog.get_by_label("API key", exact=True)).to_have_value("typed")
    assert "bobs-own" in demo.names("bob")


def test_a_grant_that_is_not_taken_back_is_still_shown(demo):
    made = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    demo.ask("bob", "PUT", f"/{made}/grants/users/3", {})
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    fill(dialog, Who="half")
    remove = dialog.get_by_role("button", name="Remove carol")
    may_edit = dialog.get_by_role("checkbox", name="carol may edit")

    in_a_form(page, dialog, "**/grants/**", "DELETE", remove.click)
    in_a_form(page, dialog, "**/grants/**", "PUT", may_edit.click)

    expect(may_edit).not_to_be_checked()
    expect(dialog.get_by_label("Who", exact=True)).to_have_value("half")


def test_a_model_that_is_not_given_away_stays_with_the_name_of_the_heir(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_text("Give it away").click()
    fill(dialog, New_owner="carol")

    def give():
        dialog.get_by_role("button", name="Give away").click()
        question = page.get_by_role("dialog", name="Give it to carol?")
        question.get_by_role("button", name="Give away").click()

    dialog = page.get_by_role("dialog", name="Share bobs-own")
    in_a_form(page, dialog, "**/transfer", "POST", give)

    expect(dialog.get_by_label("New owner", exact=True)).to_have_value("carol")


def test_a_default_that_is_not_cleared_is_still_shown(demo):
    made = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    demo.ask("bob", "PUT", "/defaults/compact", {"id": made})
    page = demo.open("bob")
    dialog = opened_defaults(page)
    clear = dialog.get_by_role("button", name="Clear: Compacting")

    in_a_form(page, dialog, "**/defaults/*", "DELETE", clear.click)

    expect(dialog.get_by_label("Compacting", exact=True)).to_have_value("bobs-own")


def test_a_new_key_that_is_refused_stays_typed(account, demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Credentials").click()
    dialog = page.get_by_role("dialog", name="Credentials")
    dialog.get_by_role("button", name="New key…: Team").click()
    key = dialog.get_by_label("New API key for Team")
    key.fill("demo-key")
    save = dialog.get_by_role("button", name="Save")

    in_a_form(page, dialog, "**/secret", "PATCH", save.click)

    expect(key).to_have_value("demo-key")

    def delete():
        dialog.get_by_role("button", name="Delete…: Team").click()
        page.get_by_role("dialog").last.get_by_role("button", name="Delete", exact=True).click()

    in_a_form(page, dialog, "**/credentials/*", "DELETE", delete)

    expect(key).to_have_value("demo-key")


def test_models_of_a_file_that_are_refused_stay_chosen(account, demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Import/export").click()
    dialog = page.get_by_role("dialog", name="Import/export")
    line = {"model_id": "one", "model_provider": "stand-in", "model_name": "demo-small"}
    file = {"name": "m.jsonl", "mimeType": "application/jsonl", "buffer": json.dumps(line).encode()}
    dialog.get_by_label("File", exact=True).set_input_files(file)
    expect(dialog.get_by_role("checkbox", name="one")).to_be_checked()
    send = dialog.get_by_role("button", name="Import", exact=True)

    in_a_form(page, dialog, "**/credentials/*/models", "POST", send.click)

    expect(dialog.get_by_role("checkbox", name="one")).to_be_checked()


def test_several_that_are_not_shared_leave_the_form_as_it_is(demo):
    page = demo.open("bob")
    page.get_by_role("checkbox", name="Select bobs-own").check()
    page.get_by_role("button", name="Share… (1)").click()
    dialog = page.get_by_role("dialog", name="Share 1 model")
    fill(dialog, Who="carol")
    send = dialog.get_by_role("button", name="Share", exact=True)

    in_a_form(page, dialog, "**/grants/**", "PUT", send.click)

    expect(dialog.get_by_label("Who", exact=True)).to_have_value("carol")


@pytest.mark.parametrize("place", ["menu", "selection"])
def test_a_model_that_is_not_switched_off_says_why_in_its_row(demo, place):
    page = demo.open("bob")
    for status in IN_ORDER:
        answer(page, "**/api/models/*", "PATCH", status)
        if place == "menu":
            choose(page, "bobs-own", "Switch off")
        else:
            page.get_by_role("checkbox", name="Select bobs-own").check()
            page.get_by_role("button", name="Switch off (1)").click()
        alert = page.locator(".messages [role=alert]")
        is_said(alert if status == 401 else row(page, "bobs-own").locator(".result"), status)

    assert demo.ask("bob", "GET", "/by-id/bobs-own")["is_active"] is True


def test_what_takes_two_seconds_is_in_view_and_loses_nothing(demo):
    page = demo.open("bob")
    page.evaluate(SLOW)
    waiting = page.get_by_text("Loading…")
    page.get_by_role("searchbox").fill("bobs")
    expect(waiting).to_be_visible()
    expect(row(page, "house-model")).to_have_count(0)
    page.get_by_role("searchbox").fill("")
    expect(row(page, "house-model")).to_be_visible()

    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    fill(dialog, Description="Kept", API_key="demo-key")
    expect(dialog.get_by_text("Asking the provider for its models…")).to_be_visible()
    fill(dialog, Model="demo-small", Name="slow")
    dialog.get_by_role("button", name="Test connection").click()
    expect(dialog.get_by_role("status")).to_have_text("Testing…")
    expect(dialog.get_by_role("status")).to_contain_text("Works")
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("slow")
    expect(dialog.get_by_label("Description")).to_have_value("Kept")
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog.get_by_role("button", name="Saving…")).to_be_visible()
    expect(row(page, "slow").locator(".result")).to_have_text("Testing…")
    expect(row(page, "slow").locator(".state")).to_contain_text("Works")

    dialog = choose(page, "slow", "Share…")
    fill(dialog, Who="carol")
    share = dialog.get_by_role("button", name="Share", exact=True)
    share.click()
    expect(share).to_have_attribute("aria-busy", "true")
    expect(dialog.get_by_role("status")).to_have_text("carol has access.")
    dialog.get_by_role("button", name="Done").click()
    choose(page, "slow", "Delete…").get_by_role("button", name="Delete").click()
    expect(page.get_by_label("More for slow", exact=True)).to_have_attribute("aria-busy", "true")
    expect(page.get_by_text("slow is deleted.")).to_be_in_viewport(ratio=1)
    expect(row(page, "slow")).to_have_count(0)
