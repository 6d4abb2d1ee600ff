"""Registering in one breath: a provider, a key or a credential, models, done."""

import json

import pytest
from playwright.sync_api import expect

from tests.accounts import AWS
from tests.browser.page import choose_provider, fill, hold, opened_form, row, until
from tests.hosts import CANARY

KEY = "demo-key"
MANY = ["one", "two", "three", "four", "five", "six"]


class Person:
    """A user who only clicks and types; counts the clicks."""

    def __init__(self, page):
        self.page, self.clicks = page, 0

    def click(self, role, name):
        self.clicks += 1
        self.page.locator("model-registry").get_by_role(role, name=name, exact=True).click()
        if name == "Register a model":
            form_of(self.page).wait_for()

    def type(self, text):
        for each in text.split("⏎"):
            self.page.keyboard.type(each)
            if each != text.split("⏎")[-1]:
                self.page.keyboard.press("Enter")


@pytest.fixture
def person(demo):
    return Person(demo.open("bob"))


@pytest.fixture
def account(demo):
    """A credential of bob at the stand-in."""
    body = {"name": "Team", "model_provider": "stand-in", "secret": {"api_key": KEY}}
    return demo.ask("bob", "POST", "/credentials", body)


def serve(page, names):
    body = json.dumps({"models": names})
    page.route("**/providers/*/models", lambda route: route.fulfill(status=200, body=body))


def offered(dialog):
    return dialog.get_by_role("listbox", name="Models").get_by_role("option")


def form_of(page):
    return page.get_by_role("dialog", name="Register a model")


def test_one_model_takes_three_clicks(person, demo):
    person.click("button", "Register a model")
    person.type(f"stand⏎{KEY}")
    person.click("option", "demo-small")
    person.click("button", "Register")

    expect(row(person.page, "demo-small")).to_be_visible()
    assert person.clicks == 3
    assert demo.ask("bob", "GET", "/credentials") == []  # the key is the model's own


def test_five_models_of_one_account_take_eight_clicks_at_most(person, demo):
    page = person.page
    serve(page, MANY)
    answer = json.dumps({"result": "ok"})
    page.route("**/test-connection", lambda route: route.fulfill(status=200, body=answer))

    person.click("button", "Register a model")
    person.type(f"stand⏎{KEY}")
    for name in MANY[:5]:
        person.click("option", name)
    person.click("button", "Register")

    expect(page.get_by_role("status").first).to_have_text("5 models are registered.")
    assert person.clicks == 7
    (credential,) = demo.ask("bob", "GET", "/credentials")
    assert credential["name"] == "Stand-in (this server)"
    for name in MANY[:5]:
        model = demo.ask("bob", "GET", f"/by-id/{name}")
        state = demo.ask("bob", "GET", f"/{model['id']}/credential")
        assert (model["model_name"], state["credential"]) == (name, credential["id"])


def test_a_credential_is_chosen_at_first_and_asks_for_no_key(account, person, demo):
    person.click("button", "Register a model")
    expect(form_of(person.page).get_by_label("Credential", exact=True)).to_have_value(
        str(account["id"])
    )
    expect(form_of(person.page).get_by_label("API key")).to_be_hidden()
    person.click("option", "demo-large")
    person.click("button", "Register")

    expect(row(person.page, "demo-large")).to_be_visible()
    assert person.clicks == 3
    model_id = demo.ask("bob", "GET", "/by-id/demo-large")["id"]
    assert demo.ask("bob", "GET", f"/{model_id}/credential")["credential"] == account["id"]


def test_a_model_of_a_cloud_is_registered_without_a_test(person, demo):
    body = {"name": "Bedrock", **AWS}
    account = demo.ask("bob", "POST", "/credentials", body)
    asked = []
    person.page.on("request", lambda request: asked.append(request.url))

    person.click("button", "Register a model")
    fill(form_of(person.page), Model="amazon.nova-lite-v1:0")
    person.click("button", "Register")

    expect(row(person.page, "amazon.nova-lite-v1:0")).to_be_visible()
    assert not [url for url in asked if url.endswith(("/served-models", "/test"))]
    model = demo.ask("bob", "GET", "/by-id/amazon.nova-lite-v1:0")
    assert demo.ask("bob", "GET", f"/{model['id']}/credential")["credential"] == account["id"]
    person.page.get_by_label("More for amazon.nova-lite-v1:0", exact=True).click()
    line = row(person.page, "amazon.nova-lite-v1:0")
    line.get_by_role("button", name="Details and code…").click()
    place = "https://bedrock-runtime.eu-central-1.amazonaws.com"
    expect(person.page.get_by_role("dialog").locator("dl")).to_contain_text(place)


def test_another_key_can_be_typed_beside_a_credential(account, demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    dialog.get_by_label("Credential", exact=True).select_option("A new API key")
    fill(dialog, API_key=KEY)
    for name in ("demo-large", "demo-small"):
        dialog.get_by_role("option", name=name).click()
    expect(dialog.get_by_label("Name of the credential")).to_have_value("Stand-in (this server)")
    fill(dialog, Name_of_the_credential="Team")
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog.locator("[data-field=name] .error")).to_contain_text("with this name")

    fill(dialog, Name_of_the_credential="Mine")
    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(page.get_by_role("status").first).to_have_text("2 models are registered.")
    names = [each["name"] for each in demo.ask("bob", "GET", "/credentials")]
    assert names == ["Team", "Mine"]


def test_names_are_filled_in_and_editable(account, demo):
    demo.ask("bob", "POST", f"/credentials/{account['id']}/models",
             {"models": [{"model_id": "demo-small", "model_name": "demo-small"}]})  # fmt: skip
    page = demo.open("bob")
    dialog = opened_form(page)
    dialog.get_by_role("option", name="demo-large").click()
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("demo-large")
    dialog.get_by_role("option", name="demo-small").click()
    names = dialog.get_by_role("group", name="Names")
    expect(names.get_by_label("demo-small")).to_have_value("demo-small")

    names.get_by_label("demo-large").fill("big")
    dialog.get_by_role("button", name="Register", exact=True).click()
    fault = names.locator(".field", has=page.get_by_label("demo-small")).locator(".error")
    expect(fault).to_contain_text("This name is taken")
    expect(names.get_by_label("demo-large")).to_have_value("big")
    names.get_by_label("demo-small").fill("not a name")
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(fault).to_contain_text("beginning with a letter")
    names.get_by_label("demo-small").fill("small")
    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(page.get_by_role("status").first).to_have_text("2 models are registered.")
    assert {"big", "small", "demo-small"} <= {*demo.names("bob")}


def test_a_model_that_is_not_listed_is_typed(account, demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    model = dialog.get_by_label("Model", exact=True)
    expect(offered(dialog)).to_have_count(3)
    model.fill("small")
    expect(offered(dialog)).to_have_text(["demo-small", "Use “small”"])
    dialog.get_by_role("option", name="Use “small”").click()
    model.fill("large")
    dialog.get_by_role("option", name="demo-large").click()

    expect(dialog.locator("[data-field=model_name]")).to_contain_text("3 models · 2 chosen")
    model.fill("")
    expect(
        dialog.get_by_role("listbox", name="Models").get_by_role("option", selected=True)
    ).to_have_text(["small", "demo-large"])


def test_what_the_test_finds_stands_in_the_way_until_the_user_says_so(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    fill(dialog, Model="demo-small", API_key=CANARY, Name="wrong")
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("The provider refuses the API key")
    assert "wrong" not in demo.names("bob")

    fill(dialog, Description="changed")  # which is another registration
    expect(dialog.get_by_role("button", name="Register", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Register", exact=True).click()
    dialog.get_by_role("button", name="Register anyway").click()

    expect(row(page, "wrong")).to_be_visible()


def test_models_that_fail_leave_the_credential_and_nothing_is_made_twice(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    fill(dialog, API_key=KEY)
    for name in ("demo-large", "demo-small"):
        dialog.get_by_role("option", name=name).click()
    held = hold(page, "**/credentials/*/models", "POST")
    dialog.get_by_role("button", name="Register", exact=True).click()
    until(page, held)
    held.pop().abort()
    expect(dialog.get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/credentials/*/models")

    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(page.get_by_role("status").first).to_have_text("2 models are registered.")
    assert len(demo.ask("bob", "GET", "/credentials")) == 1


def test_a_half_typed_address_gets_no_key(demo):
    page = demo.open("bob")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/models" in request.url else 0)
    dialog = opened_form(page)
    choose_provider(dialog, "vllm")
    address = dialog.get_by_label("Base URL", exact=True)
    address.press_sequentially("https://vllm.example.co", delay=20)
    page.wait_for_timeout(1000)
    assert [url for url in asked if "/providers/" in url and url.endswith("/models")] == []

    address.press_sequentially("m/v1")
    address.press("Tab")

    expect(offered(dialog)).to_have_text(["gpt-4o"])


def test_what_one_key_listed_is_not_offered_to_another(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    fill(dialog, API_key="k")
    expect(dialog.get_by_role("option", name="gpt-4o")).to_be_visible()
    held = hold(page, "**/providers/groq/models", "POST")
    choose_provider(dialog, "groq")
    expect(offered(dialog)).to_have_count(0)
    fill(dialog, API_key="k2")
    until(page, held)
    choose_provider(dialog, "openai")

    held.pop().fulfill(status=200, body=json.dumps({"models": ["late"]}))
    page.wait_for_timeout(300)

    expect(dialog.get_by_role("option", name="late")).to_have_count(0)


def test_providers_are_found_by_name_and_alias_and_come_in_order(account, demo):
    dialog = opened_form(demo.open("bob"))
    provider = dialog.get_by_label("Provider", exact=True)
    found = dialog.get_by_role("listbox", name="Providers").get_by_role("option")
    expect(provider).to_have_value("Stand-in (this server)")  # of the newest credential
    provider.click()
    expect(found.nth(0)).to_have_text("Stand-in (this server)")
    expect(found.nth(1)).to_have_text("OpenAI")

    provider.fill("claude")
    expect(found).to_have_text(["Anthropic", "Another"])
    provider.press("Escape")
    expect(found).to_have_count(0)
    expect(dialog).to_be_visible()
    provider.blur()
    expect(provider).to_have_value("Stand-in (this server)")

    dialog.get_by_label("Category").select_option("rerank")
    provider.fill("v")
    expect(found.nth(0)).to_have_text("Voyage AI")
    expect(found.nth(1)).to_have_text("vLLM")  # before Vercel, which has none


def test_a_duplicate_has_the_fields_and_the_credential_of_the_other(account, demo):
    models = [{"model_id": "first", "model_name": "demo-large", "temperature": 0.5,
               "abilities": ["chat"], "description": "Good"}]  # fmt: skip
    demo.ask("bob", "POST", f"/credentials/{account['id']}/models", {"models": models})
    newer = {"name": "Newer", "model_provider": "stand-in", "secret": {"api_key": KEY}}
    demo.ask("bob", "POST", "/credentials", newer)
    page = demo.open("bob")
    page.get_by_label("More for first", exact=True).click()
    row(page, "first").get_by_role("button", name="Duplicate…").click()
    dialog = form_of(page)
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("first-2")
    expect(dialog.get_by_label("Credential", exact=True)).to_have_value(str(account["id"]))

    fill(dialog, Name="second", Model="demo-small")
    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(row(page, "second")).to_be_visible()
    one, other = (demo.ask("bob", "GET", f"/by-id/{name}") for name in ("first", "second"))
    assert {**other, "model_id": "first", "model_name": "demo-large"} == {
        **one,
        **{name: other[name] for name in ("id", "created_at", "updated_at")},
    }


def test_a_duplicate_of_a_model_with_its_own_key_asks_for_one(account, demo):
    page = demo.open("bob")
    page.get_by_label("More for bobs-own", exact=True).click()
    row(page, "bobs-own").get_by_role("button", name="Duplicate…").click()

    expect(form_of(page).get_by_label("Credential", exact=True)).to_have_value("")
    expect(form_of(page).get_by_label("API key", exact=True)).to_be_visible()


@pytest.mark.parametrize(("name", "who"), [("bobs-own", "owner"), ("team-search", "colleague")])
def test_an_edit_asks_and_tests_with_the_stored_key(demo, name, who):
    page = demo.open("bob")
    page.get_by_role("button", name=f"Edit {name}").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Ask the provider").click()
    expect(offered(dialog)).to_have_text(["demo-large", "demo-small", "demo-embedding"])

    offered(dialog).nth(0).click()
    expect(dialog.get_by_label("Model", exact=True)).to_have_value("demo-large")
    dialog.get_by_role("button", name="Test connection").click()
    expect(dialog.get_by_role("status")).to_contain_text("Works")
    fill(dialog, Model="no-such")
    dialog.get_by_role("button", name="Test connection").click()

    expect(dialog.get_by_role("status")).to_contain_text("does not have this model")


def test_an_edit_says_which_credential_a_model_uses(account, demo):
    models = [{"model_id": "first", "model_name": "demo-large"}]
    demo.ask("bob", "POST", f"/credentials/{account['id']}/models", {"models": models})
    page = demo.open("bob")
    page.get_by_role("button", name="Edit first").click()

    expect(page.get_by_role("dialog")).to_contain_text("It uses the credential Team.")


CONTRASTS = """(nodes) => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (color) => {
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((each) => {
      const share = each / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return nodes.map((node) => {
    const { color, backgroundColor } = getComputedStyle(node);
    const [low, high] = [luminance(color), luminance(backgroundColor)].toSorted((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  });
}"""


def test_each_provider_has_a_mark_that_only_eyes_see(person):
    person.click("button", "Register a model")
    form_of(person.page).get_by_label("Provider", exact=True).click()
    offered = form_of(person.page).get_by_role("listbox", name="Providers").get_by_role("option")
    marks = offered.locator("[aria-hidden=true]")

    assert marks.count() == offered.count() > 30
    expect(offered.first).to_have_accessible_name("OpenAI")
    initials = marks.evaluate_all("(nodes) => nodes.map((node) => node.dataset.initials)")
    assert initials[:3] == ["OA", "An", "GG"]
    drawn = "(node) => getComputedStyle(node, '::before').content"
    assert '"OA"' in marks.first.evaluate(drawn)
    hues = marks.evaluate_all(
        "(nodes) => nodes.map((node) => node.style.getPropertyValue('--hue'))"
    )
    assert len({*hues}) > 20
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme=scheme)
        assert min(marks.evaluate_all(CONTRASTS)) > 4.5


def test_what_is_typed_beside_what_is_chosen_is_not_dropped(account, demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    model = dialog.get_by_label("Model", exact=True)
    dialog.get_by_role("option", name="demo-small").click()

    model.fill("demo-x")
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog.get_by_text("“demo-x” is not chosen.")).to_be_visible()
    expect(model).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("2 chosen")).to_be_visible()
    expect(dialog.get_by_text("“demo-x” is not chosen.")).to_have_count(0)
    model.fill("demo-large")  # which the provider serves
    dialog.get_by_role("button", name="Register", exact=True).click()
    register_anyway = dialog.get_by_role("button", name="Register anyway")
    register_anyway.click()

    expect(dialog).to_have_count(0)
    assert {"demo-small", "demo-x", "demo-large"} <= set(demo.names("bob"))


def test_a_search_that_led_to_a_choice_is_no_model(account, demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    dialog.get_by_label("Model", exact=True).fill("smal")
    dialog.get_by_role("option", name="demo-small").click()

    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(row(page, "demo-small")).to_be_visible()
    assert "smal" not in demo.names("bob")


def test_the_list_of_models_is_no_stop_and_leaving_it_no_fault(account, demo):
    page = demo.open("bob")
    page.route(
        "**/served-models",
        lambda route: route.fulfill(json={"models": [f"m-{i}" for i in range(50)]}),
    )
    dialog = opened_form(page)
    model = dialog.get_by_label("Model", exact=True)
    expect(offered(dialog)).to_have_count(50)
    expect(dialog.get_by_text("Choose one or several.")).to_be_visible()

    model.focus()
    page.keyboard.press("Tab")

    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    expect(dialog.get_by_text("Fill this in.")).to_have_count(0)


def test_a_provider_is_found_whatever_stands_between_its_words(demo):
    dialog = opened_form(demo.open("bob"))
    provider = dialog.get_by_label("Provider", exact=True)
    for typed in ("openai comp", "OpenAI-Comp", "openai_comp"):
        provider.fill(typed)
        expect(dialog.get_by_role("option").first).to_have_text("OpenAI-compatible")

    provider.fill("openai compatible")
    provider.press("Tab")
    expect(provider).to_have_value("OpenAI-compatible")


def test_no_models_are_asked_for_without_a_provider(demo):
    page = demo.open("bob")
    dialog = opened_form(page)
    choose_provider(dialog, "Another")
    fill(dialog, Base_URL="https://host.example/v1", API_key="typed")
    requests = []
    page.on("request", lambda request: requests.append(request.url))

    dialog.get_by_role("button", name="Ask the provider for its models").click()

    expect(dialog.get_by_role("alert")).to_have_text("Some fields are not valid.")
    expect(dialog.locator("[data-field=model_provider]:visible .error").last).to_have_text(
        "Fill this in."
    )
    assert requests == []
