"""Behind nginx as its page sets it up, clients say nothing in the proxy's place."""

import json
import urllib.request

import pytest

from tests.doc_runner import ROOT, blocks
from tests.hosts import PREFIX, model

PAGE = ROOT / "docs" / "deploy.md"
FORGED = {
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "forged.example",
    "X-Forwarded-Prefix": "/forged",
    "X-Request-ID": "forged",
}
# What the app believes, after ProxyFix.
ECHO = """

@app.get("/believed")
def believed():
    from flask import request

    names = "remote_addr", "scheme", "host", "root_path"
    return {**{name: getattr(request, name) for name in names}, "id": request.headers["X-Request-ID"]}
"""


@pytest.fixture
def app(gunicorn, tmp_path):
    """Serve ``wsgi.py`` of the page of deployment."""
    wsgi = next(each for each in blocks(PAGE) if "ProxyFix" in each)
    (tmp_path / "wsgi.py").write_text(wsgi.replace("from desk", "from tests.software.app") + ECHO)
    return gunicorn("wsgi:app", tmp_path)


def ask(url, body=None, **headers):
    """Return a response's headers and body."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as response:
        return response.headers, response.read().decode()


def test_nginx_overwrites_all_that_the_app_believes(app, nginx):
    (lines,) = blocks(PAGE, "nginx", "Put nginx in front of Gunicorn")
    url = nginx(lines.replace("http://127.0.0.1:8000", app))
    _, token = ask(f"{url}/as/alice/token")
    forged = {**FORGED, "Authorization": f"Bearer {token}"}

    registered, _ = ask(f"{url}{PREFIX}/register", model(), **forged)
    believed = json.loads(ask(f"{url}/believed", **forged)[1])

    assert registered["Location"].startswith(f"{PREFIX}/")
    assert len(believed.pop("id")) == 32
    assert believed == {
        "remote_addr": "127.0.0.1",
        "scheme": "http",
        "host": url.removeprefix("http://"),
        "root_path": "",
    }
