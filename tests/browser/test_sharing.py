"""Whom a model is shared with: people whom the host finds, groups that it may not know, and what is undone."""

import pytest
from playwright.sync_api import expect

from tests.browser.page import choose, fill, opened_defaults, row, wait_until

DIRECTORY = """() => {
  window.asked = [];
  document.querySelector("model-registry").people = async (query) => {
    asked.push(query);
    const all = [
      { key: 1, name: "Alice", mail: "alice@example.com" },
      { key: 3, name: "Carol", mail: "chief@example.com" },
    ];
    return query ? all.filter((each) => `${each.name} ${each.mail}`.includes(query)) : [];
  };
}"""


def shared_with(demo, name):
    """Return the users and groups that a model of bob's is granted to."""
    model_id = demo.ask("bob", "GET", f"/by-id/{name}")["id"]
    grants = demo.ask("bob", "GET", f"/{model_id}/grants")
    return [each["user"] for each in grants["users"]] + [each["group"] for each in grants["groups"]]


def test_the_host_searches_for_people(demo):
    page = demo.open("bob")
    page.evaluate(DIRECTORY)
    dialog = choose(page, "bobs-own", "Share…")

    dialog.get_by_label("Who", exact=True).press_sequentially("chief")
    dialog.get_by_role("option", name="Carol").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Who", exact=True)).to_have_value("Carol")
    page.keyboard.press("Enter")

    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("Carol")
    assert shared_with(demo, "bobs-own") == ["3"]
    assert page.evaluate("window.asked[0]") == ""
    assert "chief" in page.evaluate("window.asked")


def test_who_is_typed_in_full_need_not_be_chosen(demo):
    page = demo.open("bob")
    page.evaluate(DIRECTORY)
    dialog = choose(page, "bobs-own", "Share…")

    fill(dialog, Who="Carol")
    dialog.get_by_role("button", name="Share", exact=True).click()

    expect(dialog.get_by_role("status")).to_have_text("Carol has access.")
    assert shared_with(demo, "bobs-own") == ["3"]


def test_a_list_of_people_is_searched_by_the_page(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    options = dialog.get_by_role("listbox", name="Suggestions").get_by_role("option")

    dialog.get_by_label("Who", exact=True).click()
    expect(options).to_have_text(["alice", "bob", "carol"])
    dialog.get_by_label("Who", exact=True).fill("aro")

    expect(options).to_have_text(["carol"])


@pytest.mark.parametrize("is_sure", [True, False])
def test_a_group_that_the_host_does_not_name_is_asked_about(demo, is_sure):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_label("With", exact=True).select_option("A group")
    fill(dialog, Who="reserch")

    dialog.get_by_role("button", name="Share", exact=True).click()
    question = page.get_by_role("dialog", name="Share with the group reserch?")
    expect(question).to_contain_text("bobs-own")
    question.get_by_role("button", name="Share" if is_sure else "Cancel").click()

    if is_sure:
        expect(dialog.get_by_role("status")).to_have_text("Group reserch has access.")
    expect(dialog.get_by_label("Who", exact=True)).to_be_focused()
    expect(dialog.get_by_label("Who", exact=True)).to_have_value("" if is_sure else "reserch")
    assert shared_with(demo, "bobs-own") == (["reserch"] if is_sure else [])


def test_a_grant_that_is_removed_is_given_again(demo):
    model_id = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    demo.ask("bob", "PUT", f"/{model_id}/grants/users/3", {"can_edit": True})
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_role("button", name="Remove carol").click()
    expect(dialog.get_by_role("status")).to_have_text("carol no longer has access.")
    assert shared_with(demo, "bobs-own") == []

    dialog.get_by_role("button", name="Undo").click()

    expect(dialog.get_by_role("checkbox", name="carol may edit")).to_be_checked()
    expect(dialog.get_by_role("status")).to_have_text("carol has access.")
    expect(dialog.get_by_role("button", name="Undo")).to_be_hidden()
    assert shared_with(demo, "bobs-own") == ["3"]
    expect(row(page, "bobs-own").locator(".state")).to_contain_text("Shared with 1 user")


def test_switching_off_and_on_is_undone(demo):
    page = demo.open("bob")
    status = page.get_by_role("status").first
    is_active = lambda: demo.ask("bob", "GET", "/by-id/bobs-own")["is_active"]  # noqa: E731
    undo = page.get_by_role("button", name="Undo")
    choose(page, "bobs-own", "Switch off")
    expect(status).to_have_text("bobs-own is switched off.")

    undo.focus()
    page.keyboard.press("Enter")

    expect(status).to_have_text("bobs-own is switched on.")
    expect(page.get_by_label("More for bobs-own")).to_be_focused()
    expect(undo).to_be_hidden()
    assert is_active()


def test_what_another_user_has_changed_is_not_undone(demo):
    page = demo.open("bob")
    choose(page, "bobs-own", "Switch off")
    expect(page.get_by_role("status").first).to_have_text("bobs-own is switched off.")
    demo.ask("bob", "PATCH", "/by-id/bobs-own", {"description": "changed"})

    page.get_by_role("button", name="Undo").click()

    expect(row(page, "bobs-own").locator(".result")).to_contain_text("This model has changed.")
    assert demo.ask("bob", "GET", "/by-id/bobs-own")["is_active"] is False


def test_a_model_that_is_given_is_accepted_or_declined_in_its_row(demo):
    for name in ("first", "second"):
        body = {"model_provider": "stand-in", "model_name": "x", "api_key": "k", "model_id": name}
        made = demo.ask("alice", "POST", "/register", body)["id"]
        demo.ask("alice", "POST", f"/{made}/transfer", {"user": "2"})
    page = demo.open("bob")
    expect(row(page, "first")).to_contain_text("Switched off")
    said = "If another user gave it to you, “Switch on” accepts it and “Delete…” declines it."
    expect(row(page, "first").locator(".state")).to_contain_text(said)
    expect(row(page, "bobs-own").locator(".state")).not_to_contain_text("gave")

    page.get_by_role("button", name="Switch on first").click()
    expect(page.get_by_role("status").first).to_have_text("first is switched on.")
    expect(row(page, "first").locator(".state")).not_to_contain_text("gave")
    page.get_by_role("button", name="Delete… second").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(row(page, "second")).to_have_count(0)
    assert demo.ask("bob", "GET", "/by-id/first")["is_active"] is True
    assert "second" not in demo.names("bob")


def test_a_default_is_found_by_typing_and_undone(demo):
    demo.fill("bob", 60)
    page = demo.open("bob")
    dialog = opened_defaults(page)
    general = dialog.get_by_label("General", exact=True)
    expect(general).to_have_value("house-model (of the app)")

    general.fill("m-05")
    dialog.get_by_role("option", name="m-057").wait_for()
    expect(dialog.get_by_role("listbox").get_by_role("option")).to_have_count(10)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(dialog.get_by_role("status")).to_have_text("General: m-050")
    expect(dialog.get_by_label("General", exact=True)).to_have_value("m-050")
    assert demo.ask("bob", "GET", "/defaults/general")["model"]["model_id"] == "m-050"
    dialog.get_by_role("button", name="Undo").click()
    expect(dialog.get_by_label("General", exact=True)).to_have_value("house-model (of the app)")
    expect(dialog.get_by_label("General", exact=True)).to_be_focused()
    assert demo.ask("bob", "GET", "/defaults/general")["source"] == "app"


def test_a_default_that_is_cleared_is_set_again(demo):
    model_id = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    demo.ask("bob", "PUT", "/defaults/compact", {"id": model_id})
    page = demo.open("bob")
    dialog = opened_defaults(page)

    dialog.get_by_role("button", name="Clear: Compacting").click()
    expect(dialog.get_by_role("status")).to_have_text("Compacting: none")
    dialog.get_by_role("button", name="Undo").click()

    expect(dialog.get_by_label("Compacting", exact=True)).to_have_value("bobs-own")
    wait_until(page, lambda: len(demo.ask("bob", "GET", "/defaults?scope=user")) > 0)


def test_only_models_that_all_can_call_are_offered_to_all(demo):
    page = demo.open("alice")
    dialog = opened_defaults(page)
    offered = dialog.get_by_role("listbox").get_by_role("option")
    dialog.get_by_label("Embedding", exact=True).click()
    expect(offered).to_have_text(["team-search"])

    dialog.get_by_label("For", exact=True).select_option("Everyone")
    expect(offered).to_have_count(0)
    dialog.get_by_label("General", exact=True).click()
    expect(offered).to_have_text(["house-model"])
    with page.expect_response(lambda response: "category=embedding" in response.url):
        dialog.get_by_label("Embedding", exact=True).click()

    expect(offered).to_have_count(0)


def test_several_are_shared_at_once(demo):
    demo.fill("bob", 2)
    page = demo.open("bob")
    for name in ("house-model", "m-000", "m-001"):  # the first is not his
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
    page.get_by_role("button", name="Share… (2)").click()
    dialog = page.get_by_role("dialog", name="Share 2 models")
    expect(dialog).to_contain_text("m-000, m-001")
    fill(dialog, Who="carol")
    dialog.get_by_label("May edit", exact=True).check()
    dialog.get_by_role("button", name="Share", exact=True).click()

    expect(page.get_by_role("status").first).to_have_text("carol has access to 2 of 2 models.")
    expect(dialog).to_have_count(0)
    for name in ("m-000", "m-001"):
        assert shared_with(demo, name) == ["3"]
        assert demo.ask("carol", "GET", f"/by-id/{name}")["can_edit"] is True
        expect(row(page, name).locator(".state")).to_contain_text("Shared with 1 user")


def test_several_that_are_switched_off_are_switched_on_again(demo):
    demo.fill("bob", 2)
    page = demo.open("bob")
    for name in ("m-000", "m-001"):
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
    page.get_by_role("button", name="Switch off (2)").click()
    expect(page.get_by_role("status").first).to_have_text("Switch off 2 of 2: done.")

    page.get_by_role("button", name="Undo").click()

    expect(page.get_by_role("status").first).to_have_text("Switch on 2 of 2: done.")
    for name in ("m-000", "m-001"):
        assert demo.ask("bob", "GET", f"/by-id/{name}")["is_active"] is True


@pytest.mark.parametrize("place", ["Share", "Defaults"])
def test_done_asks_before_typed_text_is_lost(demo, place):
    page = demo.open("bob")
    if place == "Share":
        dialog, field = choose(page, "bobs-own", "Share…"), "Who"
    else:
        page.get_by_role("button", name="Defaults").click()
        dialog, field = page.get_by_role("dialog", name="Defaults"), "General"
    dialog.get_by_label(field, exact=True).click()
    page.keyboard.type("half")
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("dialog", name="Leave this form?").get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_label(field, exact=True)).to_have_value("half")
    dialog.get_by_label(field, exact=True).fill("")
    page.keyboard.press("Tab")

    dialog.get_by_role("button", name="Done").click()

    expect(page.get_by_role("dialog")).to_have_count(0)


def test_enter_takes_the_only_default_that_is_like_the_text(demo):
    demo.fill("bob", 60)
    page = demo.open("bob")
    dialog = opened_defaults(page)
    general = dialog.get_by_label("General", exact=True)

    general.fill("m-05")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("listbox").get_by_role("option")).to_have_count(10)
    expect(dialog.get_by_role("status")).to_be_empty()
    general.fill("m-057")
    page.keyboard.press("Enter")

    expect(dialog.get_by_role("status")).to_have_text("General: m-057")


def test_enter_takes_the_only_group_that_is_like_the_text(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_label("With", exact=True).select_option("A group")
    who = dialog.get_by_label("Who", exact=True)
    who.press_sequentially("sal")
    options = dialog.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options).to_have_text(["sales"])

    page.keyboard.press("Enter")
    expect(who).to_have_value("sales")
    assert shared_with(demo, "bobs-own") == []
    page.keyboard.press("Enter")

    expect(dialog.get_by_role("status")).to_have_text("Group sales has access.")
