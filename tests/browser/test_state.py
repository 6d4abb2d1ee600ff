"""What the server keeps of a model beside its fields, and tests of all models."""

import pytest
from playwright.sync_api import expect

from tests.browser.page import row


def facts(page, name):
    """Open the details of a model; returns the line of each fact."""
    page.get_by_label(f"More for {name}", exact=True).click()
    row(page, name).get_by_role("button", name="Details and code…").click()
    dialog = page.get_by_role("dialog", name=name)
    dialog.wait_for()
    labels, values = (dialog.locator(each).all_inner_texts() for each in ("dt", "dd"))
    return dict(zip(labels, values, strict=True))


def test_details_say_what_the_last_test_found_and_when(demo):
    model_id = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    demo.ask("bob", "POST", f"/{model_id}/test")
    demo.ask("bob", "PUT", f"/{model_id}/grants/users/3", {})

    mine = facts(demo.open("bob"), "bobs-own")
    theirs = facts(demo.open("carol"), "bobs-own")

    for each in (mine, theirs):
        assert each["Test"].startswith("Works")
        assert each["Test"].endswith(("ago)", "now)"))
    assert mine["Shared with"] == "1 user"
    assert "Shared with" not in theirs


@pytest.mark.parametrize(
    ("expires_at", "said"),
    [("2020-01-31T12:00:00Z", "Expired on Jan 31, 2020"), ("2999-01-31T12:00:00Z", "Team")],
)
def test_details_say_that_a_key_has_expired_or_which_credential_it_is(demo, expires_at, said):
    secret = {"model_provider": "stand-in", "secret": {"api_key": "k"}}
    body = {**secret, "name": "Team", "expires_at": expires_at}
    made = demo.ask("bob", "POST", "/credentials", body)["id"]
    models = [{"model_id": "of-team", "model_name": "demo-small"}]
    demo.ask("bob", "POST", f"/credentials/{made}/models", {"models": models})

    assert facts(demo.open("bob"), "of-team")["API key"] == said


def test_details_say_that_a_key_is_missing(demo):
    model_id = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    demo.ask("bob", "DELETE", f"/{model_id}/credential")

    assert facts(demo.open("bob"), "bobs-own")["API key"] == "No key is stored."


def test_all_models_are_tested_one_after_the_other(demo):
    page = demo.open("bob")

    page.get_by_role("button", name="Test all").click()

    expect(page.get_by_role("status").first).to_have_text("Test 3 of 3: done.")
    for name in ("house-model", "team-search", "bobs-own"):
        expect(row(page, name).locator(".result")).to_contain_text("Works")


def test_a_model_is_shown_without_details_that_do_not_load(demo):
    page = demo.open("bob")
    page.route("**/details", lambda route: route.fulfill(status=500))

    assert facts(page, "bobs-own")["Model"] == "demo-small"
