"""Hundreds of models: how many there are, what of them is shown, and what a host knows of it."""

import pytest
from playwright.sync_api import expect

from tests.browser.page import choose, choose_provider, fill, opened_form, row


@pytest.fixture
def page(demo):
    demo.fill("carol", 60)
    fields = {"model_name": "x", "api_key": "k", "abilities": ["vision"]}
    for name in ("seeing", "other"):
        demo.ask(
            "carol", "POST", "/register", {**fields, "model_id": name, "model_provider": "groq"}
        )
    return demo.open("carol")


def test_it_is_said_how_many_there_are(page, demo):
    expect(page.get_by_text("Page 1 · 63 models")).to_be_visible()

    page.get_by_role("searchbox").fill("m-01")

    expect(page.get_by_text("10 models")).to_be_visible()
    expect(page.get_by_role("button", name="Next")).to_be_hidden()


def test_five_hundred_models_are_counted_searched_sorted_and_selected(demo):
    demo.fill("carol", 500)
    page = demo.open("carol")
    names = page.locator("model-registry h3")
    expect(page.get_by_text("Page 1 · 501 models")).to_be_visible()

    page.get_by_label("Order").select_option("Newest first")
    expect(names.first).to_have_text("m-499")
    page.get_by_role("searchbox").fill("m-4")
    expect(page.get_by_text("Page 1 · 100 models")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Page 2 · 100 models")).to_be_visible()
    page.get_by_role("checkbox", name="Select all").check()

    expect(page.get_by_text("50 models selected")).to_be_visible()
    expect(names.first).to_have_text("m-449")


def test_an_ability_that_is_a_number_is_not_filtered_by_until_it_is_chosen(demo):
    account = {"model_provider": "stand-in", "model_name": "x", "api_key": "k"}
    demo.ask("bob", "POST", "/register", {**account, "model_id": "m", "abilities": ["7", "chat"]})
    page = demo.open("bob")

    page.get_by_role("searchbox").fill("bobs")

    expect(row(page, "m")).to_have_count(0)
    expect(row(page, "bobs-own")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    expect(row(page, "m")).to_be_visible()


def test_few_models_have_few_filters(demo):
    page = demo.open("bob")

    expect(page.get_by_label("State")).to_be_visible()
    for label in ("Provider", "Ability", "Order"):
        expect(page.get_by_label(label)).to_be_hidden()


def test_they_are_filtered_by_provider_and_ability_and_sorted(page):
    names = page.locator("model-registry h3")
    expect(names.first).to_have_text("house-model")
    page.get_by_label("Order").select_option("Newest first")
    expect(names.first).to_have_text("other")

    page.get_by_label("Provider").select_option("Groq")
    expect(names).to_have_text(["other", "seeing"])
    page.get_by_label("Ability").select_option("vision")
    page.get_by_label("Provider").select_option("All")
    expect(names).to_have_text(["other", "seeing"])
    expect(page.get_by_label("Ability")).to_have_value("vision")


def test_they_are_sorted_by_name_provider_change_and_test(page, demo):
    names = page.locator("model-registry h3")
    demo.ask("carol", "PATCH", "/by-id/m-030", {"description": "changed"})

    for choice, first in {
        "By provider": "seeing",
        "By name": "house-model",
        "Last changed first": "m-030",
        "Last tested first": "other",
        "Oldest first": "house-model",
    }.items():
        page.get_by_label("Order").select_option(choice)
        expect(names.first).to_have_text(first)
    page.get_by_label("Order").select_option("By provider")
    expect(names.nth(1)).to_have_text("other")


def test_a_host_puts_filters_into_its_url_and_sets_them(page):
    page.evaluate(
        """() => {
          window.told = [];
          addEventListener("model-registry-filter", ({ detail }) => told.push(detail));
        }"""
    )
    page.get_by_label("Provider").select_option("Groq")
    expect(row(page, "m-000")).to_have_count(0)
    page.get_by_role("searchbox").fill("see")
    expect(row(page, "other")).to_have_count(0)

    told = page.evaluate("window.told")
    assert told == [{"model_provider": "groq"}, {"q": "see", "model_provider": "groq"}]
    assert page.evaluate("document.querySelector('model-registry').filters") == told[-1]
    page.evaluate(
        "document.querySelector('model-registry').filters = {ability: 'vision', sort: '-id', x: 1, category: 'no'}"
    )

    names = page.locator("model-registry h3")
    expect(names).to_have_text(["other", "seeing"])
    expect(page.get_by_role("searchbox")).to_have_value("")
    expect(page.get_by_label("Ability")).to_have_value("vision")
    assert page.evaluate("window.told.length") == 2


def test_the_name_of_a_provider_finds_its_models_on_all_pages(demo):
    fields = {"model_provider": "mistral", "model_name": "x", "api_key": "k"}
    for number in range(52):
        demo.ask("carol", "POST", "/register", {**fields, "model_id": f"s-{number:03}"})
    other = {**fields, "model_provider": "groq", "model_name": "mistral-saba", "model_id": "other"}
    demo.ask("carol", "POST", "/register", other)
    page = demo.open("carol")
    page.evaluate(
        """() => {
          window.told = [];
          addEventListener("model-registry-filter", ({ detail }) => told.push(detail));
        }"""
    )

    page.get_by_role("searchbox").fill("mistral AI ")

    expect(page.get_by_text("Page 1 · 53 models")).to_be_visible()
    expect(page.locator("model-registry h3").first).to_have_text("s-000")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("model-registry h3")).to_have_text(["s-050", "s-051", "other"])
    assert page.evaluate("window.told") == [{"q": "mistral AI "}]
    page.get_by_role("searchbox").fill("mistral AI other")  # which is not a name
    expect(page.get_by_text("No models match.")).to_be_visible()


def replace_with_filters(page, filters):
    """Replace the element by one that has filters before it is in the page."""
    page.evaluate(
        """(filters) => {
          const before = document.querySelector("model-registry");
          const after = before.cloneNode();
          after.getToken = before.getToken;
          after.filters = filters;
          before.replaceWith(after);
        }""",
        filters,
    )


def test_the_name_of_a_provider_is_known_to_filters_that_are_there_first(page):
    replace_with_filters(page, {"q": "Stand-in (this server)"})

    expect(page.get_by_text("Page 1 · 61 models")).to_be_visible()
    expect(row(page, "m-000")).to_be_visible()


def test_filters_that_are_there_before_the_page_count_from_the_start(page, demo):
    replace_with_filters(page, {"model_provider": "groq"})

    expect(page.locator("model-registry h3")).to_have_text(["seeing", "other"])
    expect(page.get_by_label("Provider")).to_have_value("groq")


def test_without_a_count_there_is_a_list(demo):
    demo.fill("carol", 30)
    page = demo.open("carol")
    page.route("**/summary?*", lambda route: route.fulfill(status=500))

    page.get_by_role("searchbox").fill("m-01")

    expect(page.locator("model-registry h3")).to_have_count(10)
    expect(page.locator(".messages [role=alert]")).to_be_empty()


def select(page, *names):
    for name in names:
        page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()


def test_several_are_tested_one_after_the_other(demo):
    demo.fill("carol", 3)  # with a wrong key
    page = demo.open("carol")
    select(page, "house-model", "m-000", "m-002")
    bar = page.get_by_role("group", name="3 models selected")

    bar.get_by_role("button", name="Test (3)").click()

    expect(page.get_by_text("Test 3 of 3: done.")).to_be_visible()
    expect(row(page, "house-model").locator(".result")).to_contain_text("Works")
    for name in ("m-000", "m-002"):
        expect(row(page, name).locator(".result")).to_contain_text("refuses the API key")
    expect(row(page, "m-001").locator(".result")).to_be_empty()


def test_several_are_switched_off_and_deleted(demo):
    demo.fill("carol", 4)
    page = demo.open("carol")
    select(page, "house-model", "m-000", "m-001")  # the first is not hers
    page.get_by_role("button", name="Switch off (2)").click()
    expect(page.get_by_text("Switch off 2 of 2: done.")).to_be_in_viewport(ratio=1)
    expect(row(page, "m-001")).to_contain_text("Switched off")

    page.get_by_role("checkbox", name="Select house-model").uncheck()
    select(page, "m-002", "m-003")
    demo.ask(
        "carol", "PUT", "/defaults/general", {"id": demo.ask("carol", "GET", "/by-id/m-003")["id"]}
    )
    page.get_by_role("button", name="Delete… (2)").click()
    question = page.get_by_role("dialog", name="Delete 2 models?")
    expect(question).to_contain_text("m-002, m-003")
    assert "m-002" in demo.names("carol")
    question.get_by_role("button", name="Delete").click()

    expect(page.get_by_text("Delete 1 of 2: done.")).to_be_visible()
    expect(row(page, "m-002")).to_have_count(0)
    expect(row(page, "m-003").locator(".result")).to_contain_text("default")
    expect(page.get_by_role("checkbox", name="Select m-003")).to_be_checked()
    page.get_by_role("group", name="1 model selected").get_by_role("button", name="Clear").click()
    expect(page.get_by_role("checkbox", name="Select m-003")).not_to_be_checked()
    expect(page.get_by_role("group", name="selected")).to_have_count(0)


def test_it_is_said_which_credential_stays_when_several_are_deleted(demo):
    demo.fill("carol", 2)
    body = {"name": "Team", "model_provider": "stand-in", "secret": {"api_key": "k"}}
    made = demo.ask("carol", "POST", "/credentials", body)["id"]
    models = [{"model_id": name, "model_name": name} for name in ("one", "two")]
    demo.ask("carol", "POST", f"/credentials/{made}/models", {"models": models})
    page = demo.open("carol")
    select(page, "m-000", "m-001", "one", "two")

    page.get_by_role("button", name="Delete… (4)").click()

    expect(page.get_by_role("dialog", name="Delete 4 models?")).to_contain_text(
        "m-000, m-001 and their API keys will be gone for everyone who uses them. one, two will be "
        "gone for everyone who uses them. The credential Team and its API key stay."
    )


def test_all_that_are_shown_are_selected_at_once(demo):
    demo.fill("carol", 3)
    page = demo.open("carol")
    everything = page.get_by_role("checkbox", name="Select all (4)")
    boxes = page.locator(".models input[type=checkbox]")
    is_mixed = "(box) => box.indeterminate"
    assert not everything.evaluate(is_mixed)

    select(page, "m-001")
    expect(page.get_by_role("group", name="1 model selected")).to_be_visible()
    assert everything.evaluate(is_mixed)
    expect(everything).not_to_be_checked()
    everything.focus()
    page.keyboard.press("Space")

    expect(page.get_by_role("group", name="4 models selected")).to_be_visible()
    expect(everything).to_be_checked()
    assert not everything.evaluate(is_mixed)
    assert boxes.evaluate_all("(all) => all.every(({ checked }) => checked)")
    page.get_by_role("searchbox").fill("m-00")
    expect(page.get_by_role("group", name="3 models selected")).to_be_visible()
    everything = page.get_by_role("checkbox", name="Select all (3)")
    expect(everything).to_be_checked()
    everything.uncheck()
    expect(page.get_by_role("group", name="selected")).to_have_count(0)
    assert not boxes.evaluate_all("(all) => all.some(({ checked }) => checked)")
    page.get_by_role("searchbox").fill("m-001")
    expect(row(page, "m-000")).to_have_count(0)
    expect(page.get_by_role("checkbox", name="Select all")).to_have_count(0)  # of one


def test_a_bar_that_does_not_load_is_said(demo):
    page = demo.open("bob")
    page.route("**/bar.js", lambda route: route.abort())

    select(page, "bobs-own")

    alert = page.locator(".messages [role=alert]")
    expect(alert).to_have_text("A part of this page did not load. Reload the page.")


def test_nothing_stays_selected_that_is_not_shown(demo):
    demo.fill("carol", 3)
    page = demo.open("carol")
    select(page, "m-000", "m-001")

    page.get_by_role("searchbox").fill("m-001")
    expect(row(page, "m-000")).to_have_count(0)

    expect(page.get_by_role("group", name="1 model selected")).to_be_visible()


def register(page, name):
    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    fill(dialog, Name=name, Model="demo-small", API_key="demo-key")
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog).to_have_count(0)


def test_a_new_model_is_shown_where_it_is(page):
    register(page, "zz-new")

    expect(row(page, "zz-new")).to_be_in_viewport(ratio=0.5)
    expect(page.get_by_text("Page 2 · 64 models")).to_be_visible()
    expect(page.get_by_role("status").first).to_have_text("zz-new is registered.")
    page.get_by_role("button", name="Previous").click()
    expect(row(page, "house-model")).to_be_visible()


def test_a_new_model_that_the_filters_hide_is_said_to_be_there(page):
    page.get_by_label("Provider").select_option("Groq")
    expect(row(page, "m-000")).to_have_count(0)

    register(page, "zz-new")

    status = page.get_by_role("status").first
    expect(status).to_have_text("zz-new is registered. The filters hide it.")
    expect(page.locator("model-registry h3")).to_have_text(["seeing", "other"])


def sharing(page, *names):
    select(page, *names)
    page.get_by_role("button", name=f"Share… ({len(names)})").click()
    return page.get_by_role("dialog", name=f"Share {len(names)} models")


def test_sharing_several_with_no_one_says_why_in_the_form(demo):
    demo.fill("carol", 2)
    page = demo.open("carol")
    dialog = sharing(page, "m-000", "m-001")
    fill(dialog, Who="sales")

    dialog.get_by_label("Who", exact=True).press("Enter")

    expect(dialog.get_by_role("alert")).to_have_text("There is no such user.")
    expect(dialog.get_by_label("Who", exact=True)).to_have_value("sales")
    expect(page.locator(".outcome [role=status]")).to_be_empty()


def test_it_is_said_with_whom_several_are_shared(demo):
    demo.fill("carol", 2)
    page = demo.open("carol")
    dialog = sharing(page, "m-000", "m-001")
    gone = demo.ask("carol", "GET", "/by-id/m-001")["id"]
    page.route(f"**/{gone}/grants/**", lambda route: route.fulfill(status=404, json={}))
    fill(dialog, Who="alice")

    dialog.get_by_label("Who", exact=True).press("Enter")

    expect(row(page, "m-001").locator(".result")).to_have_text("The server returned 404.")
    expect(page.locator(".outcome [role=status]")).to_have_text(
        "alice has access to 1 of 2 models."
    )
    expect(row(page, "m-000").locator(".state")).to_contain_text("Shared with 1 user")
    expect(page.get_by_role("checkbox", name="Select m-001")).to_be_checked()


def test_nothing_done_is_not_done(demo):
    demo.fill("carol", 1)
    page = demo.open("carol")
    page.route(
        "**/api/models/*",
        lambda route: (
            route.fallback()
            if route.request.method != "PATCH"
            else route.fulfill(status=403, json={})
        ),
    )
    select(page, "m-000")

    page.get_by_role("button", name="Switch off (1)").click()

    expect(row(page, "m-000").locator(".result")).to_have_text("The server returned 403.")
    expect(page.locator(".outcome [role=status]")).to_have_text("Switch off: nothing was done.")


def test_a_click_on_what_is_typed_keeps_the_list_to_it(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_label("With", exact=True).select_option("A group")
    who = dialog.get_by_label("Who", exact=True)
    options = dialog.get_by_role("listbox", name="Suggestions").get_by_role("option")
    who.click()
    expect(options).not_to_have_count(1)
    who.press_sequentially("sal")
    expect(options).to_have_text(["sales"])
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)

    who.click()
    page.wait_for_timeout(300)  # what the host answers would come later
    expect(options).to_have_text(["sales"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(who).to_have_value("sales")

    who.click()
    expect(options).not_to_have_count(1)  # what is chosen is no search
