"""The documentation names all that is public, and its links lead somewhere."""

import inspect
import os
import re
from urllib.parse import urlsplit
from xml.etree import ElementTree

import click
import pytest

import flask_model_registry
from flask_model_registry import errors, signals
from flask_model_registry.cli import model_registry
from flask_model_registry.config import _NAMES, Settings
from flask_model_registry.db.declare import Tables
from flask_model_registry.providers.apis import DIALECTS
from flask_model_registry.providers.app_providers import Catalogue
from flask_model_registry.providers.base_urls import AddressPolicy, parse_base_url
from flask_model_registry.providers.catalogue import PROVIDERS
from flask_model_registry.web.views import ROUTES
from tests.doc_runner import ROOT, blocks
from tests.doc_runner import text_of as section_of
from tests.hosts import CANARY
from tests.texts import DOCS, OPERATIONS, TEXTS

PUBLIC = {name: getattr(flask_model_registry, name) for name in flask_model_registry.__all__}
CLASSES = {name: each for name, each in PUBLIC.items() if inspect.isclass(each)}
ERRORS = {
    name: each
    for name, each in vars(errors).items()
    if inspect.isclass(each) and issubclass(each, errors.RegistryError)
}
COMMANDS = model_registry.commands
# What is public only because our own modules call it.
INTERNAL = {
    "Filters": {"shape", "parameters"},
    "Provider": {"listing"},
    "ListApi": {"root", "completed", "url", "headers", "lists"},
}


OTHER_HOSTS = {
    *("host", "blinker.readthedocs.io", "docs.aws.amazon.com"),
    "api.together.xyz",  # where 0.1.0 called it
    *("api.cloudflare.com", "aiplatform.googleapis.com", "oauth2.googleapis.com"),
}


def text_of(name):
    return TEXTS[DOCS / name]


def members_of(each):
    """Return the public attributes that our code gives a class and its instances."""
    bases = [base for base in each.__bases__ if base.__module__.startswith("flask_model_registry")]
    inherited = set().union(*map(members_of, bases))
    own = {name for name in vars(each) if not name.startswith("_")} | inherited
    annotated = {name for name in inspect.get_annotations(each) if not name.startswith("_")}
    stored = set(
        re.findall(r"^ +self\.([a-z]\w*)(?:: .*)? = ", inspect.getsource(each), re.MULTILINE)
    )
    return own | annotated | stored


def is_documented(owner, name):
    """Return whether the reference has a heading or a row for a member, or a table of ``python.md``."""
    reference = text_of("reference.md")
    section = reference.partition(f"\n### {owner}\n")[2].partition("\n### ")[0]
    if owner == "ModelRegistry":
        section = reference.partition("\n## A resolved model\n")[0]
    is_row = re.search(rf"^\| `{name}` \| ", section, re.MULTILINE)
    is_heading = re.search(rf"^####? (\w+)\.{name}$", section, re.MULTILINE)
    tables = text_of("python.md") + text_of("http.md") + text_of("security.md")
    return (
        is_row
        or is_heading
        or re.search(rf"`(registry)?\.?{name}\b", tables)
        or (f"`{name}`" in section)
    )


@pytest.mark.parametrize("name", flask_model_registry.__all__)
def test_every_public_name_is_in_the_reference(name):
    if name == "signals":
        assert "`flask_model_registry.signals`" in text_of("python.md")
    else:
        assert re.search(rf"^###? {name}$", text_of("reference.md"), re.MULTILINE)
        assert inspect.getdoc(PUBLIC[name])


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_and_attribute_is_in_the_reference(name):
    members = members_of(CLASSES[name]) - INTERNAL.get(name, set())

    assert {each for each in members if not is_documented(name, each)} == set()


def test_the_tables_that_hosts_may_read_are_in_the_reference():
    tables = [name for name in inspect.get_annotations(Tables) if name != "user_key"]

    assert [name for name in tables if f"`.{name}`" not in text_of("python.md")] == []


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_in_the_reference_with_its_status_and_code(name):
    if name == "RegistryError":
        return  # the base, which has none
    status = "502, 504" if name == "UpstreamError" else str(ERRORS[name].status)
    star = "" if name in PUBLIC else "*"

    row = f"| `{name}`{star} | {status} | `{ERRORS[name].code}` | "

    assert row in text_of("http.md")


CODES = [each.code for name, each in ERRORS.items() if name != "RegistryError"]
KINDS = re.findall(r"^#### (.*)$", text_of("deploy.md").partition("### All lines")[2], re.MULTILINE)


@pytest.mark.parametrize("code", CODES)
def test_every_error_code_has_a_heading_and_a_symptom(code):
    """tests/test_logs.py checks that each line of the log has a heading."""
    assert f"\n#### Error: `{code}`\n" in text_of("http.md")
    assert f"](http.md#error-{code})" in text_of("troubleshooting.md")


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_the_log_has_a_symptom(kind):
    anchor = kind.replace(",", "").replace(" ", "-")
    assert f"](deploy.md#{anchor})" in text_of("troubleshooting.md")


@pytest.mark.parametrize(
    "word",
    [
        *(
            "401",
            "409",
            "503",
            "507",
            "pagination",
            "permission",
            "celery",
            "thread",
            "CORS",
            "CSRF",
        ),
        *("docker", "failover", "ollama", "vault"),
        *(f"MODEL_REGISTRY_{name}" for name in _NAMES),
        *CODES,
    ],
)
def test_a_word_that_people_search_for_is_on_a_page(word):
    assert any(re.search(rf"\b{word}\b", text, re.IGNORECASE) for text in TEXTS.values())


def test_what_troubleshooting_quotes_is_said_somewhere():
    """By the package, or on the page that has the topic."""
    package = (ROOT / "flask_model_registry").rglob("*")
    sources = [each.read_text() for each in package if each.suffix in {".py", ".js"}]
    sources += [text for page, text in TEXTS.items() if page.name != "troubleshooting.md"]
    said = [" ".join(text.split()) for text in sources]

    symptoms = section_of(DOCS / "troubleshooting.md", "Find your symptom")
    quoted = re.findall(r'"([A-Z][^"]+?)[.]?"', " ".join(symptoms.split()))

    assert len(quoted) >= 7
    assert [each for each in quoted if not any(each in text for text in said)] == []


def test_every_setting_is_in_the_reference_with_its_default():
    rows = dict(
        re.findall(r"^\| `MODEL_REGISTRY_([A-Z_]+)` \|(.*?)\|", text_of("python.md"), re.MULTILINE)
    )
    defaults = Settings()

    assert {*rows} == {*_NAMES}
    for name, cell in rows.items():
        told = cell.strip()
        value = getattr(defaults, name.lower(), None)
        if name.startswith("ENCRYPTION_KEYS"):
            assert told in {"required", ""}
        else:
            assert told == f"`{[*value] if isinstance(value, frozenset) else value}`"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference_with_its_options(name):
    sections = re.split(r"^## ", text_of("cli.md"), flags=re.MULTILINE)
    (section,) = [each for each in sections if each.startswith(f"{name}\n")]
    told = re.findall(r"^\| `(--[a-z-]+)` \| (.*?) \|", section, re.MULTILINE)

    options = {
        each.opts[0]: each for each in COMMANDS[name].params if isinstance(each, click.Option)
    }

    assert {option for option, _ in told} == {*options}
    for option, default in told:
        if options[option].show_default:
            assert default.strip("`") == str(options[option].default)


def test_commands_and_options_that_pages_name_exist():
    for page, text in TEXTS.items():
        for command, rest in re.findall(r"flask model-registry ([a-z-]+)([^\n`|]*)", text):
            assert command in COMMANDS, page
            known = {option for each in COMMANDS[command].params for option in each.opts}
            assert {*re.findall(r"(?<=\s)--[a-z-]+", rest)} <= {*known, "--help"}, page


def test_calls_and_settings_that_pages_name_exist():
    for page, text in TEXTS.items():
        calls = {*re.findall(r"\bregistry\.(\w+)\(", text)}
        settings = {*re.findall(r"MODEL_REGISTRY_([A-Z][A-Z_]+)", text)}

        assert calls <= members_of(CLASSES["ModelRegistry"]), page
        assert settings <= {*_NAMES}, page


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_block_says_its_language(page):
    """No test would run those without one."""
    fences = re.findall(r"^ *```(.*)$", TEXTS[page], re.MULTILINE)

    assert len(fences) % 2 == 0
    assert [end for end in fences[1::2] if end] == []
    languages = {language for language in fences[::2] if not language.startswith("{")}
    assert languages <= {*"python pycon sh json yaml sql text html js ts vue css nginx".split()}


def test_every_signal_is_in_the_reference():
    section = section_of(DOCS / "python.md", "Signals")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.MULTILINE)
    told = {name.strip("`") for row in rows for name in row.split(", ")}

    assert {*signals.namespace} <= told
    assert {
        name for name, value in vars(signals).items() if value in signals.namespace.values()
    } == {*signals.namespace}


def test_every_route_is_in_the_reference():
    overview = text_of("http.md")
    for rule, views in ROUTES.values():
        path = re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule)
        assert f"`{path}`" in overview
        for method in views:
            row = next(row for row in overview.splitlines() if f"`{path}`" in row and method in row)
            assert row.startswith("| ")
            assert f"\n## `{method} {path}`\n" in TEXTS[OPERATIONS]


def test_the_operations_show_parameters_fields_and_statuses():
    text = TEXTS[OPERATIONS]
    register = text.partition("\n## `POST /register`\n")[2].partition("\n## ")[0]
    patch = text.partition("\n## `PATCH /{id}`\n")[2].partition("\n## ")[0]

    assert "| `model_name` | string; 1 to 255 characters | required |" in register
    assert (
        '| `category` | string; `llm`, `embedding`, `image`, `speech`, `rerank` | `"llm"` |'
        in register
    )
    assert "| `temperature` | number; 0 to 2; or null | `null` |" in register
    assert "Returns 201 Created with [ModelRepresentation](#modelrepresentation)" in register
    assert "Errors: 400, 401, 403, 405, 409, 413, 415, 422, 503, 507." in register
    assert "\nRegister a model.\nIts `operationId` is `registerModel`.\n" in register
    assert "| `If-Match` | header | string |  | The `ETag` that you expect. " in patch
    assert "| unchanged | Only for category image or llm. |" in patch
    assert "\n\nOmitted fields stay, and null clears a field. " in patch
    assert (
        "| `category` | string; `llm`, `embedding`, `image`, `speech`, `rerank` | unchanged |"
        in patch
    )
    assert (
        len(
            re.findall(
                r"^\| `\w+` \|",
                text.partition("### ModelRepresentation")[2].partition("###")[0],
                re.MULTILINE,
            )
        )
        == 17
    )


def test_the_table_of_providers_is_made_of_the_catalogue():
    """``TEST_PINS=write`` rewrites the table, as it does the pins."""
    path = DOCS / "providers.md"
    text = path.read_text()
    prose, table = text[: text.index("-->") + 3], "\n".join(table_of_providers())
    if os.environ.get("TEST_PINS") == "write":
        path.write_text(f"{prose}\n{table}\n")

    assert path.read_text() == f"{prose}\n{table}\n"


def table_of_providers():
    yield "| `model_provider` | other names | base URL | categories | list | kinds | API keys |"
    yield "|---|---|---|---|---|---|---|"
    for each in PROVIDERS:
        listing = ["any key"] * each.lists_to_anyone + ["partial"] * (not each.list_is_complete)
        cells = [
            f"`{each.id}`",
            ", ".join(f"`{alias}`" for alias in each.aliases),
            f"`{each.base_url}`" if each.base_url else "",
            ", ".join(each.categories),
            ", ".join(listing) if each.dialect else "none",
            ", ".join(f"`{kind}`" for kind in each.kinds) if each.kinds != ("key",) else "",
            f"[{each.name}]({each.keys_url})" if each.keys_url else each.name,
        ]
        yield "| " + " | ".join(cells) + " |"


def test_providers_without_a_base_url_have_an_example():
    """Or are the user's own servers, which have any URL."""
    section = text_of("providers.md").partition("### Base URLs of your own\n")[2]
    told = dict(re.findall(r"^\| `([\w-]+)` \| `(https://.*)` \|$", section, re.MULTILINE))
    own = [each for each in PROVIDERS if each.base_url is None and each.needs_key]

    assert {*told} == {each.id for each in own} - {"litellm", "openai-compatible"}
    for provider, url in told.items():
        AddressPolicy().check(parse_base_url(url.lower()))
        assert DIALECTS[Catalogue()[provider].dialect or "openai"].completed(url) == url


def slugs_of(text):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return {*plain, *re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_links_lead_to_pages_and_headings_that_exist(page):
    text = re.sub(r"^ *```.*?^ *```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if ":" in path:
            assert path.startswith("https://")
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked in TEXTS or linked.exists(), target
        assert not anchor or anchor in slugs_of(TEXTS[linked]), target


IMAGES = [
    (page, *image) for page in TEXTS for image in re.findall(r"!\[(.*)\]\((\S+)\)", TEXTS[page])
]
DRAWINGS = sorted((DOCS / "drawings").iterdir())


def test_every_image_is_described_in_words():
    assert [target for _, alt, target in IMAGES if len(alt) < 12] == []


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.stem)
def test_a_drawing_is_shown_and_legible_in_light_and_dark_and_on_a_phone(drawing):
    text = drawing.read_text()
    svg = ElementTree.fromstring(text)
    _, _, width, _ = map(int, svg.get("viewBox").split())
    light, dark = re.findall(r"svg \{(.*)\}", text)

    assert [
        alt for page, alt, target in IMAGES if page.parent / target == drawing and len(alt) > 80
    ]
    assert svg.find("{http://www.w3.org/2000/svg}title").text
    assert "@media (prefers-color-scheme: dark)" in text
    # Each color is there twice, and the paper is drawn, because the theme of a page isn't the browser's.
    names = [re.findall(r"--\w+", colors) for colors in (light, dark)]
    assert {*names[0]} == {*names[1]} == {*re.findall(r"var\((--\w+)\)", text)}
    assert 'class="paper" width="360"' in text
    # As wide as a phone, so that its text isn't made smaller there.
    assert width <= 360
    assert all(int(size) >= 13 for size in re.findall(r"(\d+)px", text))
    assert not re.search(r"<script|href|url\((?!#)|@import|@font-face", text)


def test_the_first_page_shows_the_code_of_the_readme():
    """Which the tests of the README run."""
    assert blocks(DOCS / "index.md") == blocks(ROOT / "README.md")


def test_the_index_leads_to_every_page():
    toctree = re.findall(
        r"^```\{toctree\}\n(.*?)^```$", text_of("index.md"), re.DOTALL | re.MULTILINE
    )
    named = [line for block in toctree for line in block.splitlines() if line and line[0] != ":"]

    assert len({*named}) == len(named)
    assert {f"{name}.md" for name in named} == {
        page.name for page in TEXTS if page.parent == DOCS
    } - {"index.md"}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_a_page_begins_with_whom_it_is_for(page):
    """The first page after one sentence. The changes are not written as a page."""
    if page.name in {"README.md", "changes.md"}:
        return
    title, *paragraphs = TEXTS[page].split("\n\n")

    assert re.fullmatch("# .*", title)
    assert paragraphs[page.name == "index.md"].startswith("For ")


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_each_column_of_a_table_has_a_header(page):
    heads = re.findall(r"^\|(.*)\|\n\|[-|: ]+\|$", TEXTS[page], re.MULTILINE)

    assert [head for head in heads if not all(cell.strip() for cell in head.split("|"))] == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_each_row_of_a_table_has_as_many_cells_as_its_header(page):
    """A site drops what is in further cells."""
    text = re.sub(r"^ *```.*?^ *```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, *rows = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]

        assert {*rows} == {head}, table.splitlines()[0]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_pages_hold_no_key_of_the_tests(page):
    assert CANARY not in TEXTS[page]


def test_examples_have_no_host_but_those_for_examples():
    """Of RFC 2606; besides these, only providers."""
    addresses = [url for each in PROVIDERS for url in (each.base_url, each.keys_url) if url]
    known = {urlsplit(url).hostname for url in addresses}
    for page, text in TEXTS.items():
        for host in re.findall(r"https?://([\w.-]+)", text):
            is_example = re.search(
                r"(^|\.)(example(\.com)?|localhost|ollama|127\.0\.0\.1|10\.20\.0\.7)$", host
            )
            is_example = is_example or host != host.lower()  # a name to fill in
            assert is_example or host in {*known, *OTHER_HOSTS}, (
                page.name,
                host,
            )


def test_no_test_module_is_imported():
    """What tests share is in a fixture, or in a module whose name says what it is."""
    imported = re.compile(r"^ *(?:from|import) tests\b.*\btest_", re.MULTILINE)

    paths = [path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts]

    assert [path.name for path in paths if imported.search(path.read_text())] == []


def test_the_architecture_names_files_that_exist():
    named = set(
        re.findall(
            r"`?([\w/]+(?:\.py|/))(?=[`\s])", section_of(DOCS / "contributing.md", "Architecture")
        )
    )
    folders = [ROOT, ROOT / "flask_model_registry"]

    assert len(named) > 30
    assert [each for each in named if not any((place / each).exists() for place in folders)] == []
