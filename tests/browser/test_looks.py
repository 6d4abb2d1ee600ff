"""What the page looks like and how it reads, at three widths, light and dark."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ARTEFACTS
from tests.browser.page import choose, choose_provider, fill, opened_form, row

WIDTHS = (390, 800, 1400)


def give(demo):
    """Leave alice a model that is switched off and called at a URL that is not OpenAI's."""
    fields = {
        "model_id": "gift",
        "model_provider": "openai",
        "model_name": "gpt-4o",
        "api_key": "k",
    }
    url = "https://api.openai.com.models.example.com/team/v1"
    model_id = demo.ask("alice", "POST", "/register", {**fields, "base_url": url})["id"]
    demo.ask("alice", "PATCH", f"/{model_id}", {"is_active": False})
    demo.ask("alice", "PUT", f"/{model_id}/grants/users/2", {})
    demo.ask("alice", "PUT", f"/{model_id}/grants/groups/research", {})


def a_list(page):
    expect(row(page, "house-model")).to_be_visible()


def a_tested_model(page):
    page.get_by_role("button", name="Test house-model").click()
    expect(row(page, "house-model").locator(".result")).to_contain_text("Works")


def a_menu(page):
    page.get_by_label("More for team-search").click()


def nothing_found(page):
    page.get_by_role("searchbox").fill("no such model")
    expect(page.locator(".empty")).to_be_visible()


def a_form(page):
    opened_form(page)


def providers(page):
    dialog = opened_form(page)
    dialog.get_by_label("Provider", exact=True).fill("a")
    expect(dialog.get_by_role("listbox", name="Providers")).to_be_visible()


def several_models(page):
    dialog = opened_form(page)
    choose_provider(dialog, "stand-in")
    fill(dialog, API_key="demo-key")
    for name in ("demo-large", "demo-small"):
        dialog.get_by_role("option", name=name).click()


def credentials(page):
    several_models(page)
    page.get_by_role("dialog").get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Credentials").click()
    page.get_by_role("button", name="New key…").click()


def details(page):
    page.get_by_label("More for house-model", exact=True).click()
    row(page, "house-model").get_by_role("button", name="Details and code…").click()
    page.get_by_role("dialog", name="house-model").wait_for()


def faults(page):
    dialog = opened_form(page)
    dialog.get_by_role("button", name="Register", exact=True).click()
    dialog.get_by_text("Some fields are not valid.").wait_for()


def an_embedding(page):
    page.get_by_role("button", name="Edit team-search").click()
    expect(page.get_by_role("dialog").get_by_label("Dimension")).to_have_value("1024")


def sharing(page):
    dialog = choose(page, "team-search", "Share…")
    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("Group research")


def defaults(page):
    dialog = choose(page, "house-model", "Use as default…")
    expect(dialog.get_by_role("listitem").first).to_contain_text("house-model")


def several(page):
    for box in page.locator("model-registry .models input[type=checkbox]").all():
        box.check()


def defaults_to_choose(page):
    page.get_by_role("button", name="Defaults").click()
    page.get_by_label("General", exact=True).click()
    expect(page.get_by_role("option", name="house-model")).to_be_visible()


def people(page):
    dialog = choose(page, "team-search", "Share…")
    dialog.get_by_label("Who", exact=True).click()
    expect(dialog.get_by_role("option", name="carol")).to_be_visible()


def exchange(page):
    page.get_by_role("button", name="Import/export").click()
    page.get_by_role("dialog", name="Import/export").wait_for()


def what_can_be_undone(page):
    choose(page, "team-search", "Switch off")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


def a_question(page):
    choose(page, "house-model", "Delete…").wait_for()


def a_gift(page):
    page.get_by_role("button", name="Edit gift").wait_for()


def a_gift_in_the_form(page):
    page.get_by_role("button", name="Edit gift").click()
    access = page.locator("[data-field=api_key]")
    expect(access).to_contain_text("People with access: 1 user, 1 group (bob, group research).")


def a_gift_to_accept(page):
    page.get_by_role("button", name="Switch on gift").click()
    page.get_by_role("dialog", name="Switch on gift?").wait_for()


GIFTS = [a_gift, a_gift_in_the_form, a_gift_to_accept]
STATES = [
    a_list,
    a_tested_model,
    a_menu,
    nothing_found,
    a_form,
    providers,
    several_models,
    credentials,
    details,
    faults,
    an_embedding,
    sharing,
    defaults,
    defaults_to_choose,
    people,
    exchange,
    what_can_be_undone,
    a_question,
    several,
    *GIFTS,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_state_is_accessible_and_fits(demo, axe, state):
    if state in GIFTS:
        give(demo)
    page = demo.open("alice", color_scheme="light", reduced_motion="reduce")
    state(page)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)

    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        # Colors are the same at each width.
        for scheme in ("dark", "light") if width == WIDTHS[-1] else ("light",):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=ARTEFACTS / f"{state.__name__}-{scheme}-{width}.png")

            assert axe(page) == [], (width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_check_sees_what_is_not_accessible(demo, axe):
    page = demo.open("alice")

    page.evaluate("document.querySelector('main').append(document.createElement('button'))")

    assert [name for name, _ in axe(page)] == ["button-name"]


def test_the_host_chooses_colors_and_keeps_its_own_style(demo):
    page = demo.open("alice")

    page.evaluate(
        """() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(`
            model-registry { --model-registry-accent: rgb(1, 2, 3); color-scheme: dark; }
            button { letter-spacing: 9px; }`);
          document.adoptedStyleSheets.push(sheet);
        }"""
    )

    style = page.get_by_role("button", name="Register a model").evaluate(
        "(node) => [getComputedStyle(node).backgroundColor, getComputedStyle(node).letterSpacing]"
    )
    surface = page.locator("model-registry section").evaluate(
        "(node) => getComputedStyle(node).backgroundColor"
    )
    assert style == ["rgb(1, 2, 3)", "normal"]
    assert surface == "rgb(22, 24, 29)"
