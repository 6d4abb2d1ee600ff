"""The page's file: anyone can load it, browsers cache it, and one setting turns it off."""

import gzip
import json
import re
from pathlib import Path

import pytest
from flask import url_for

import flask_model_registry
from flask_model_registry.providers.client import RESULTS
from flask_model_registry.schemas.categories import ABILITIES, CATEGORIES, CONFIG_TYPES
from tests.hosts import PREFIX

pytestmark = pytest.mark.databases("sqlite")

FOLDER = Path(flask_model_registry.__file__).parent / "web" / "static"
FILE = FOLDER / "model-registry.js"
NAMES = {"js": "page.js", "json": "custom-elements.json", "ts": "model-registry.d.ts"}
ADDRESS = f"{PREFIX}/static/model-registry.js"


def test_everyone_gets_the_file(host):
    with host.client().get(ADDRESS) as response:
        assert response.data == FILE.read_bytes()
        assert response.mimetype == "text/javascript"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def asked_for(host, address):
    with host.client().get(address) as response:
        return response.headers["Cache-Control"], response.mimetype, response.data


def test_an_address_with_the_fingerprint_is_kept_for_a_year(host):
    with host.app.test_request_context():
        address = url_for("model_registry.static", filename="model-registry.js")
    assert re.fullmatch(rf"{PREFIX}/static/[0-9a-f]{{16}}/model-registry\.js", address)

    assert asked_for(host, address)[0] == "public, max-age=31536000"
    others = (ADDRESS, f"{ADDRESS}?v=0123456789abcdef", re.sub("[0-9a-f]{16}", "0" * 16, address))
    for each in others:
        assert asked_for(host, each) == ("no-cache", "text/javascript", FILE.read_bytes())


def test_the_fingerprint_is_one_of_all_files(host):
    with host.app.test_request_context():
        addresses = {
            path.name: url_for("model_registry.static", filename=path.name)
            for path in FOLDER.iterdir()
        }

    assert len({address.rpartition("/")[0] for address in addresses.values()}) == 1
    for name, address in addresses.items():
        assert asked_for(host, address)[2] == (FOLDER / name).read_bytes()


def test_modules_import_only_each_other_and_inherit_the_fingerprint():
    imported = {
        each
        for path in FOLDER.glob("*.js")
        for each in re.findall(r'(?:from |import |import\()"([^"]*)"', path.read_text())
    }

    assert {f"./{path.name}" for path in FOLDER.glob("*.js")} == imported | {"./model-registry.js"}


def test_types_do_not_depend_on_the_machine(host, monkeypatch):
    monkeypatch.setattr("mimetypes.guess_type", lambda *args, **options: ("text/plain", None))

    types = {
        suffix: asked_for(host, f"{PREFIX}/static/{name}")[1] for suffix, name in NAMES.items()
    }

    assert types == {"js": "text/javascript", "json": "application/json", "ts": "text/plain"}


STATIC_IMPORT = re.compile(r'^(?:import|export|\}) (?:.* )?from "\./([\w-]+\.js)"', re.MULTILINE)
LATER_IMPORT = re.compile(r'import\("\./([\w-]+\.js)"\)')
LANGUAGES = {"de.js", "en.js", "es.js", "fr.js", "zh.js"}
DIALOG_TEXTS = {name.replace(".", "_dialogs.") for name in LANGUAGES}


def loaded_with(name, seen=()):
    """Return the names of the modules that a browser loads for one."""
    found = {*seen, name}
    for each in STATIC_IMPORT.findall((FOLDER / name).read_text()):
        if each not in found:
            found |= loaded_with(each, found)
    return found


def size(names):
    """Return the size of modules in bytes, each compressed by itself as servers do it."""
    return sum(len(gzip.compress((FOLDER / name).read_bytes())) for name in names)


def test_a_visitor_loads_30_kilobytes_with_one_language():
    first = loaded_with(FILE.name)

    assert not first & (LANGUAGES | DIALOG_TEXTS)
    for language in LANGUAGES:
        assert size({*first, language}) < 30_000, language


def test_a_dialog_is_loaded_when_it_is_opened():
    first = loaded_with(FILE.name)
    later = {
        each for path in FOLDER.glob("*.js") for each in LATER_IMPORT.findall(path.read_text())
    }

    assert {path.name for path in FOLDER.glob("*.js")} == {
        each for name in {FILE.name, *later} for each in loaded_with(name)
    }
    for name in later - LANGUAGES - DIALOG_TEXTS:
        assert size(loaded_with(name) - first) < 20_000, name
    for name in DIALOG_TEXTS:
        assert size({name}) < 4_000, name


def test_the_list_needs_no_text_of_a_dialog():
    names = re.findall(r"^  (\w+): ", (FOLDER / "en_dialogs.js").read_text(), re.MULTILINE)
    assert len(names) > 100
    for module in loaded_with(FILE.name) - {"dialogs.js"}:  # which waits for these texts
        used = re.findall(r'\bt(?:\.parts)?\("(\w+)"', (FOLDER / module).read_text())
        assert not {*names} & {*used}, module


def test_a_browser_that_has_the_file_gets_304(host):
    with host.client().get(ADDRESS) as response:
        tag = response.headers["ETag"]

    with host.client().get(ADDRESS, headers={"If-None-Match": tag}) as again:
        assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        "no.js",
        "../page.py",
        "%2e%2e/page.py",
        "..%2fpage.py",
        "/etc/passwd",
        "0" * 16,
        f"{'0' * 16}/no.js",
        f"{'0' * 16}/../../page.py",
    ],
)
def test_nothing_else_is_served(host, alice, name):
    with alice.get(f"{PREFIX}/static/{name}?v=1") as response:
        assert response.status_code == 404
        assert response.mimetype == "application/problem+json"
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_done_to_the_file(host, alice, method):
    assert host.client().open(ADDRESS, method=method).status_code == 401
    assert alice.open(ADDRESS, method=method).status_code == 404


def test_it_goes_with_the_prefix(hosts):
    host = hosts(config={"MODEL_REGISTRY_URL_PREFIX": "/ai"})

    with host.client().get("/ai/static/model-registry.js") as response:
        assert response.status_code == 200


def test_it_is_off_with_one_setting(hosts):
    host = hosts(config={"MODEL_REGISTRY_PAGE": False})

    assert host.client().get(ADDRESS).status_code == 401
    assert host.client("alice").get(ADDRESS).status_code == 404


def test_other_static_files_of_the_host_are_left_alone(hosts, tmp_path):
    host = hosts()
    host.app.static_folder = str(tmp_path)
    (tmp_path / "model-registry.js").write_text("host")

    with host.client().get("/static/model-registry.js") as response:
        assert response.text == "host"
        assert "X-Content-Type-Options" not in response.headers
    with host.app.test_request_context():
        assert url_for("static", filename="model-registry.js") == "/static/model-registry.js"


def constant(name):
    """Return a literal of the file."""
    literal = re.search(
        rf"^export const {name} = ([\[{{].*?[\]}}]);$",
        (FOLDER / "texts.js").read_text(),
        re.DOTALL | re.MULTILINE,
    )[1]
    return json.loads(re.sub(r",(\s*[}\]])", r"\1", re.sub(r"(\w+):", r'"\1":', literal)))


def words(name):
    """Return the names in a part of the English texts."""
    table = re.search(
        rf"^  {name}: \{{\n(.*?)^  \}},$", (FOLDER / "en.js").read_text(), re.DOTALL | re.MULTILINE
    )[1]
    return re.findall(r"^    (\w+): ", table, re.MULTILINE)


def test_the_pages_lists_match_the_librarys():
    assert tuple(constant("CATEGORIES")) == CATEGORIES
    assert words("categories") == [*CATEGORIES]
    assert {name: {*words} for name, words in constant("ABILITIES").items()} == ABILITIES
    assert constant("KINDS") == CONFIG_TYPES
    assert words("kinds") == [*CONFIG_TYPES]
    assert words("results") == RESULTS


def test_the_page_never_parses_text_as_html():
    text = "".join(path.read_text() for path in FOLDER.glob("*.js"))

    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "DOMParser", "eval(", "Function(", "document.write",
                 "localStorage", "sessionStorage", "setHTMLUnsafe", "createContextualFragment"):  # fmt: skip
        assert name not in text
    assert len(re.findall(r"import\(", text)) == len(re.findall(r'import\("\./\w+\.js"\)', text))
