"""The page's file: anyone can load it, browsers cache it, and one setting turns it off."""

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

FILE = Path(flask_model_registry.__file__).parent / "web" / "static" / "model-registry.js"
ADDRESS = f"{PREFIX}/static/model-registry.js"


def test_everyone_gets_the_file(host):
    with host.client().get(ADDRESS) as response:
        assert response.data == FILE.read_bytes()
        assert response.mimetype == "text/javascript"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_an_address_with_the_fingerprint_is_kept_for_a_year(host):
    with host.app.test_request_context():
        address = url_for("model_registry.static", filename="model-registry.js")
    assert re.fullmatch(rf"{ADDRESS}\?v=[0-9a-f]{{16}}", address)

    others = (
        ADDRESS,
        f"{ADDRESS}?v=old",
        f"{ADDRESS}?v=",
        f"{PREFIX}/static/./model-registry.js?v=",
    )
    for asked, seconds in [(address, 31_536_000), *((each, 3600) for each in others)]:
        with host.client().get(asked) as response:
            assert response.headers["Cache-Control"] == f"public, max-age={seconds}"


def test_a_browser_that_has_the_file_is_told_so(host):
    with host.client().get(ADDRESS) as response:
        tag = response.headers["ETag"]

    with host.client().get(ADDRESS, headers={"If-None-Match": tag}) as again:
        assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "name", ["no.js", "../page.py", "%2e%2e/page.py", "..%2fpage.py", "/etc/passwd"]
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
    """Return an object literal of the file."""
    literal = re.search(
        rf"^const {name} = (\{{.*?^\}});$", FILE.read_text(), re.DOTALL | re.MULTILINE
    )[1]
    return json.loads(re.sub(r",(\s*[}\]])", r"\1", re.sub(r"(\w+):", r'"\1":', literal)))


def test_the_page_knows_what_the_library_knows():
    assert tuple(constant("CATEGORIES")) == CATEGORIES
    assert {name: {*words} for name, words in constant("ABILITIES").items()} == ABILITIES
    assert {kind: category for kind, (category, _) in constant("KINDS").items()} == CONFIG_TYPES
    assert [*constant("RESULTS")] == RESULTS


def test_the_page_never_makes_elements_of_text():
    text = FILE.read_text()

    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "DOMParser", "eval(", "Function(", "document.write",
                 "localStorage", "sessionStorage", "setHTMLUnsafe", "import(", "createContextualFragment"):  # fmt: skip
        assert name not in text
