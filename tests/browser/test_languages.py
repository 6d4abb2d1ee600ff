"""The page in other languages, with words of the host and written from right to left."""

import pytest
from playwright.sync_api import expect

from tests.browser.page import add_pages, opened_form
from tests.hosts import model

WORDS = {
    "de": ("Modelle", "Modell registrieren", "Bitte ausfüllen."),
    "de-AT": ("Modelle", "Modell registrieren", "Bitte ausfüllen."),
    "fr": ("Modèles", "Enregistrer un modèle", "À remplir."),
    "es": ("Modelos", "Registrar un modelo", "Rellene este campo."),
    "zh-Hans": ("模型", "注册模型", "请填写此项。"),
    "xx": ("Models", "Register a model", "Fill this in."),
    "no such language": ("Models", "Register a model", "Fill this in."),
}


@pytest.fixture
def opened(served, windows):
    """Open a page with attributes of the element, and a script of the host's."""

    def open_page(attributes, script="", **options):
        element = f'<model-registry token="{{token}}" {attributes}></model-registry>'
        host, address = served(add_pages(element, script))
        with host.app.app_context():
            host.registry.create(**model(), user=host.load("alice"))
            host.db.session.commit()
        page = windows(f"{address}/page", **options)
        page.locator("model-registry h3").first.wait_for()
        return page

    return open_page


@pytest.mark.parametrize(("lang", "words"), WORDS.items(), ids=[*WORDS])
def test_the_page_speaks_the_language_around_it(opened, lang, words):
    page = opened(f'lang="{lang}"')
    heading, button, missing = words

    expect(page.locator("model-registry h2")).to_have_text(heading)
    page.get_by_role("button", name=button).click()
    page.locator("dialog [data-field=api_key] input").focus()
    page.keyboard.press("Tab")
    expect(page.locator("[data-field=api_key] .error")).to_have_text(missing)


def test_errors_and_numbers_are_of_the_language(opened):
    page = opened('lang="de"')
    body = '{"type": "urn:problem-type:model-registry:unavailable", "title": "English"}'
    page.route("**/test", lambda route: route.fulfill(status=503, body=body))
    page.get_by_role("button", name="Testen: gpt-4o").click()
    expect(page.locator(".result")).to_have_text("Der Dienst ist im Moment nicht verfügbar.")

    page.unroute_all()
    body = '{"result": "timeout", "latency_ms": 10000}'
    page.route("**/test", lambda route: route.fulfill(status=200, body=body))
    page.get_by_role("button", name="Testen: gpt-4o").click()
    expect(page.locator(".result")).to_have_text("Keine Antwort innerhalb der Zeit (10.000 ms).")


def test_a_host_says_it_in_its_own_words(opened):
    script = """document.querySelector("model-registry").texts = {
      models: "AI <b>models</b>", kinds: { general: "Chat" } };"""
    page = opened("", script)

    expect(page.locator("model-registry h2")).to_have_text("AI <b>models</b>")
    page.get_by_role("button", name="Defaults").click()
    expect(page.get_by_role("dialog").get_by_role("listitem").first).to_contain_text("Chat")
    expect(page.get_by_role("dialog")).to_contain_text("Small and fast")


def test_from_right_to_left_nothing_is_cut(opened, axe):
    page = opened('dir="rtl" lang="ar"', viewport={"width": 390, "height": 844})
    narrow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(narrow)
    name = page.locator("model-registry h3")
    align = "(node) => getComputedStyle(node).textAlign + getComputedStyle(node).direction"
    assert name.evaluate(align) == "rightltr"  # at the edge of the others, in its own direction
    page.locator("summary").first.click()
    assert page.locator(".menu").bounding_box()["x"] >= 0
    page.keyboard.press("Escape")

    dialog = opened_form(page)
    expect(dialog.get_by_label("Address")).to_have_attribute("dir", "ltr")
    assert axe(page) == []


def test_parts_take_the_style_of_the_host(opened):
    page = opened("")
    page.evaluate(
        """() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync("model-registry::part(model) { padding-block: 2px; }");
          document.adoptedStyleSheets.push(sheet);
        }"""
    )

    padding = page.locator(".models > li").first.evaluate(
        "(node) => getComputedStyle(node).padding"
    )
    assert padding.startswith("2px")
