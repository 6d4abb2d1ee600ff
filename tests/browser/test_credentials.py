"""The credentials of a user: a new key for all models of one, and what else is done to it."""

import re

import pytest
from playwright.sync_api import expect

from tests.accounts import AWS
from tests.browser.page import choose, hold, row, until

KEY = "demo-key"


@pytest.fixture
def account(demo):
    """A credential of bob at the stand-in with a wrong key, and two models that use it."""
    body = {
        "name": "Team",
        "model_provider": "stand-in",
        "secret": {"api_key": "wrong", "headers": {"X-Team": "a"}},
        "expires_at": "2020-01-31T12:00:00Z",
    }
    made = demo.ask("bob", "POST", "/credentials", body)
    models = [{"model_id": f"of-team-{n}", "model_name": "demo-small"} for n in (1, 2)]
    demo.ask("bob", "POST", f"/credentials/{made['id']}/models", {"models": models})
    return made


@pytest.fixture
def opened(account, demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Credentials").click()
    dialog = page.get_by_role("dialog", name="Credentials")
    expect(dialog.get_by_role("listitem")).to_contain_text("Team Stand-in (this server)")
    return page, dialog


def test_a_new_key_for_all_models_of_a_credential_takes_three_clicks(account, demo):
    page = demo.open("bob")
    clicks = ["Credentials", "New key…: Team", "Save"]

    for name in clicks:
        page.get_by_role("button", name=name).click()
        if name.startswith("New"):
            expect(page.get_by_label("New API key for Team")).to_be_focused()
            page.keyboard.type(KEY)

    status = page.get_by_role("dialog").get_by_role("status")
    expect(status).to_have_text("The API key of Team is saved. It works: 3 models.")
    for number in (1, 2):
        model_id = demo.ask("bob", "GET", f"/by-id/of-team-{number}")["id"]
        assert demo.ask("bob", "POST", f"/{model_id}/test")["result"] == "ok"
    secret = demo.ask("bob", "GET", f"/credentials/{account['id']}/secret")
    assert secret["headers"] == ["X-Team"]


def test_a_key_that_the_provider_refuses_is_said_and_one_that_is_refused_here_is_kept(opened):
    page, dialog = opened
    expect(dialog.get_by_role("listitem")).to_contain_text("Expired on Jan 31, 2020")
    dialog.get_by_role("button", name="New key…: Team").click()
    expect(dialog).to_contain_text("This API key will be sent to http://127.0.0.1")
    key = dialog.get_by_label("New API key for Team")
    key.fill("with blanks")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("[data-field=api_key] .error")).not_to_be_empty()
    expect(key).to_have_value("with blanks")

    key.fill("other-key")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_have_text("The provider refuses the API key")
    expect(key).to_have_value("other-key")


def test_a_wrong_key_replaces_one_only_if_it_is_saved_anyway(demo, opened):
    page, dialog = opened
    key = dialog.get_by_label("New API key for Team")
    model_id = demo.ask("bob", "GET", "/by-id/of-team-1")["id"]
    for typed, button in (
        (KEY, "Save"),
        ("other", "Save"),
        ("other-key", "Save"),
        (None, "Save anyway"),
    ):
        if typed:
            if not key.count():
                dialog.get_by_role("button", name="New key…: Team").click()
            key.fill(typed)
        dialog.get_by_role("button", name=button, exact=True).click()
        if typed:
            outcome = "saved. It works" if typed == KEY else "The provider refuses the API key"
            expect(dialog).to_contain_text(outcome)
            assert demo.ask("bob", "POST", f"/{model_id}/test")["result"] == "ok"

    said = "The API key of Team is saved. The provider refuses the API key"
    expect(dialog.get_by_role("status")).to_have_text(said)
    expect(dialog.get_by_role("status")).to_have_class("result bad")
    expect(dialog.get_by_role("button", name="New key…: Team")).to_be_focused()
    page.keyboard.press("Escape")  # nothing typed is left
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_403_of_the_host_is_not_said_of_the_key(opened):
    page, dialog = opened
    page.route(
        "**/providers/*/models",
        lambda route: route.fulfill(status=403, body="<p>No</p>", content_type="text/html"),
    )
    dialog.get_by_role("button", name="New key…: Team").click()
    dialog.get_by_label("New API key for Team").fill("other-key")
    with page.expect_request("**/api/models/providers"):  # whether the user is logged in
        dialog.get_by_role("button", name="Save", exact=True).click()

    expect(dialog.get_by_role("alert")).to_contain_text("403")
    expect(dialog.get_by_role("button", name="Save anyway")).to_have_count(0)


def test_a_key_stays_as_it_is_while_the_provider_is_asked_about_it(opened):
    page, dialog = opened
    held = hold(page, "**/providers/*/models", "POST")
    dialog.get_by_role("button", name="New key…: Team").click()
    key = dialog.get_by_label("New API key for Team")
    key.fill("other-key")
    dialog.get_by_role("button", name="Save").click()
    until(page, held)
    key.press("End")
    page.keyboard.type("-2")
    held.pop().continue_()

    expect(dialog.get_by_role("alert")).to_have_text("The provider refuses the API key")
    expect(key).to_have_value("other-key")
    key.fill("other-key-2")
    expect(dialog.get_by_role("button", name="Save", exact=True)).to_be_visible()
    key.fill("")


def test_a_row_says_no_longer_that_the_old_key_works(demo, opened):
    page, dialog = opened
    dialog.get_by_role("button", name="Done").click()
    row(page, "of-team-1").get_by_role("button", name="Test").click()
    expect(row(page, "of-team-1").locator(".result")).to_have_text(re.compile("refuses"))
    page.get_by_role("button", name="Credentials").click()
    dialog.get_by_role("button", name="New key…: Team").click()
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")

    expect(dialog.get_by_role("status")).to_contain_text("It works")
    expect(row(page, "of-team-1").locator(".result")).to_have_text("")


def test_done_asks_before_a_typed_key_is_lost(opened):
    page, dialog = opened
    dialog.get_by_role("button", name="New key…: Team").click()
    page.keyboard.type("half")
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("dialog", name="Leave this form?").get_by_role("button", name="Cancel").click()
    dialog.get_by_label("New API key for Team").fill("")

    dialog.get_by_role("button", name="Done").click()

    expect(page.get_by_role("dialog")).to_have_count(0)


def test_what_is_typed_is_not_lost_by_a_key(opened):
    page, dialog = opened
    dialog.get_by_role("button", name="New key…: Team").click()
    page.keyboard.type("half")
    page.keyboard.press("Escape")

    page.get_by_role("dialog", name="Leave this form?").get_by_role("button", name="Cancel").click()

    expect(dialog.get_by_label("New API key for Team")).to_have_value("half")


def test_a_credential_in_use_is_deleted_after_its_models_were_named(opened, demo):
    page, dialog = opened
    dialog.get_by_role("button", name="Delete…: Team").click()
    question = page.get_by_role("dialog", name="Delete this credential?")
    question.get_by_role("button", name="Delete").click()
    expect(question).to_contain_text("of-team-1")
    expect(question).to_contain_text("they stay without an API key")
    question.get_by_role("button", name="Delete").click()

    expect(dialog).to_contain_text("Team is deleted.")
    expect(dialog).to_contain_text("None yet.")
    assert demo.ask("bob", "GET", "/credentials") == []
    dialog.get_by_role("button", name="Done").click()
    expect(row(page, "of-team-1")).to_be_visible()


def test_credentials_of_all_pages_are_shown(demo):
    place = {"model_provider": "openai", "secret": {"api_key": KEY}}
    for number in range(51):  # a page has 50
        demo.ask("bob", "POST", "/credentials", {"name": f"c{number}", **place})
    page = demo.open("bob")

    page.get_by_role("button", name="Credentials").click()

    lines = page.get_by_role("dialog", name="Credentials").get_by_role("listitem")
    expect(lines).to_have_count(51)


def test_a_credential_of_a_cloud_is_offered_no_api_key(demo):
    demo.ask("bob", "POST", "/credentials", {"name": "Bedrock", **AWS})
    page = demo.open("bob")

    page.get_by_role("button", name="Credentials").click()

    line = page.get_by_role("dialog", name="Credentials").get_by_role("listitem")
    expect(line).to_contain_text("Bedrock Amazon Bedrock")
    expect(line.get_by_role("button")).to_have_text(["Delete…"])


def test_a_credential_stays_when_one_of_its_models_is_deleted(account, demo):
    page = demo.open("bob")
    question = choose(page, "of-team-1", "Delete…")
    expect(question).to_contain_text("The credential Team and its API key stay.")
    question.get_by_role("button", name="Cancel").click()

    expect(choose(page, "bobs-own", "Delete…")).to_contain_text("bobs-own and its API key")
