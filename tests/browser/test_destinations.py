"""Where API keys go and who else can use them, shown before a key is entered or a model switched on."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.page import (
    add_pages,
    choose,
    choose_provider,
    fill,
    hold,
    opened_form,
    row,
    until,
)
from tests.hosts import CANARY, model

LOOKALIKE = "https://api.openai.com.models.example.com"
NOT_OWN = " (not OpenAI's own URL)"


def register(demo, owner, **fields):
    """Register a model over HTTP; return its id."""
    body = {"model_id": "gpt-4o", "model_provider": "openai", "model_name": "x", "api_key": "k"}
    return demo.ask(owner, "POST", "/register", {**body, **fields})["id"]


def opened_edit(page, name):
    page.get_by_role("button", name=f"Edit {name}", exact=True).click()
    return page.get_by_role("dialog", name=f"Edit {name}")


def heard(dialog):
    """Return what describes the field of the API key, to those who hear the page too."""
    ids = dialog.get_by_label("API key", exact=True).get_attribute("aria-describedby").split()
    texts = [dialog.locator(f"#{each}") for each in ids]
    return [each.inner_text() for each in texts if each.is_visible()]


def expect_heard(dialog, text):
    expect(dialog.locator("[data-field=api_key]")).to_contain_text(text)
    assert text in heard(dialog)


@pytest.mark.parametrize(
    ("provider", "url", "shown"),
    [
        ("openai", f"{LOOKALIKE}/v1", f"{LOOKALIKE}/v1{NOT_OWN}"),
        ("openai", "https://api.openai.com:8443/v1", f"https://api.openai.com:8443/v1{NOT_OWN}"),
        ("openai", "https://api.openai.com/v2", f"https://api.openai.com/v2{NOT_OWN}"),
        ("house", "https://models.example.com", "https://models.example.com"),
        ("azure", "https://me.openai.azure.com/openai/v1", "https://me.openai.azure.com/openai/v1"),
    ],
)
def test_a_row_shows_a_base_url_that_is_not_the_providers_own(demo, provider, url, shown):
    register(demo, "bob", model_provider=provider, base_url=url)

    page = demo.open("bob")

    expect(row(page, "gpt-4o").locator(".notice")).to_have_text(f"Sends to {shown}")
    expect(row(page, "bobs-own").locator(".notice")).to_have_count(0)


@pytest.mark.parametrize("url", [None, "https://api.openai.com/v1", "https://api.openai.com/v1/"])
def test_a_row_does_not_repeat_the_providers_own_url(demo, url):
    register(demo, "bob", base_url=url)

    page = demo.open("bob")

    expect(row(page, "gpt-4o")).to_be_visible()
    expect(row(page, "gpt-4o").locator(".notice")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1400])
def test_a_long_url_is_shown_to_its_end_everywhere(demo, width):
    origin = f"https://{'api.openai.com.' * 12}models.example.com"
    url = f"{origin}/{'path/' * 60}v1"
    model_id = register(demo, "bob", base_url=url)
    demo.ask("bob", "PATCH", f"/{model_id}", {"is_active": False})
    page = demo.open("bob", viewport={"width": width, "height": 900})

    def is_whole(place):
        shown = place.locator(".url")
        expect(shown).to_have_text(url)
        expect(shown.locator("strong")).to_have_text(origin)
        edges = "(node) => [node.getBoundingClientRect().left, node.getBoundingClientRect().right]"
        (left, right), (least, most) = shown.evaluate(edges), place.evaluate(edges)
        return least <= left < int(right) <= most  # some fonts end a hundredth of a pixel later

    assert is_whole(row(page, "gpt-4o"))
    page.get_by_role("button", name="Switch on gpt-4o").click()
    dialog = page.get_by_role("dialog")
    assert is_whole(dialog)
    dialog.get_by_role("button", name="Cancel").click()
    assert is_whole(opened_edit(page, "gpt-4o"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        (f"{LOOKALIKE}/v1", f"{LOOKALIKE}/v1{NOT_OWN}"),
        ("https://api.openai.com@evil.example.com/v1", f"https://evil.example.com/v1{NOT_OWN}"),
        ("https://api.openai.com\\@evil.example.com", f"https://api.openai.com/@evil.example.com{NOT_OWN}"),
        ("https://\u0430pi.openai.com/v1", f"https://xn--pi-6kc.openai.com/v1{NOT_OWN}"),
        ("https://evil.example.com/\u202e1v/moc", f"https://evil.example.com/%E2%80%AE1v/moc{NOT_OWN}"),
    ],
)  # fmt: skip
def test_the_form_shows_where_the_key_will_be_sent_while_you_type(demo, typed, shown):
    dialog = opened_form(demo.open("bob"))
    expect_heard(dialog, "This API key will be sent to https://api.openai.com/v1")

    dialog.get_by_label("Base URL", exact=True).press_sequentially(typed)

    expect_heard(dialog, f"This API key will be sent to {shown}")


def test_the_form_shows_where_the_key_will_be_sent_when_the_provider_changes(demo):
    dialog = opened_form(demo.open("bob"))

    choose_provider(dialog, "anthropic")
    expect_heard(dialog, "This API key will be sent to https://api.anthropic.com/v1")
    choose_provider(dialog, "Another")
    expect_heard(dialog, "Enter a full URL to see where this API key will be sent.")
    fill(dialog, Base_URL="models.example.com/v1")
    expect_heard(dialog, "Enter a full URL to see where this API key will be sent.")
    fill(dialog, Base_URL="https://models.example.com/v1")
    expect_heard(dialog, "This API key will be sent to https://models.example.com/v1")

    fill(dialog, Base_URL="", Id_of_the_provider="Claude")  # another name of a known one
    expect_heard(dialog, "This API key will be sent to https://api.anthropic.com/v1")


def test_the_form_leads_to_the_page_where_the_provider_gives_api_keys(demo):
    dialog = opened_form(demo.open("bob"))
    link = dialog.get_by_role("link")

    expect(link).to_have_attribute("href", "https://platform.openai.com/api-keys")
    choose_provider(dialog, "groq")
    expect(link).to_have_text("Get an API key from Groq")
    choose_provider(dialog, "vllm")
    expect(link).to_have_count(0)


def test_a_url_reads_from_left_to_right_on_any_page(demo):
    register(demo, "bob", base_url=f"{LOOKALIKE}/v1/")
    page = demo.open("bob")

    page.evaluate("document.documentElement.dir = 'rtl'")

    style = row(page, "gpt-4o").locator(".url").evaluate(
        "(node) => [getComputedStyle(node).direction, getComputedStyle(node).unicodeBidi]"
    )  # fmt: skip
    assert style == ["ltr", "isolate"]


def test_an_owner_sees_who_has_access_before_entering_a_key(demo):
    model_id = register(demo, "bob", base_url=f"{LOOKALIKE}/v1")
    page = demo.open("bob")
    dialog = opened_edit(page, "gpt-4o")
    expect_heard(dialog, "Only you have access.")
    expect_heard(dialog, f"This API key will be sent to {LOOKALIKE}/v1{NOT_OWN}")
    dialog.get_by_role("button", name="Cancel").click()

    demo.ask("bob", "PUT", f"/{model_id}/grants/users/1", {})
    demo.ask("bob", "PUT", f"/{model_id}/grants/users/3", {"can_edit": True})
    demo.ask("bob", "PUT", f"/{model_id}/grants/groups/sales", {})
    opened_edit(page, "gpt-4o")

    expect_heard(dialog, "People with access: 2 users, 1 group (alice, carol, group sales).")


def test_an_owner_sees_that_a_model_is_shared_with_everyone(demo):
    page = demo.open("alice")

    expect_heard(opened_edit(page, "house-model"), "Shared with everyone.")


def test_a_user_who_may_only_edit_is_referred_to_the_owner(demo):
    page = demo.open("bob")
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    dialog = opened_edit(page, "team-search")

    expect_heard(dialog, "The owner decides who else uses this model.")
    assert [url for url in asked if "/grants" in url] == []


def test_users_without_a_name_and_long_lists_are_counted(demo):
    page = demo.open("bob")
    page.evaluate(
        """() => {
          document.querySelector("model-registry").people = async () => { throw new Error("away"); };
        }"""
    )
    users = [{"user": str(n), "can_edit": False, "can_delete": False} for n in range(25)]
    body = json.dumps({"users": users, "groups": []})
    page.route("**/grants", lambda route: route.fulfill(status=200, body=body))

    dialog = opened_edit(page, "bobs-own")

    names = ", ".join(f"user {n}" for n in range(20))
    expect_heard(dialog, f"People with access: 25 users ({names} and 5 more).")


def test_grants_that_cannot_be_loaded_are_not_passed_over(demo):
    page = demo.open("bob")
    page.route("**/grants", lambda route: route.fulfill(status=503))

    expect_heard(opened_edit(page, "bobs-own"), "Who has access could not be loaded.")


def test_a_model_that_is_switched_off_is_listed_and_switched_on_in_its_row(demo):
    model_id = demo.ask("alice", "GET", "/by-id/team-search")["id"]
    demo.ask("alice", "PATCH", f"/{model_id}", {"is_active": False})
    demo.ask("alice", "POST", f"/{model_id}/transfer", {"user": "3"})
    page = demo.open("carol")
    expect(row(page, "team-search").locator(".badges")).to_contain_text("Switched off")

    page.get_by_role("button", name="Switch on team-search").click()

    expect(page.get_by_role("status").first).to_have_text("team-search is switched on.")
    expect(row(page, "team-search")).not_to_contain_text("Switched off")
    expect(page.get_by_label("More for team-search")).to_be_focused()
    assert demo.ask("carol", "GET", "/by-id/team-search")["is_active"] is True


def test_a_model_that_is_called_elsewhere_is_switched_on_after_a_question(demo):
    model_id = register(demo, "bob", base_url="https://models.example.com/v1")
    demo.ask("bob", "PATCH", f"/{model_id}", {"is_active": False})
    page = demo.open("bob")
    now = {"base_url": f"{LOOKALIKE}/v1", "api_key": "k"}
    demo.ask("bob", "PATCH", f"/{model_id}", now)  # in another window
    switch = page.get_by_role("button", name="Switch on gpt-4o")

    switch.click()
    question = page.get_by_role("dialog", name="Switch on gpt-4o?")
    expect(question).to_contain_text(f"will be sent to {LOOKALIKE}/v1{NOT_OWN}")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(switch).to_be_focused()
    assert demo.ask("bob", "GET", "/by-id/gpt-4o")["is_active"] is False

    switch.click()
    question.get_by_role("button", name="Switch on").click()
    expect(row(page, "gpt-4o")).not_to_contain_text("Switched off")
    assert demo.ask("bob", "GET", "/by-id/gpt-4o")["is_active"] is True


def test_a_model_that_moves_during_the_question_is_not_switched_on(demo):
    model_id = register(demo, "bob", base_url="https://models.example.com/v1")
    demo.ask("bob", "PATCH", f"/{model_id}", {"is_active": False})
    page = demo.open("bob")
    page.get_by_role("button", name="Switch on gpt-4o").click()
    question = page.get_by_role("dialog", name="Switch on gpt-4o?")
    question.wait_for()
    demo.ask("bob", "PATCH", f"/{model_id}", {"base_url": LOOKALIKE, "api_key": "k"})

    question.get_by_role("button", name="Switch on").click()

    expect(row(page, "gpt-4o").locator(".result")).to_contain_text("This model has changed.")
    expect(row(page, "gpt-4o").locator(".notice")).to_have_text(f"Sends to {LOOKALIKE}{NOT_OWN}")
    assert demo.ask("bob", "GET", "/by-id/gpt-4o")["is_active"] is False


def test_a_grantee_removes_a_model_from_their_list(demo):
    model_id = register(demo, "bob")
    demo.ask("bob", "PUT", f"/{model_id}/grants/users/3", {})
    page = demo.open("carol")
    page.evaluate("document.querySelector('model-registry').setAttribute('user-id', '3')")
    held = hold(page, "**/grants/users/3", "DELETE")

    choose(page, "gpt-4o", "Remove from my list…").get_by_role("button", name="Remove").click()
    until(page, held)
    demo.ask("bob", "DELETE", f"/{model_id}/grants/users/3")
    held.pop().fulfill(status=204)

    expect(row(page, "gpt-4o")).to_have_count(0)
    expect(page.get_by_role("status").first).to_have_text("gpt-4o is removed from your list.")


def test_a_model_of_a_group_stays_and_the_page_says_why(demo):
    page = demo.open("bob")
    page.evaluate("document.querySelector('model-registry').setAttribute('user-id', '2')")
    page.route("**/grants/users/2", lambda route: route.fulfill(status=404))

    choose(page, "team-search", "Remove from my list…").get_by_role("button", name="Remove").click()

    expect(page.get_by_role("status").first).to_contain_text("shared with one of your groups")
    expect(row(page, "team-search")).to_be_visible()


@pytest.mark.parametrize(
    ("user", "name"),
    [(None, "team-search"), ("", "team-search"), ("2", "bobs-own"), ("2", "house-model")],
)
def test_only_a_grant_to_a_known_user_is_offered_for_removal(demo, user, name):
    page = demo.open("bob")
    page.evaluate(
        """(user) => {
          const element = document.querySelector("model-registry");
          element.removeAttribute("user-id");
          if (user !== null) element.setAttribute("user-id", user);
        }""",
        user,
    )
    page.get_by_label(f"More for {name}", exact=True).click()

    expect(row(page, name).get_by_role("button", name="Use as default…")).to_be_visible()
    expect(row(page, name).get_by_role("button", name="Remove from my list…")).to_have_count(0)


@pytest.fixture
def unsharing_owner(served):
    """Serve a page to the owner of a shared model who may not share any more."""
    host, address = served(add_pages('<model-registry token="{token}"></model-registry>'))
    host.user("alice", is_admin=True)
    with host.app.app_context():
        host.registry.create(**model(share_with_users=True), user=host.load("alice"))
        host.registry.create(**model(model_id="taken"), user=host.load("alice"))
        host.load("alice").is_admin = False
        host.db.session.commit()
    return host, f"{address}/page"


@pytest.mark.parametrize(
    ("name", "label", "change", "said"),
    [
        (
            "gpt-4o",
            "Base URL",
            {"base_url": "https://models.example.com/v1", "api_key": CANARY},
            "You need the right to share",
        ),
        ("taken", "Name", {"model_id": "gpt-4o"}, "This name is taken"),
    ],
    ids=["403", "409 at its field"],
)
def test_what_the_server_refuses_is_said_in_the_form(
    unsharing_owner, windows, name, label, change, said
):
    _, address = unsharing_owner
    page = windows(address)
    dialog = opened_edit(page, name)
    fill(dialog, **{label: next(iter(change.values())), "API_key": change.get("api_key", "")})

    dialog.get_by_role("button", name="Save").click()

    place = dialog.locator("[data-field=model_id] .error" if name == "taken" else "[role=alert]")
    expect(place).to_contain_text(said)
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    expect(dialog).to_have_count(0)


def test_what_the_server_refuses_in_a_row_is_said_in_the_row(demo):
    register(demo, "bob", base_url=LOOKALIKE)
    demo.ask("bob", "PATCH", "/by-id/gpt-4o", {"is_active": False})
    page = demo.open("bob")
    held = hold(page, "**/api/models/*", "PATCH")

    page.get_by_role("button", name="Switch on gpt-4o").click()
    page.get_by_role("dialog").get_by_role("button", name="Switch on").click()
    until(page, held)
    held.pop().fulfill(status=403, body=json.dumps({"detail": "You need permission."}))

    expect(row(page, "gpt-4o").locator(".result")).to_have_text("You need permission.")
    expect(row(page, "gpt-4o")).to_contain_text("Switched off")
