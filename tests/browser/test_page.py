"""The page for users, as people use it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.page import choose, choose_provider, fill, opened_form, row
from tests.hosts import CANARY

KEY = "demo-key"


def fault(dialog, label):
    """Return the error of a field, which must be marked for screen readers too."""
    control = dialog.get_by_label(label, exact=True)
    assert control.get_attribute("aria-invalid") == "true"
    ids = control.get_attribute("aria-describedby").split()
    return dialog.locator(f"#{ids[-1]}").inner_text()


def test_a_model_is_registered(demo):
    page = demo.open("bob")
    dialog = opened_form(page)

    choose_provider(dialog, "stand-in")
    fill(dialog, Name="my/model", Model="demo-small", API_key=KEY, Temperature="0,5")
    fill(dialog, Abilities="chat, vision", Description="For tests.")
    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(row(page, "my/model")).to_be_visible()
    expect(page.get_by_role("status").first).to_have_text("my/model is registered.")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Register a model")).to_be_focused()
    model = demo.ask("bob", "GET", "/by-id/my/model")
    assert model["temperature"] == 0.5
    assert model["abilities"] == ["chat", "vision"]


def test_what_is_wrong_is_said_next_to_its_field_and_nothing_is_lost(demo):
    page = demo.open("bob")
    dialog = opened_form(page)

    fill(dialog, Name="no blanks here", Temperature="hot", Description="Kept")
    dialog.get_by_role("button", name="Register", exact=True).click()
    dialog.get_by_text("Some fields are not valid.").wait_for()

    assert fault(dialog, "Temperature") == "Not a number."
    assert fault(dialog, "API key") == fault(dialog, "Model") == "Fill this in."
    expect(dialog.get_by_label("API key", exact=True)).to_be_focused()

    fill(dialog, API_key="k", Model="m", Temperature="0.5")
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog.locator("[data-field=model_id] .error")).to_contain_text(
        "beginning with a letter"
    )
    assert "beginning with a letter" in fault(dialog, "Name")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    assert dialog.get_by_label("Description").input_value() == "Kept"
    assert dialog.get_by_label("Category").get_attribute("aria-invalid") is None


def test_what_was_typed_is_not_lost_by_a_key(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)

    opened_form(page)
    dialog.get_by_label("Name", exact=True).focus()
    page.keyboard.type("half a na")
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Leave this form?").get_by_role("button", name="Cancel").click()
    assert dialog.get_by_label("Name", exact=True).input_value() == "half a na"
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Leave this form?").get_by_role("button", name="Leave").click()

    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_key_that_comes_as_a_question_closes_asks_again(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    fill(dialog, Name="half a na")
    page.keyboard.press("Escape")
    question = page.get_by_role("dialog", name="Leave this form?")

    # The event "close" of the question comes after the key.
    question.get_by_role("button", name="Cancel").evaluate(
        """async (cancel) => {
          const form = cancel.getRootNode().querySelector("dialog");
          cancel.click();
          await null;
          form.dispatchEvent(new Event("cancel", { cancelable: true }));
          await new Promise(requestAnimationFrame);
        }"""
    )
    question.get_by_role("button", name="Cancel").click()
    page.keyboard.press("Escape")
    question.get_by_role("button", name="Cancel").click()

    expect(dialog.get_by_label("Name", exact=True)).to_have_value("half a na")


def test_what_is_needed_is_marked(demo):
    dialog = opened_form(demo.open("bob"))
    needed = dialog.locator("input[required]")

    names = needed.evaluate_all(
        "(all) => all.filter((each) => each.checkVisibility()).map((each) => each.closest('[data-field]').dataset.field)"
    )
    assert names == ["api_key", "model_name", "model_id"]
    dialog.get_by_role("button", name="Register", exact=True).click()
    dialog.get_by_text("Some fields are not valid.").wait_for()
    assert fault(dialog, "Name") == fault(dialog, "Model") == "Fill this in."


def test_a_fixed_error_is_no_longer_shown(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    choose_provider(dialog, "Another")
    fill(dialog, Id_of_the_provider="no/such", Name="x", Model="m", API_key=CANARY)
    save = dialog.get_by_role("button", name="Register", exact=True)

    save.click()
    assert fault(dialog, "Base URL") == "Fill this in."
    fill(dialog, Base_URL="https://models.example.com/v1")
    save.click()
    expect(dialog.locator("[data-field=model_provider] .error").last).to_contain_text(
        "Must be 1 to"
    )
    assert "Must be 1 to 64" in fault(dialog, "Id of the provider")
    assert dialog.get_by_label("Base URL").get_attribute("aria-invalid") is None
    fill(dialog, Id_of_the_provider="house")
    save.click()

    expect(row(page, "x")).to_contain_text("house · m · Language")


def test_fields_follow_the_category_and_the_provider(demo):
    dialog = opened_form(demo.open("bob"))
    dimension, temperature = dialog.get_by_label("Dimension"), dialog.get_by_label("Temperature")
    expect(temperature).to_be_visible()
    expect(dimension).to_be_hidden()

    dialog.get_by_label("Category").select_option("embedding")
    expect(dimension).to_be_visible()
    expect(temperature).to_be_hidden()
    expect(dialog.get_by_role("checkbox", name="embedding")).to_be_visible()

    choose_provider(dialog, "ollama")
    expect(dialog.get_by_text("May be empty if the server needs none.")).to_be_visible()
    choose_provider(dialog, "openai")
    expect(dialog.get_by_text("Empty for https://api.openai.com/v1")).to_be_visible()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (KEY, re.compile(r"^Works( \([\d,]+ ms\))?\.$")),
        (CANARY, re.compile(r"^The provider refuses the API key")),
    ],
    ids=["right key", "wrong key"],
)
def test_a_connection_is_tested_before_it_is_saved(demo, key, said):
    page = demo.open("bob")
    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    fill(dialog, Model="demo-small", API_key=key)

    dialog.get_by_role("button", name="Test connection").click()

    expect(dialog.get_by_role("status")).to_have_text(said)
    assert "new" not in demo.names("bob")
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    expect(dialog).to_have_count(0)


def test_the_provider_is_asked_for_its_models(demo):
    dialog = opened_form(demo.open("bob"))
    choose_provider(dialog, "stand-in")
    fill(dialog, API_key=KEY)

    dialog.get_by_role("button", name="Ask the provider").click()

    expect(dialog.locator("[data-field=model_name]")).to_contain_text("3 models")
    offered = dialog.get_by_role("listbox", name="Models").get_by_role("option")
    expect(offered).to_have_text(["demo-large", "demo-small", "demo-embedding"])


def test_a_saved_model_is_tested_in_its_row(demo):
    page = demo.open("bob")

    page.get_by_role("button", name="Test bobs-own").click()

    expect(row(page, "bobs-own").locator(".result")).to_contain_text("Works")
    expect(page.get_by_role("status").first).to_contain_text("bobs-own: Works")


def test_an_edit_sends_what_was_changed_and_on_what_condition(demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Edit bobs-own").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_label("API key").input_value() == ""
    fill(dialog, Description="Now described")

    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        dialog.get_by_role("button", name="Save").click()

    assert sent.value.post_data_json == {"description": "Now described"}
    assert sent.value.headers["if-match"].startswith('"')
    expect(row(page, "bobs-own")).to_contain_text("Now described")
    expect(page.get_by_role("button", name="Edit bobs-own")).to_be_focused()


def test_without_a_tag_an_edit_is_sent_without_a_condition(demo):
    page = demo.open("bob")

    def without_tag(route):
        response = route.fetch()
        headers = {name: text for name, text in response.headers.items() if name != "etag"}
        route.fulfill(response=response, headers=headers)

    page.route("**/api/models/*", without_tag)
    sent = []
    page.on("request", lambda request: sent.append(request) if request.method == "PATCH" else None)
    page.get_by_role("button", name="Edit bobs-own").click()
    dialog = page.get_by_role("dialog")
    fill(dialog, Description="Without a tag")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    choose(page, "bobs-own", "Switch off")
    expect(page.get_by_role("status").first).to_have_text("bobs-own is switched off.")
    page.get_by_role("button", name="Switch on bobs-own").click()
    expect(page.get_by_role("status").first).to_have_text("bobs-own is switched on.")

    assert [request.post_data_json for request in sent] == [
        {"description": "Without a tag"},
        {"is_active": False},
        {"is_active": True},
    ]
    assert [request.headers.get("if-match") for request in sent] == [None, None, None]
    assert demo.ask("bob", "GET", "/by-id/bobs-own")["description"] == "Without a tag"


def test_an_edit_of_what_another_user_has_changed_is_refused(demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Edit bobs-own").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading", name="Edit bobs-own").wait_for()
    demo.ask("bob", "PATCH", "/by-id/bobs-own", {"description": "Faster"})

    fill(dialog, Description="Slower")
    dialog.get_by_role("button", name="Save").click()

    page.get_by_role("dialog", name="bobs-own has changed").wait_for()
    assert demo.ask("bob", "GET", "/by-id/bobs-own")["description"] == "Faster"


def test_a_new_address_asks_for_the_key_again(demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Edit bobs-own").click()
    dialog = page.get_by_role("dialog")
    fill(dialog, Base_URL="https://elsewhere.example.com/v1")

    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_text("Some fields are not valid.").wait_for()

    assert fault(dialog, "API key")


def test_what_is_shared_appears_in_the_window_of_the_other_person(demo):
    mine, theirs = demo.open("bob"), demo.open("carol")
    expect(row(theirs, "bobs-own")).to_have_count(0)

    dialog = choose(mine, "bobs-own", "Share…")
    fill(dialog, Who="carol")
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("carol")
    theirs.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(row(theirs, "bobs-own")).to_contain_text("Shared with me")
    expect(theirs.get_by_role("button", name="Edit bobs-own")).to_have_count(0)

    dialog.get_by_role("checkbox", name="carol may edit").check()
    expect(dialog.get_by_role("checkbox", name="carol may edit")).to_be_checked()
    theirs.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(theirs.get_by_role("button", name="Edit bobs-own")).to_be_visible()

    dialog.get_by_role("button", name="Remove carol").click()
    expect(dialog.get_by_role("list", name="Shared with")).not_to_contain_text("carol")
    theirs.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(row(theirs, "bobs-own")).to_have_count(0)


def test_a_group_gets_a_model_and_an_unknown_user_does_not(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")

    fill(dialog, Who="unknown")
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    dialog.get_by_label("With", exact=True).select_option("groups")
    fill(dialog, Who="sales")
    dialog.get_by_role("button", name="Share", exact=True).click()

    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("Group sales")
    expect(dialog.get_by_role("alert")).to_be_empty()
    assert "bobs-own" in demo.names("carol")


def test_a_model_is_given_away_after_a_question(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_text("Give it away").click()
    fill(dialog, New_owner="carol")

    dialog.get_by_role("button", name="Give away").click()
    question = page.get_by_role("dialog", name="Give it to carol?")
    question.get_by_role("button", name="Give away").click()

    expect(row(page, "bobs-own")).to_have_count(0)
    assert demo.ask("carol", "GET", "/by-id/bobs-own")["is_owner"] is True


def test_people_of_one_name_are_told_apart(demo):
    page = demo.open("alice")
    page.evaluate(
        """() => {
          document.querySelector("model-registry").people = [
            { key: "2", name: "Alex" }, { key: 3, name: "Alex" }, { key: "9", name: "2" }, { key: "8", name: null },
          ];
        }"""
    )
    dialog = choose(page, "team-search", "Share…")
    dialog.get_by_label("Who", exact=True).click()
    suggested = dialog.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(suggested).to_have_text(["Alex (2)", "Alex (3)", "2 (9)", "8"])

    for typed, key in [("Alex (3)", "3"), ("2", "2"), ("unknown", "unknown")]:
        fill(dialog, Who=typed)
        with page.expect_request(lambda request: request.method == "PUT") as sent:
            dialog.get_by_role("button", name="Share", exact=True).click()
        assert sent.value.url.endswith(f"/grants/users/{key}")
        expect(dialog.locator("[aria-busy]")).to_have_count(0)
    expect(dialog.get_by_role("alert")).to_contain_text("no such user")
    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("Alex (2)")
    fill(dialog, Who="Alex")
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("Several people match")


@pytest.mark.parametrize(
    ("people", "shown"),
    [
        (["2 Sam", "3 Sam", "4 Bob"], ["Sam (2)", "Sam (3)", "Bob"]),
        (["2 Ann", "3 Bob"], ["Ann", "Bob"]),
        (["3 bob (2)", "2 bob", "1 bob"], ["bob (2) (3)", "bob (2)", "bob (1)"]),
        (["zoe bob", "bob Bob"], ["bob (zoe)", "Bob"]),
    ],
)
def test_only_a_name_that_could_mean_another_goes_with_its_key(demo, people, shown):
    page = demo.open("bob")
    page.evaluate(
        """(people) => {
          document.querySelector("model-registry").people = people.map((each) => {
            const [key, ...name] = each.split(" ");
            return { key, name: name.join(" ") };
          });
        }""",
        people,
    )

    dialog = choose(page, "bobs-own", "Share…")
    dialog.get_by_label("Who", exact=True).click()

    suggested = dialog.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(suggested).to_have_text(shown)


def test_rights_are_given_once(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Share…")
    fill(dialog, Who="carol")
    dialog.get_by_label("May edit", exact=True).check()
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("checkbox", name="carol may edit")).to_be_checked()

    expect(dialog.get_by_label("May edit", exact=True)).not_to_be_checked()


def test_without_suggestions_keys_are_typed(demo):
    page = demo.open("bob")
    page.evaluate(
        """() => {
          const element = document.querySelector("model-registry");
          element.people = async () => { throw new Error("away"); };
          element.groups = null;
        }"""
    )
    dialog = choose(page, "bobs-own", "Share…")

    expect(dialog.get_by_text("Enter the primary key of a user.").first).to_be_visible()
    assert dialog.get_by_label("With", exact=True).locator("option").all_inner_texts() == ["A user"]
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("alert")).to_have_text("Enter a user or group.")
    fill(dialog, Who="3")
    dialog.get_by_role("button", name="Share", exact=True).click()

    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("User 3")
    assert "bobs-own" in demo.names("carol")


def test_only_who_may_is_offered_to_share_with_everyone(demo):
    admin, page = demo.open("alice"), demo.open("bob")
    expect(opened_form(page).get_by_label("Share with everyone")).to_have_count(0)

    dialog = choose(admin, "team-search", "Share…")
    dialog.get_by_label("Share with everyone").check()

    expect(row(admin, "team-search")).to_contain_text("Shared with everyone")
    assert demo.ask("carol", "GET", "/by-id/team-search")["is_shared"] is True


def test_a_default_is_chosen_and_taken_back(demo):
    page = demo.open("bob")
    dialog = choose(page, "bobs-own", "Use as default…")
    expect(dialog.get_by_role("listitem").first).to_have_text("General house-model (of the app)Use")

    dialog.get_by_role("button", name="Use: General").click()
    expect(dialog.get_by_role("listitem").first).to_contain_text("General bobs-own")
    expect(row(page, "bobs-own")).to_contain_text("Default: General")
    assert demo.ask("bob", "GET", "/defaults/general")["source"] == "user"
    dialog.get_by_role("button", name="Done").click()

    page.get_by_role("button", name="Defaults").click()
    dialog.get_by_role("button", name="Clear: General").click()
    expect(dialog.get_by_label("General", exact=True)).to_have_value("house-model (of the app)")
    expect(dialog.get_by_role("combobox")).to_have_count(10)


def test_a_default_for_everyone_is_chosen_by_who_may(demo):
    page = demo.open("alice")
    page.get_by_label("More for house-model").click()
    row(page, "house-model").get_by_role("button", name="Use as default…").click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_label("For").select_option("app")
    dialog.get_by_role("button", name="Use: Compacting").click()

    expect(dialog.get_by_role("button", name="Clear: Compacting")).to_be_visible()
    assert demo.ask("carol", "GET", "/defaults/compact")["source"] == "app"


def test_a_model_is_switched_off_and_on(demo):
    page = demo.open("bob")

    choose(page, "bobs-own", "Switch off")
    expect(page.get_by_role("status").first).to_have_text("bobs-own is switched off.")
    expect(row(page, "bobs-own")).to_contain_text("Switched off")
    page.get_by_label("State").select_option("Switched on")
    expect(row(page, "bobs-own")).to_have_count(0)
    page.get_by_label("State").select_option("Switched off")
    page.get_by_role("button", name="Switch on bobs-own").click()

    expect(page.locator(".empty")).to_have_text("No models match.")
    assert demo.ask("bob", "GET", "/by-id/bobs-own")["is_active"] is True


def test_a_model_is_deleted_only_after_a_question(demo):
    page = demo.open("bob")

    choose(page, "bobs-own", "Delete…").get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("More for bobs-own")).to_be_focused()
    assert "bobs-own" in demo.names("bob")
    choose(page, "bobs-own", "Delete…").get_by_role("button", name="Delete").click()

    expect(row(page, "bobs-own")).to_have_count(0)
    expect(page.get_by_role("status").first).to_have_text("bobs-own is deleted.")
    assert "bobs-own" not in demo.names("bob")


def test_a_refusal_is_said_where_it_is_seen(demo):
    model_id = demo.ask("bob", "GET", "/by-id/bobs-own")["id"]
    page = demo.open("bob")
    demo.ask("bob", "PUT", "/defaults/general", {"id": model_id})  # in another window

    choose(page, "bobs-own", "Delete…").get_by_role("button", name="Delete").click()

    refusal = row(page, "bobs-own").locator(".result")
    expect(refusal).to_contain_text("It is your default for General.")
    expect(refusal).to_be_in_viewport()
    refusal.get_by_role("button", name="Clear that and delete").click()

    expect(row(page, "bobs-own")).to_have_count(0)
    assert "bobs-own" not in demo.names("bob")


def test_lists_are_searched_filtered_and_paged(demo):
    demo.fill("carol", 55)
    page = demo.open("carol")
    names = page.locator("model-registry h3")
    expect(names).to_have_count(50)

    page.get_by_role("button", name="Next").click()
    expect(names).to_have_count(6)
    expect(page.get_by_text("Page 2")).to_be_visible()
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").click()
    expect(names).to_have_count(50)

    page.get_by_role("searchbox").fill("m-01")
    expect(names).to_have_count(10)
    page.get_by_label("Category").select_option("Embedding")
    expect(page.locator(".empty")).to_have_text("No models match.")
    page.get_by_label("Category").select_option("All")
    page.get_by_role("searchbox").fill("")
    page.get_by_label("Whose").select_option("Shared with me")
    expect(names).to_have_text(["house-model"])


def test_the_last_model_of_the_last_page_takes_its_page_with_it(demo):
    demo.fill("carol", 50)
    page = demo.open("carol")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("model-registry h3")).to_have_text(["m-049"])

    choose(page, "m-049", "Delete…").get_by_role("button", name="Delete").click()

    expect(page.locator("model-registry h3")).to_have_count(50)


def test_a_user_who_is_not_logged_in_is_told_so_and_so_is_the_page(demo):
    page = demo.open("bob")
    page.evaluate(
        "addEventListener('model-registry-unauthenticated', () => { window.told = true; })"
    )

    page.evaluate("document.querySelector('model-registry').getToken = () => 'expired'")

    expect(page.locator(".messages [role=alert]")).to_contain_text("not logged in")
    expect(page.locator("model-registry h3")).to_have_count(0)
    assert page.evaluate("window.told") is True


def test_a_server_that_is_away_is_told_of(demo):
    page = demo.open("bob")
    page.route("**/api/models/**", lambda route: route.abort())

    page.get_by_role("searchbox").fill("x")

    expect(page.locator(".messages [role=alert]")).to_have_text("The server cannot be reached.")
    page.unroute_all()
    page.get_by_role("searchbox").fill("bob")
    expect(page.locator("model-registry h3")).to_have_text(["bobs-own"])
    expect(page.locator(".messages [role=alert]")).to_be_empty()


def test_each_step_of_registering_by_keyboard_is_in_the_accessibility_tree(demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Register a model").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Register a model")
    dialog.wait_for()

    def reads(*lines):
        under = ["    " + ("" if each.startswith(" ") else "- ") + each for each in lines]
        tree = ['- dialog "Register a model":', "  - group:", *under]
        expect(dialog).to_match_aria_snapshot("\n".join(tree))

    page.keyboard.type("stand")
    listed = ['listbox "Providers":', '  - option "Stand-in (this server)"']
    reads('combobox "Provider" [expanded]: stand', *listed)
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("textbox", name="API key")).to_be_focused()
    reads('combobox "Provider": Stand-in (this server)', 'textbox "API key"')
    page.keyboard.type(KEY)
    names = [f'  - option "demo-{each}"' for each in ("large", "small", "embedding")]
    reads('listbox "Models":', *names, "paragraph: Choose one or several.", "paragraph: 3 models")
    page.keyboard.press("Tab")
    expect(dialog.get_by_role("combobox", name="Model")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    chosen = ['  - option "demo-large" [selected]', *names[1:]]
    reads(
        'listbox "Models":', *chosen, "paragraph: 3 models · 1 chosen", 'textbox "Name": demo-large'
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("textbox", name="Name")).to_be_focused()
    reads('textbox "Name" [invalid]', "paragraph: /Its name here/", "paragraph: Fill this in.")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")

    row(page, "typed").wait_for()
    expect(page.get_by_role("region", name="Models")).to_match_aria_snapshot("""
      - region "Models":
        - status: typed is registered.
        - list "Models":
          - listitem:
            - checkbox "Select typed"
            - heading "typed" [level=3]
            - list:
              - listitem: /Works/
            - button "Test typed"
            - button "Edit typed"
    """)


def test_everything_can_be_done_with_the_keyboard(demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Register a model").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Provider", exact=True)).to_be_focused()

    page.keyboard.type("stand-in")
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("API key", exact=True)).to_be_focused()
    page.keyboard.type(KEY)
    expect(dialog.get_by_role("option", name="demo-small")).to_be_visible()
    page.keyboard.press("Tab")
    for key in ("ArrowDown", "ArrowDown", "Enter", "Tab"):  # the second of the list
        page.keyboard.press(key)
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("demo-small")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    expect(row(page, "typed")).to_be_visible()
    expect(page.get_by_role("button", name="Register a model")).to_be_focused()

    page.get_by_label("More for typed").focus()
    page.keyboard.press("Enter")
    expect(row(page, "typed").get_by_role("button", name="Share…")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row(page, "typed").get_by_role("button", name="Share…")).to_be_hidden()
    page.keyboard.press("Enter")
    for _ in range(6):  # Details, Duplicate, Use as default, Share, Switch off, Delete
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(row(page, "typed")).to_have_count(0)
