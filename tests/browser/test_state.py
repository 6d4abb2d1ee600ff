"""What the server keeps of a model beside its fields, and tests of all models."""

import re
from datetime import datetime, timedelta, timezone

import pytest
from playwright.sync_api import expect

from tests.browser.page import choose_provider, fill, hold, opened_form, row, until


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
        assert re.fullmatch(r"Works · \d+ ms · (now|.* ago)", each["Last test"])
    assert mine["Shared with"] == "1 user"
    assert "Shared with" not in theirs


@pytest.mark.parametrize(
    ("expires_at", "said"),
    [("2020-01-31T12:00:00Z", "Expired on Jan 31, 2020"), ("2999-01-31T12:00:00Z", None)],
)
def test_details_say_which_credential_it_is_and_whether_it_has_expired(demo, expires_at, said):
    secret = {"model_provider": "stand-in", "secret": {"api_key": "k"}}
    body = {**secret, "name": "Team", "expires_at": expires_at}
    made = demo.ask("bob", "POST", "/credentials", body)["id"]
    models = [{"model_id": "of-team", "model_name": "demo-small"}]
    demo.ask("bob", "POST", f"/credentials/{made}/models", {"models": models})

    shown = facts(demo.open("bob"), "of-team")
    assert shown["Credential"] == "Team"
    assert shown.get("API key") == said


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


def test_a_row_says_whether_a_model_works_and_since_when(demo):
    page = demo.open("bob")
    state = row(page, "bobs-own").locator(".state")
    expect(state).to_have_text("Not tested yet")

    page.get_by_role("button", name="Test bobs-own").click()
    expect(row(page, "bobs-own").locator(".result")).to_contain_text("Works")
    expect(state).to_be_empty()  # it is said once
    page.reload()

    expect(state.get_by_role("listitem")).to_have_text(
        [re.compile(r"^Works · tested (now|.* ago)$")]
    )


def test_a_new_model_is_not_said_to_be_untested(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    fill(dialog, API_key="demo-key")
    for name in ("demo-large", "demo-small"):
        dialog.get_by_role("option", name=name).click()
    held = hold(page, re.compile(r"/models/\d+/test$"), "POST")
    dialog.get_by_role("button", name="Register", exact=True).click()
    until(page, held)
    expect(row(page, "demo-large").locator(".result")).to_have_text("Testing…")
    page.unroute_all()
    held.pop().fallback()

    works = re.compile(r"^Works · tested (now|.* ago)$")
    for name in ("demo-large", "demo-small"):
        expect(row(page, name).locator(".state").get_by_role("listitem")).to_have_text([works])
        expect(row(page, name).locator(".result")).to_be_empty()
    expect(page.get_by_role("status").first).to_have_text("2 models are registered.")
    page.reload()
    expect(row(page, "demo-small").locator(".state").get_by_role("listitem")).to_have_text([works])


def test_a_new_model_whose_test_does_not_arrive_is_untested(demo):
    page = demo.open("bob")
    page.route(re.compile(r"/models/\d+/test$"), lambda route: route.fulfill(status=503))
    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    fill(dialog, API_key="demo-key", Model="demo-small")
    with page.expect_response(re.compile(r"/models/\d+/test$")):
        dialog.get_by_role("button", name="Register", exact=True).click()

    expect(row(page, "demo-small").locator(".state")).to_have_text("Not tested yet")
    expect(row(page, "demo-small").locator(".result")).to_be_empty()
    expect(page.get_by_role("status").first).to_have_text("demo-small is registered.")


def test_a_row_says_what_is_wrong_and_whose_it_is(demo):
    demo.fill("bob", 1)
    made = demo.ask("bob", "GET", "/by-id/m-000")["id"]
    demo.ask("bob", "POST", f"/{made}/test")
    demo.ask("bob", "DELETE", f"/{demo.ask('bob', 'GET', '/by-id/bobs-own')['id']}/credential")

    page = demo.open("bob")

    expect(row(page, "m-000").locator(".state .bad")).to_contain_text(
        "The provider refuses the API key"
    )
    expect(row(page, "bobs-own").locator(".state .bad")).to_have_text("API key missing")
    whose = row(page, "house-model").locator(".state").get_by_role("listitem")
    expect(whose).to_have_text(["Not tested yet", "From alice"])


def test_a_row_says_whom_a_model_is_shared_with_to_its_owner_alone(demo):
    made = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    for grantee in ("users/1", "users/3", "groups/sales"):
        demo.ask("bob", "PUT", f"/{made}/grants/{grantee}", {})

    mine = row(demo.open("bob"), "bobs-own").locator(".state")
    theirs = row(demo.open("carol"), "bobs-own").locator(".state")

    expect(mine).to_contain_text("Shared with 2 users, 1 group")
    expect(theirs).to_contain_text("From bob")
    expect(theirs).not_to_contain_text("Shared with")


@pytest.mark.parametrize(
    ("days", "said"),
    [(3, "API key expires in 3 days"), (-2, "API key expired 2 days ago"), (30, None)],
)
def test_a_row_says_that_a_key_expires(demo, days, said):
    at = datetime.now(timezone.utc) + timedelta(days=days)
    body = {"name": "Team", "model_provider": "stand-in", "secret": {"api_key": "k"}}
    made = demo.ask("bob", "POST", "/credentials", {**body, "expires_at": at.isoformat()})["id"]
    models = [{"model_id": "of-team", "model_name": "demo-small"}]
    demo.ask("bob", "POST", f"/credentials/{made}/models", {"models": models})

    state = row(demo.open("bob"), "of-team").locator(".state").get_by_role("listitem")

    expect(state).to_have_text(["Not tested yet", *([said] if said else [])])


def test_owners_have_a_key_where_the_host_names_nobody(demo):
    page = demo.open("bob")
    page.evaluate(
        """() => {
          const before = document.querySelector("model-registry");
          const after = before.cloneNode();
          after.getToken = before.getToken;
          before.replaceWith(after);
        }"""
    )

    expect(row(page, "house-model").locator(".state")).to_contain_text("From user 1")
