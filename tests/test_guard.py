"""Who gets in: one guard for all addresses, the host's tokens, the host's users."""

import datetime
import json

import jwt as pyjwt
import pytest
import sqlalchemy as sa
from flask import request, session
from flask_jwt_extended import create_access_token, create_refresh_token
from werkzeug.local import LocalProxy

from flask_model_registry import ConfigError
from tests.hosts import PREFIX, model

pytestmark = pytest.mark.databases("sqlite")

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def addresses(app):
    """Return every URL of the registry, with a value for each variable."""
    urls = app.url_map.bind("localhost")
    return [
        urls.build(rule.endpoint, dict.fromkeys(rule.arguments, "1"))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("model_registry.")
    ]


def test_the_addresses_are_all_known(host):
    paths = ["/", "/register", "/openapi.json", "/summary", "/v1/models", "/v1/models/1",
             "/v1", "/v1/1",  # paths that are not served there
             "/providers", "/providers/1/models",
             "/credentials", "/credentials/1", "/credentials/1/secret", "/credentials/1/models",
             "/credentials/1/test", "/credentials/1/served-models", "/1/served-models",
             "/details", "/1/details", "/1/parameters",
             "/test-connection", "/1/test", "/1", "/by-id/1", "/1/credential", "/1/grants",
             "/1/grants/users/1", "/1/grants/groups/1", "/1/transfer", "/defaults", "/defaults/1", "/static/1",
             "/1"]  # the last one is for all others  # fmt: skip

    assert sorted(addresses(host.app)) == sorted(PREFIX + path for path in paths)


@pytest.mark.parametrize("method", METHODS)
def test_no_address_answers_without_a_token(host, method):
    client = host.client()

    public = {f"{PREFIX}/openapi.json"} | (
        {f"{PREFIX}/static/1"} if method in {"GET", "HEAD"} else set()
    )
    for address in {*addresses(host.app)} - public:
        response = client.open(address, method=method, json=model())

        assert response.status_code == 401, address
        assert response.headers["WWW-Authenticate"] == "Bearer"


def token(host, secret=None, algorithm="HS256", **claims):
    now = datetime.datetime.now(datetime.timezone.utc)
    claims = {
        "sub": str(host.user("alice")),
        "type": "access",
        "fresh": False,
        "jti": "1",
        "iat": now,
        "nbf": now,
        "exp": now + datetime.timedelta(minutes=5),
        **claims,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    if algorithm == "none":
        return pyjwt.encode(claims, None, "none")
    return pyjwt.encode(claims, secret or host.app.config["JWT_SECRET_KEY"], algorithm)


HOUR = datetime.timedelta(hours=1)
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
BAD_TOKENS = {
    "unsigned": lambda host: token(host, algorithm="none"),
    "another key": lambda host: token(host, "another key of thirty-two bytes, or more"),
    "another algorithm": lambda host: token(host, "k" * 64, "HS512"),
    "right key, another algorithm": lambda host: token(
        host, host.app.config["JWT_SECRET_KEY"], "HS512"
    ),
    "refresh token": lambda host: token(host, type="refresh"),
    "expired": lambda host: token(host, exp=LONG_AGO),
    "not yet valid": lambda host: token(host, nbf=LONG_AGO + 200 * 365 * 24 * HOUR),
    "no subject": lambda host: token(host, sub=None),
    "unknown user": lambda host: token(host, sub="987654321"),
    "subject of another type": lambda host: token(host, sub={"id": 1}),
    "subject that is not a primary key": lambda host: token(host, sub="not a number"),
    "cut short": lambda host: token(host)[:-4],
    "changed": lambda host: token(host)[:-4] + "AAAA",
    "two parts": lambda host: token(host).rpartition(".")[0],
    "garbage": lambda host: "garbage",
    "dots": lambda host: "..",
    "not ASCII": lambda host: "é.é.é",
    "very long": lambda host: "a" * 20000,
    "another claim type": lambda host: token(host, exp="soon"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_token_that_is_not_valid_is_refused_without_saying_why(host, name):
    bad = BAD_TOKENS[name](host)

    response = host.client().get(f"{PREFIX}/", headers={"Authorization": f"Bearer {bad}"})

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert response.json["detail"] == "The access token is not valid, or has expired."


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "bearer x.y.z", "Token x", "x.y.z"])
def test_a_header_without_a_bearer_token_is_refused(host, header):
    response = host.client().get(f"{PREFIX}/", headers={"Authorization": header})

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_token_is_refused(hosts):
    host = hosts()
    host.app.extensions["flask-jwt-extended"].token_in_blocklist_loader(lambda *_: True)

    assert host.client("alice").get(f"{PREFIX}/").status_code == 401


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_a_deleted_user_is_refused(host, alice):
    host.execute(sa.delete(host.User))

    assert alice.get(f"{PREFIX}/").status_code == 401


def test_the_hosts_own_refresh_token_is_refused(host):
    with host.app.app_context():
        refresh = create_refresh_token(str(host.user("alice")))

    response = host.client().get(f"{PREFIX}/", headers={"Authorization": f"Bearer {refresh}"})

    assert response.status_code == 401


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
@pytest.mark.forces_errors
def test_a_database_that_is_down_is_not_a_401(host, alice, monkeypatch, caplog):
    def fail(*args, **options):
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone away\nforged line"))

    monkeypatch.setattr(host.db.session, "get", fail)

    response = alice.get(f"{PREFIX}/")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.json["type"].endswith(":unavailable")
    assert r"gone away\nforged line" in caplog.text
    assert "\nforged line" not in caplog.text


def test_a_preflight_needs_no_token_and_learns_only_the_methods(host):
    response = host.client().options(f"{PREFIX}/register")

    assert response.status_code == 204
    assert response.headers["Allow"] == "POST, OPTIONS"
    assert response.data == b""


def test_tokens_in_the_query_string_work_where_the_host_has_them(hosts):
    host = hosts(config={"JWT_TOKEN_LOCATION": ["query_string"], "JWT_QUERY_STRING_NAME": "t"})
    query = {"t": host.token("alice")}
    for name in "ab":
        host.client().post(f"{PREFIX}/register", json=model(model_id=name), query_string=query)

    response = host.client().get(f"{PREFIX}/", query_string={**query, "limit": 1})

    assert len(response.json) == 1
    assert query["t"] not in response.headers["Link"]


def test_tokens_in_cookies_need_the_csrf_header(hosts):
    host = hosts(config={"JWT_TOKEN_LOCATION": ["cookies"]})
    with host.app.app_context():
        access = create_access_token(str(host.user("alice")))
    csrf = pyjwt.decode(access, options={"verify_signature": False})["csrf"]
    client = host.app.test_client()
    client.set_cookie("access_token_cookie", access)

    refused = client.post(f"{PREFIX}/register", json=model())
    taken = client.post(f"{PREFIX}/register", json=model(), headers={"X-CSRF-TOKEN": csrf})

    assert (refused.status_code, taken.status_code) == (401, 201)


def logged_in():
    """Return a session login's user, as Flask-Login's proxy would."""
    return LocalProxy(lambda: load_from_session())


def load_from_session():
    return session.get("user") and LOADERS["load"](session["user"])


LOADERS = {}


class Anonymous:
    is_authenticated = False


def test_a_host_with_sessions_passes_its_own_loader(hosts):
    host = hosts(user_loader=logged_in, config={"SECRET_KEY": "session signing key"})
    LOADERS["load"] = lambda key: host.db.session.get(host.User, key)
    client = host.app.test_client()

    before = client.post(f"{PREFIX}/register", json=model())
    with client.session_transaction() as cookie:
        cookie["user"] = host.user("alice")
    after = client.post(f"{PREFIX}/register", json=model())

    assert (before.status_code, after.status_code) == (401, 201)
    assert before.headers["WWW-Authenticate"] == "Bearer"


def test_an_anonymous_user_object_is_not_logged_in(hosts):
    host = hosts(user_loader=Anonymous)

    assert host.client().get(f"{PREFIX}/").status_code == 401


def test_a_user_of_another_class_is_an_error_of_the_host(hosts):
    host = hosts(user_loader=lambda: "alice", config={"PROPAGATE_EXCEPTIONS": True})

    with pytest.raises(ConfigError, match="the user must be a User object, not of type str"):
        host.client().get(f"{PREFIX}/")


def test_a_missing_user_lookup_is_reported_with_the_fix(hosts):
    host = hosts(config={"PROPAGATE_EXCEPTIONS": True})
    alice = host.client("alice")
    host.app.extensions["flask-jwt-extended"]._user_lookup_callback = None

    with pytest.raises(ConfigError, match="user_lookup_loader"):
        alice.get(f"{PREFIX}/")


def test_a_missing_jwt_manager_is_reported_with_the_fix(hosts):
    host = hosts(config={"PROPAGATE_EXCEPTIONS": True})
    alice = host.client("alice")
    del host.app.extensions["flask-jwt-extended"]

    with pytest.raises(ConfigError, match=r"jwt.init_app\(app\)"):
        alice.get(f"{PREFIX}/")


def test_a_subject_that_the_user_loader_cannot_convert_is_a_401(hosts, caplog):
    host = hosts()
    manager = host.app.extensions["flask-jwt-extended"]
    manager.user_lookup_loader(lambda header, claims: int(claims["sub"]))
    bad = token(host, sub="not-a-number")

    response = host.client().get(f"{PREFIX}/", headers={"Authorization": f"Bearer {bad}"})

    assert response.status_code == 401
    assert "token refused: ValueError" in caplog.text
    assert "not-a-number" not in caplog.text


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
@pytest.mark.parametrize("kind", ["legacy base, int key", "legacy base, string key"])
@pytest.mark.parametrize("subject", ["9" * 20, "alice\0"])
def test_a_subject_that_the_database_cannot_hold_is_a_401(hosts, kind, subject):
    host = hosts(kind)
    host.app.after_request(lambda response: [host.db.session.query(host.User).all(), response][1])
    bad = token(host, sub=subject)

    response = host.client().get(f"{PREFIX}/", headers={"Authorization": f"Bearer {bad}"})

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_a_name_that_the_database_cannot_hold_is_a_401_whatever_the_login(hosts):
    def load_user():
        name = sa.select(host.User).where(host.User.name == request.authorization.username)
        return host.db.session.scalar(name)

    host = hosts(user_loader=load_user)

    response = host.client().get(f"{PREFIX}/", auth=("alice\0", "any"))

    assert response.status_code == 401


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_an_id_that_the_database_cannot_hold_is_a_401_whatever_the_login(hosts):
    host = hosts(
        user_loader=lambda: host.db.session.get(host.User, int(request.authorization.username))
    )

    response = host.client().get(f"{PREFIX}/", auth=("9" * 20, "any"))

    assert response.status_code == 401


@pytest.mark.databases("postgresql", "mariadb")
def test_a_write_of_the_user_loader_that_the_database_refuses_is_no_401(hosts, database):
    unfit = "a visit\0" if database.name == "postgresql" else "v" * 10_000

    def load_user():
        host.db.session.add(host.User(name=unfit))
        return host.db.session.scalar(sa.select(host.User))  # which flushes

    host = hosts(user_loader=load_user)

    response = host.client().get(f"{PREFIX}/")

    assert response.status_code == 422


@pytest.mark.forces_errors
@pytest.mark.databases("sqlite", "postgresql", "mariadb")
def test_a_host_can_use_its_session_after_its_user_loader_broke_the_transaction(hosts):
    host = hosts(user_loader=lambda: host.db.session.execute(sa.text("SELECT no_such_function()")))
    counts = []

    @host.app.after_request
    def count(response):
        counts.append(len(host.db.session.query(host.User).all()))
        return response

    host.client().get(f"{PREFIX}/")

    assert counts == [0]


def test_a_user_who_is_switched_off_is_not_logged_in(hosts, monkeypatch):
    host = hosts()
    alice = host.client("alice")
    monkeypatch.setattr(host.User, "is_active", False, raising=False)

    assert alice.get(f"{PREFIX}/").status_code == 401


def test_tokens_within_json_bodies_are_not_looked_for(hosts):
    host = hosts(config={"JWT_TOKEN_LOCATION": ["json", "headers"]})

    for body in (b"[1]", b"5", b"[" * 5000, json.dumps({"access_token": "x.y.z"}).encode()):
        response = host.client().post(
            f"{PREFIX}/register", data=body, content_type="application/json"
        )
        assert response.status_code == 401

    assert host.client("alice").post(f"{PREFIX}/register", json=model()).status_code == 201


def test_tokens_in_json_bodies_alone_are_a_config_error(hosts):
    host = hosts(config={"JWT_TOKEN_LOCATION": "json", "PROPAGATE_EXCEPTIONS": True})

    with pytest.raises(ConfigError, match="JWT_TOKEN_LOCATION"):
        host.client().get(f"{PREFIX}/")
