"""Models are saved, and known again, behind what compresses responses and marks entity tags."""

import json
import urllib.error
import urllib.request

import pytest

from tests.hosts import CANARY, PREFIX, model
from tests.software.conftest import package

PROXIED = "proxy_pass {}; proxy_set_header Host $http_host; gzip on; gzip_types application/json;"
DEFLATE = "ProxyPass / {}/\nAddOutputFilterByType DEFLATE application/json"
BROTLI = "ProxyPass / {}/\nAddOutputFilterByType BROTLI_COMPRESS application/json"
# Longer than what Flask-Compress leaves alone.
LONG = "A description. " * 60


class Compressing:
    """A server that compresses, and by which coding."""

    def __init__(self, url, coding):
        self.url, self.coding = url, coding
        with urllib.request.urlopen(f"{url}/as/alice/token") as response:
            self.token = response.read().decode()

    def ask(self, method, path, body=None, **headers):
        """Return a response's status and headers."""
        request = urllib.request.Request(
            self.url + PREFIX + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept-Encoding": self.coding,
                "Content-Type": "application/json",
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                return response.status, response.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers

    def register(self, model_id):
        """Return the path of a new model, whose description is long."""
        status, headers = self.ask("POST", "/register", model(model_id=model_id, description=LONG))
        assert status == 201
        return headers["Location"].removeprefix(PREFIX)


@pytest.fixture(scope="session")
def plain(gunicorn):
    return gunicorn()


def behind_nginx(request, backend):
    return request.getfixturevalue("nginx")("location / { %s }" % PROXIED.format(backend))


def behind_apache(request, backend, lines=DEFLATE, module="deflate"):
    modules = ["proxy", "proxy_http", "filter", module]
    return request.getfixturevalue("apache")(lines.format(backend), *modules)


def compressed(request, coding):
    package("flask-compress")
    return request.getfixturevalue("gunicorn")(COMPRESS_ALGORITHM=coding)


MAKERS = {
    "nginx": ("gzip", lambda r: behind_nginx(r, r.getfixturevalue("plain"))),
    "Apache, mod_deflate": ("gzip", lambda r: behind_apache(r, r.getfixturevalue("plain"))),
    "Apache, mod_brotli": (
        "br",
        lambda r: behind_apache(r, r.getfixturevalue("plain"), BROTLI, "brotli"),
    ),
    "Flask-Compress, gzip": ("gzip", lambda r: compressed(r, "gzip")),
    "Flask-Compress, deflate": ("deflate", lambda r: compressed(r, "deflate")),
    "Flask-Compress, br": ("br", lambda r: compressed(r, "br")),
    "Flask-Compress, zstd": ("zstd", lambda r: compressed(r, "zstd")),
    "Flask-Compress behind nginx": ("br", lambda r: behind_nginx(r, compressed(r, "br"))),
    "Flask-Compress behind Apache": ("gzip", lambda r: behind_apache(r, compressed(r, "gzip"))),
}


@pytest.fixture(scope="module", params=MAKERS)
def server(request):
    """Each server that compresses."""
    coding, make = MAKERS[request.param]
    return Compressing(make(request), coding)


def test_a_tag_that_was_marked_saves_a_change_and_an_old_one_does_not(server):
    path = server.register("saved")
    status, read = server.ask("GET", path)
    assert (status, read["Content-Encoding"]) == (200, server.coding)

    saved = [
        server.ask("PATCH", path, {"description": f"{number} {LONG}"}, **{"If-Match": tag})
        for number, tag in enumerate([read["ETag"], read["ETag"]])
    ]
    again, _ = server.ask("PATCH", path, {"temperature": 1}, **{"If-Match": saved[0][1]["ETag"]})

    assert saved[0][1]["Content-Encoding"] == server.coding
    assert [status for status, _ in saved] == [200, 412]
    assert again == 200
    assert server.ask("DELETE", path, **{"If-Match": read["ETag"]})[0] == 412
    _, now = server.ask("GET", path)
    assert server.ask("DELETE", path, **{"If-Match": now["ETag"]})[0] == 204


def test_a_read_of_what_is_known_is_304_with_the_tag(server):
    path = server.register("known")
    _, read = server.ask("GET", path)

    status, headers = server.ask("GET", path, **{"If-None-Match": read["ETag"]})

    assert (status, headers["Content-Encoding"]) == (304, None)
    number = path.removeprefix("/")
    assert f"{number}-1-111" in headers["ETag"]
    server.ask("PATCH", path, {"temperature": 1})
    assert server.ask("GET", path, **{"If-None-Match": read["ETag"]})[0] == 200
    server.ask("DELETE", path)


def test_the_page_saves_a_change_and_another(server, windows):
    expect = pytest.importorskip("playwright.sync_api").expect
    path = server.register("on-the-page")
    page = windows(f"{server.url}/as/alice")

    for text in ("First", "Second"):
        with page.expect_response(lambda response: response.url.endswith(path)) as read:
            page.get_by_role("button", name="Edit on-the-page").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Description").fill(f"{text} {LONG}".strip())
        with page.expect_request(lambda request: request.method == "PATCH") as sent:
            dialog.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status").first).to_have_text("on-the-page is saved.")
        expect(dialog).to_have_count(0)
        assert read.value.headers["content-encoding"] == server.coding
        assert sent.value.headers["if-match"] == read.value.headers["etag"]

    server.ask("DELETE", path)
    assert CANARY not in page.content()
