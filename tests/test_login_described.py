"""The description of the API says how this app's users log in, whatever its login is."""

import json
import re

import pytest
from flask import request
from flask_jwt_extended import (
    create_access_token,
    get_csrf_token,
    get_current_user,
    verify_jwt_in_request,
)
from flask_login import LoginManager, current_user, login_user
from flask_wtf.csrf import CSRFProtect, generate_csrf
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from flask_model_registry import ConfigError
from tests.hosts import PREFIX, make_host, model

COOKIES = {"JWT_TOKEN_LOCATION": ["cookies"], "JWT_ACCESS_COOKIE_NAME": "access"}
# How Flask-JWT-Extended is configured, and what requests that read and that change need then.
JWTS = {
    "a bearer token": ({}, [["token"]], [["token"]]),
    "another kind of token": ({"JWT_HEADER_TYPE": "JWT"}, [["token"]], [["token"]]),
    "another header": (
        {"JWT_HEADER_NAME": "X-Token", "JWT_HEADER_TYPE": ""}, [["token"]], [["token"]]
    ),
    "a cookie": (
        {**COOKIES, "JWT_ACCESS_CSRF_HEADER_NAME": "X-Ours"}, [["cookie"]], [["cookie", "csrf"]]
    ),
    "a cookie, unprotected": (
        {**COOKIES, "JWT_COOKIE_CSRF_PROTECT": False}, [["cookie"]], [["cookie"]]
    ),
    "the query string": (
        {"JWT_TOKEN_LOCATION": "query_string", "JWT_QUERY_STRING_VALUE_PREFIX": "Bearer "},
        [["query"]],
        [["query"]],
    ),
    "several": (
        {"JWT_TOKEN_LOCATION": {"headers", "cookies", "json"}},
        [["token"], ["cookie"]],
        [["token"], ["cookie", "csrf"]],
    ),
}  # fmt: skip


@pytest.fixture
def make(tmp_path, canary):
    made = []

    def host(config=(), **options):
        made.append(
            make_host(f"sqlite:///{tmp_path / 'host.sqlite'}", config=dict(config), **options)
        )
        return made[-1]

    yield host
    for each in made:
        canary(each.app)
        each.close()


class Reader:
    """A client that knows nothing of an app but its description."""

    def __init__(self, host, values):
        self.client, self.values = host.app.test_client(use_cookies=False), values
        self.description = self.client.get(f"{PREFIX}/openapi.json").json

    def needed(self, path, method):
        """Return the names of the schemes that a request needs; each list of them is enough."""
        operation = self.description["paths"][path][method]
        security = operation.get("security", self.description["security"])
        return [[*each] for each in security]

    def send(self, path, method, names):
        """Send a request with these schemes; return the status of its response."""
        headers, query = {}, {}
        for name in names:
            scheme = self.description["components"]["securitySchemes"][name]
            value = self.values[name]
            if scheme["type"] == "http":
                scheme = {"in": "header", "name": "Authorization"}
                value = f"Bearer {value}"
            elif prefix := re.search("`(.*)`", scheme["description"]):
                value = prefix[1] + value
            if scheme["in"] == "cookie":
                headers["Cookie"] = f"{scheme['name']}={value}"
            else:
                {"header": headers, "query": query}[scheme["in"]][scheme["name"]] = value
        body = {"json": model(model_id="-".join(["m", *names]))} if method == "post" else {}
        address = PREFIX + path
        return self.client.open(
            address, method=method, headers=headers, query_string=query, **body
        ).status_code


@pytest.mark.sampled(3)
@pytest.mark.parametrize("login", JWTS)
def test_a_client_gets_in_only_with_everything_that_the_description_asks_for(make, login):
    config, reading, changing = JWTS[login]
    host = make(config)
    with host.app.app_context():
        token = create_access_token(str(host.user("alice")))
        csrf = get_csrf_token(token) if ["cookie", "csrf"] in changing else ""
    reader = Reader(host, {"token": token, "cookie": token, "query": token, "csrf": csrf})

    assert reader.needed("/", "get") == reading
    assert reader.needed("/register", "post") == changing
    for names in reading:
        assert reader.send("/", "get", names) == 200
    for names in changing:
        assert reader.send("/register", "post", names) == 201
        for left_out in names:
            rest = [each for each in names if each != left_out]
            assert reader.send("/register", "post", rest) == 401
    used = {name for names in [*reading, *changing] for name in names}
    assert {*reader.description["components"]["securitySchemes"]} == used


def test_an_app_with_sessions_says_so_and_which_header_changes_need(make):
    host = make(
        {"SECRET_KEY": "s" * 40, "SESSION_COOKIE_NAME": "ours"}, user_loader=lambda: current_user
    )
    CSRFProtect(host.app)
    logins = LoginManager(host.app)
    logins.user_loader(lambda key: host.db.session.get(host.User, int(key)))
    host.User.get_id, host.User.is_authenticated = lambda self: str(self.id), True

    @host.app.get("/login")
    def login():
        login_user(host.load("alice"), force=True)
        return generate_csrf()

    answer = host.app.test_client().get("/login")
    (session,) = re.findall("ours=([^;]+)", answer.headers["Set-Cookie"])
    reader = Reader(host, {"session": session, "csrf": answer.text})

    validate(reader.description, cls=OpenAPIV31SpecValidator)
    assert reader.needed("/", "get") == [["session"]]
    assert reader.needed("/{id}", "delete") == [["session", "csrf"]]
    assert reader.send("/", "get", ["session"]) == 200
    assert reader.send("/register", "post", ["session", "csrf"]) == 201
    assert reader.send("/register", "post", ["session"]) == 400
    assert reader.send("/register", "post", ["csrf"]) == 400
    assert "400" in reader.description["paths"]["/{id}"]["delete"]["responses"]
    host.app.config["WTF_CSRF_ENABLED"] = False
    assert Reader(host, {}).needed("/register", "post") == [["session"]]


def test_a_loader_that_reads_jwts_is_described_as_such(make):
    host = make(user_loader=lambda: verify_jwt_in_request() and get_current_user())
    reader = Reader(host, {"token": host.token("alice")})

    assert reader.needed("/register", "post") == [["token"]]
    assert reader.send("/register", "post", ["token"]) == 201


def test_an_app_with_a_login_of_its_own_may_say_what_it_is(make):
    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": ""}}

    def by_key():
        return host.load("alice") if request.headers.get("X-API-Key") == "k" else None

    host = make({"MODEL_REGISTRY_SECURITY_SCHEMES": schemes}, user_loader=by_key)
    reader = Reader(host, {"key": "k"})

    assert reader.description["components"]["securitySchemes"] == schemes
    assert reader.needed("/{id}", "patch") == [["key"]]
    assert reader.send("/register", "post", ["key"]) == 201
    assert reader.send("/register", "post", []) == 401
    output, _ = host.run("openapi")
    assert json.loads(output) == reader.description


@pytest.mark.parametrize(
    "schemes", ["bearer", {"a b": {"type": "http"}}, {"x": {}}, {"x": "http"}, {"x": {"type": {1}}}]
)
def test_invalid_security_schemes_are_refused(make, schemes):
    with pytest.raises(ConfigError, match="MODEL_REGISTRY_SECURITY_SCHEMES must be"):
        make({"MODEL_REGISTRY_SECURITY_SCHEMES": schemes})
