"""Hundreds of models: how many there are, what of them is shown, and what a host knows of it."""

import pytest
from playwright.sync_api import expect

from tests.browser.page import row


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


def test_filters_that_are_there_before_the_page_count_from_the_start(page, demo):
    page.evaluate(
        """() => {
          const before = document.querySelector("model-registry");
          const after = before.cloneNode();
          after.getToken = before.getToken;
          after.filters = { model_provider: "groq" };
          before.replaceWith(after);
        }"""
    )

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


def test_nothing_stays_selected_that_is_not_shown(demo):
    demo.fill("carol", 3)
    page = demo.open("carol")
    select(page, "m-000", "m-001")

    page.get_by_role("searchbox").fill("m-001")
    expect(row(page, "m-000")).to_have_count(0)

    expect(page.get_by_role("group", name="1 model selected")).to_be_visible()
