"""The page and scripts of another origin, as the documentation shows them, against an app with Flask-CORS."""

import http.server
import re
import threading
from functools import partial

import pytest
from flask_jwt_extended import create_access_token
from playwright.sync_api import expect

from tests.browser.page import fill, row
from tests.doc_runner import ROOT, blocks
from tests.hosts import CANARY

PAGE, SECTION = ROOT / "docs" / "front-end.md", "Run a front end on another origin"
FRONT, API = "https://front.example.com", "https://api.example.com"
HTML = '<!doctype html><html lang="en"><title>Front end</title><main><h1>Front end</h1>{}</main></html>'
COUNT = 120

pytest.importorskip("flask_cors")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def end_headers(self):
        policy = (self.server.folder / "policy").read_text()
        self.send_header("Content-Security-Policy", policy)
        super().end_headers()


@pytest.fixture
def front(tmp_path):
    """A server of files, whose folder and URL are those of a front end."""
    folder = tmp_path / "front"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=folder)
    ) as server:
        server.folder = folder
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def two_origins(served, front):
    """The front end and the app of the page, with as many models as fill three pages."""
    folder, origin = front

    def allow(host):
        (block,) = blocks(PAGE, section=SECTION)
        exec(block.replace(FRONT, origin), {"app": host.app})

    host, api = served(allow)
    with host.app.app_context():
        for number in range(COUNT):
            host.registry.create(
                user=host.load("alice"), model_id=f"m-{number:03}", model_provider="openai", model_name="m", api_key=CANARY
            )  # fmt: skip
        host.db.session.commit()
        token = create_access_token(str(host.user("alice")))
    session = f'const session = {{ accessToken: async () => "{token}" }};\n'
    script, client = blocks(PAGE, "js", SECTION)
    (policy,) = blocks(PAGE, "text", SECTION)
    (folder / "index.html").write_text(
        HTML.format(blocks(PAGE, "html", SECTION)[0].replace(API, api))
    )
    (folder / "models.js").write_text(session + script)
    (folder / "client.js").write_text(client.replace(API, api))
    (folder / "policy").write_text(policy.strip().partition(": ")[2].replace(API, api))
    return host, origin, token


def test_the_page_shows_all_models_and_saves_a_change(two_origins, windows):
    host, origin, _ = two_origins
    page = windows(f"{origin}/index.html")
    seen = []

    for first in ("m-000", "m-050", "m-100"):
        expect(row(page, first)).to_be_visible()
        seen += [
            name
            for name in page.get_by_role("heading").all_inner_texts()
            if re.match(r"m-\d+$", name)
        ]
        if first != "m-100":
            page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Edit m-107", exact=True).click()
    fill(page.get_by_role("dialog"), Description="Saved from elsewhere")
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        page.get_by_role("dialog").get_by_role("button", name="Save").click()

    expect(page.get_by_role("status").first).to_have_text("m-107 is saved.")
    assert sorted(seen) == [f"m-{number:03}" for number in range(COUNT)]
    assert sent.value.headers["if-match"].startswith('"')
    with host.app.app_context():
        model = host.registry.get("m-107", user=host.load("alice"))
        assert model["description"] == "Saved from elsewhere"


def test_the_client_of_the_page_reads_all_models_and_saves(two_origins, windows):
    host, origin, token = two_origins
    page = windows(f"{origin}/index.html")

    found = page.evaluate("async (token) => (await import('/client.js')).allModels(token)", token)
    status = page.evaluate(
        "async ([token, id]) => (await (await import('/client.js')).describe(token, id, 'x')).status",
        [token, found[0]["id"]],
    )

    assert sorted(each["model_id"] for each in found) == [
        f"m-{number:03}" for number in range(COUNT)
    ]
    assert status == 200
