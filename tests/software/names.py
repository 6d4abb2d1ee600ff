"""Grants and revokes names through a server: which are exact, and which are refused."""

import contextlib
import http.client
import json
from urllib.parse import quote, urlsplit

from flask_jwt_extended import create_access_token

from tests.hosts import PREFIX, model
from tests.reliability.served_app import JWT_SECRET_KEY

NAMES = [
    "/team/ai", "/ai", "ops/", "ops", "//x", "a//b", "a/b", "a/../b", "%2Fai", "100%25", "a+b",
    "a?b#c", "é/ü", "/",
]  # fmt: skip
IN_SCRIPT = "团队/модель:é"
# With each slash unchanged, and encoded.
PATHS = [
    f"{place}{quote(IN_SCRIPT, safe=safe)}"
    for place in ("/by-id/", "/v1/models/")
    for safe in ("/", "")
]


class Client:
    """A client that sends each path unchanged, byte by byte."""

    def __init__(self, url, token):
        self.url, self.token = urlsplit(url), token

    def __call__(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=300)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request(method, PREFIX + path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            text = response.read().decode()
        is_json = "json" in response.headers.get("Content-Type", "")
        return response.status, json.loads(text) if is_json and text else text

    def groups(self, row_id):
        return [each["group"] for each in self("GET", f"/{row_id}/grants")[1]["groups"]]


def outcomes(host, url, names=NAMES):
    """Grant and revoke each name; return which are exact, and which are refused."""
    told = Client(url, token(host))
    for model_id in (IN_SCRIPT, "meta/llama:3"):
        status, made = told("POST", "/register", model(model_id=model_id))
        assert status == 201, made
    row_id, exact, refused = made["id"], [], []
    for name in names:
        path = f"/{row_id}/grants/groups/{quote(name, safe='')}"
        put, answer = told("PUT", path, {"can_edit": False})
        if put >= 400:
            assert told.groups(row_id) == []
            assert told("DELETE", path)[0] >= 400
            refused.append(name)
            continue
        assert (put, answer["group"], told.groups(row_id)) == (201, name, [name])
        assert told("DELETE", path)[0] == 204
        assert told.groups(row_id) == []
        exact.append(name)
    return exact, refused


def token(host):
    with host.app.app_context():
        before = host.app.config["JWT_SECRET_KEY"]
        host.app.config["JWT_SECRET_KEY"] = JWT_SECRET_KEY
        made = create_access_token(str(host.user("alice")))
        host.app.config["JWT_SECRET_KEY"] = before
    return made


def finds(host, url, *paths):
    """Return the ids that a client finds at these paths."""
    told = Client(url, token(host))
    answers = [told("GET", path)[1] for path in paths]
    return [each.get("model_id", each["id"]) for each in answers]
