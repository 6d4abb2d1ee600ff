"""The page in other languages, with words of the host and written from right to left."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ARTEFACTS, ROOT
from tests.browser.page import add_pages, opened_form
from tests.doc_runner import text_of
from tests.hosts import model

LOOKS = text_of(ROOT / "docs" / "front-end.md", "The page for users")
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
            host.registry.create(**model(abilities=["chat"]), user=host.load("alice"))
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


def marks(node):
    return [node.get_attribute(name) for name in ("lang", "dir")]


def test_english_is_marked_where_another_language_is_around_it(opened):
    page = opened('dir="rtl" lang="ar" heading="نماذج"')
    section = page.locator("model-registry section")
    assert marks(section) == ["en", "ltr"]
    assert marks(page.locator("model-registry h2")) == ["ar", "auto"]  # which is the host's
    page.get_by_role("button", name="Test gpt-4o").click()
    expect(page.locator(".result")).to_have_text("Works (1 ms).")  # in digits of English
    dialog = opened_form(page)
    assert marks(dialog) == ["en", "ltr"]
    page.keyboard.press("Escape")

    page.evaluate("document.querySelector('model-registry').texts = { models: 'نماذج' }")
    expect(page.locator("model-registry section[lang]")).to_have_count(0)
    page.evaluate("document.querySelector('model-registry').texts = {}")
    expect(page.locator("model-registry section[lang=en]")).to_have_count(1)
    page.evaluate("document.querySelector('model-registry').lang = 'de'")
    expect(page.locator("model-registry section[lang]")).to_have_count(0)


def test_from_right_to_left_nothing_is_cut(opened, axe):
    script = 'document.querySelector("model-registry").texts = { search: "بحث" };'
    page = opened('dir="rtl" lang="ar"', script, viewport={"width": 390, "height": 844})
    narrow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(narrow)
    name = page.locator("model-registry h3")
    align = "(node) => getComputedStyle(node).textAlign + getComputedStyle(node).direction"
    assert name.evaluate(align) == "rightltr"  # at the edge of the others, in its own direction
    page.locator("summary").first.click()
    assert page.locator(".menu").bounding_box()["x"] >= 0
    page.keyboard.press("Escape")

    dialog = opened_form(page)
    dialog.get_by_label("Provider", exact=True).click()
    option = dialog.get_by_role("option", name="Anthropic")
    mark, label = (option.locator(each).bounding_box() for each in (".mark", ".mark + span"))
    assert mark["x"] > label["x"] + label["width"] / 2  # it begins with the mark, on the right
    page.keyboard.press("Escape")
    expect(dialog.get_by_label("Base URL")).to_have_attribute("dir", "ltr")
    assert axe(page) == []


LOOKED_AT = ["de", "fr", "es", "zh", "ar"]


@pytest.mark.parametrize("lang", LOOKED_AT)
def test_each_language_fits_a_narrow_window(opened, axe, lang):
    attributes = f'lang="{lang}"' + (' dir="rtl"' if lang == "ar" else "")
    own = "document.querySelector('model-registry').texts = { search: 'بحث', models: 'نماذج' };"
    page = opened(attributes, own if lang == "ar" else "", viewport={"width": 360, "height": 900})
    narrow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.locator("model-registry input[type=checkbox]").last.check()
    page.get_by_role("group").first.wait_for()
    for state in ("list", "form"):
        if state == "form":
            page.locator("model-registry header button.primary").click()
            page.get_by_role("dialog").wait_for()
            page.locator("model-registry dialog details > summary").click()
        page.screenshot(path=ARTEFACTS / f"{lang}-{state}.png", full_page=True)
        assert page.evaluate(narrow)
        assert axe(page) == []


def test_parts_take_the_style_of_the_host(opened):
    page = opened("")
    opened_form(page)
    (section,) = re.findall(
        r"^You can give any style to these parts: (.*?)\. ", LOOKS, re.DOTALL | re.MULTILINE
    )
    parts = re.findall(r"`([a-z]+)`", section)
    assert len(parts) == 12

    page.evaluate(
        """(parts) => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(parts.map((part, i) => `model-registry::part(${part}) { order: ${i + 1}; }`).join(""));
          document.adoptedStyleSheets.push(sheet);
        }""",
        parts,
    )

    orders = "(nodes) => nodes.map((node) => Number(getComputedStyle(node).order))"
    for number, part in enumerate(parts, 1):
        assert number in page.locator(f"[part~={part}]").evaluate_all(orders), part


def test_headings_are_below_one_of_the_first_level(opened):
    page = opened("")
    levels = "(node) => [...node.shadowRoot.querySelectorAll('h1, h2, h3, h4')].map(({ localName }) => localName)"
    assert page.locator("model-registry").evaluate(levels) == ["h2", "h3"]

    opened_form(page)
    assert page.locator("model-registry").evaluate(levels) == ["h2", "h3", "h2"]


def test_no_kind_of_whom_a_model_is_shared_with_is_cut(opened):
    script = "document.querySelector('model-registry').groups = ['ops'];"
    page = opened('lang="de"', script, viewport={"width": 390, "height": 800})
    page.get_by_label("Mehr zu gpt-4o").click()
    page.get_by_role("button", name="Teilen …").click()
    kind = page.get_by_label("Mit", exact=True)
    kind.select_option("Einer Gruppe")

    widths = kind.evaluate(
        """(select) => {
          const shown = select.offsetWidth;
          select.style.setProperty("width", "max-content");
          return [select.offsetWidth, shown];
        }"""
    )

    assert widths[0] <= widths[1]


@pytest.mark.parametrize("lang", ["de", "fr", "es", "en", "zh"])
def test_dots_are_set_alike_in_a_language(lang):
    folder = ROOT / "flask_model_registry" / "web" / "static"
    texts = "".join((folder / f"{lang}{kind}.js").read_text() for kind in ("", "_dialogs"))

    assert len({before.isspace() for before in re.findall("(.)…", texts)}) == 1
