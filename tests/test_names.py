"""Names in URLs: each that Python can grant to is exact over HTTP, or refused."""

import operator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from urllib.parse import quote, unquote_to_bytes

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry
from flask_model_registry.web import request as requests
from tests.hosts import NEW, PREFIX, Host, Recorder, keys, model, register

NAMES = [
    "/team/ai", "/ai", "ops/", "/ops/", "//", "/", "a//b", "a/b", "///x///", ".", "..", "a/../b", "./a",
    "../users/1", "%2F", "%2Fai", "a%2Fb", "100%", "%25", "a+b", "a b", "a?b", "a#b", "a&b=c", "a;b",
    "é", "团队/人工智能", "\U0001f642", "ops\\", "x/grants/groups/y", "users", "a" * 255, "/" * 255,
    "\ufffd", "test", "null", "a:b@c", "'\"<>", "{}", "[x]", "|^`~",
]  # fmt: skip


def url(row_id, name, kind="groups"):
    return f"{PREFIX}/{row_id}/grants/{kind}/{quote(name, safe='')}"


def without_raw(environ):
    """Return what a server tells that adds nothing to PEP 3333."""
    return {name: value for name, value in environ.items() if name not in RAW}


RAW = ("RAW_URI", "REQUEST_URI")


# Where a name is read from is decided before a database is asked.
@pytest.fixture(
    params=["raw", pytest.param("PATH_INFO alone", marks=pytest.mark.databases("sqlite"))]
)
def server(request, host):
    """Have the app served with the raw path in its environment, or without."""
    app, inner = host.app, host.app.wsgi_app
    if request.param != "raw":
        app.wsgi_app = lambda environ, start: inner(without_raw(environ), start)
    yield request.param
    app.wsgi_app = inner


def groups(client, row_id):
    return [each["group"] for each in client.get(f"{PREFIX}/{row_id}/grants").json["groups"]]


@pytest.mark.sampled(20)
@pytest.mark.parametrize("name", NAMES)
def test_a_group_is_granted_and_revoked_by_its_exact_name(server, host, alice, name):
    (row_id,) = register(alice, "m")

    put = alice.put(url(row_id, name), json={})
    listed = groups(alice, row_id)
    deleted = alice.delete(url(row_id, name))

    assert (put.status_code, put.json["group"], listed) == (201, name, [name])
    assert (deleted.status_code, groups(alice, row_id)) == (204, [])


@pytest.mark.sampled(20)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", NAMES)
def test_a_grant_from_python_is_revoked_over_http(server, host, alice, name):
    (row_id,) = register(alice, "m")
    with host.app.app_context():
        host.registry.grant(row_id, group=name, user=host.load("alice"))
        host.db.session.commit()

    assert alice.delete(url(row_id, name)).status_code == 204
    assert groups(alice, row_id) == []


def test_names_that_differ_by_slashes_are_different_groups(server, host, alice):
    names = ["ops", "/ops", "ops/", "/ops/", "//ops", "o/ps", "o//ps", "%2Fops", "ops%2F"]
    (row_id,) = register(alice, "m")

    assert [alice.put(url(row_id, each), json={}).status_code for each in names] == [201] * 9
    assert groups(alice, row_id) == names
    for each in list(names):
        assert alice.delete(url(row_id, each)).status_code == 204
        names.remove(each)
        assert groups(alice, row_id) == names


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", ["team/ai", "ai/", "/ai", "a//b"])
def test_a_slash_must_be_encoded(host, alice, name):
    (row_id,) = register(alice, "m")
    base = f"{PREFIX}/{row_id}/grants/groups"

    for method in ("PUT", "DELETE"):
        refused = alice.open(f"{base}/{name}", method=method, json={})
        assert refused.status_code == 422
        assert refused.json["errors"] == [
            {"field": "group", "message": "Send each slash in a name as %2F."}
        ]
    assert alice.put(f"{base}/", json={}).status_code == 404
    assert alice.put(base, json={}).status_code == 404
    assert groups(alice, row_id) == []


@pytest.mark.sampled(3)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("raw", RAW)
@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("/team/ai", "team/ai"),  # Apache merges slashes
        ("a//b", "a/b"),
        ("/team/ai", "%2Fteam%2Fai"),  # and with NoDecode leaves them encoded
        ("a%2Fb/", "a%2Fb%2F"),
    ],
)
def test_a_servers_change_of_slashes_is_undone(hosts, raw, name, seen):
    host = hosts(groups=lambda user: ())
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    path = f"{PREFIX}/{row_id}/grants/groups/"
    environ = dict.fromkeys(RAW, "") | {raw: path + quote(name, safe="") + "?x=1"}

    def put(**more):
        overrides = {**environ, "PATH_INFO": path + seen, "QUERY_STRING": "", **more}
        return alice.put(path + "x", json={}, environ_overrides=overrides)

    assert put().json["group"] == name
    assert put(**{raw: f"http://h{environ[raw]}"}).json["group"] == name


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("seen", "sent"),
    [
        ("groups/b", "groups/a%2F..%2Fb"),
        ("users/1", "groups/..%2Fusers%2F1"),
        ("groups/ops", "groups/dev"),
        ("groups/ops", "%67roups/%2Fops"),
        ("groups/\xef\xbf\xbd", "groups/%FF"),
    ],
)
def test_a_name_changed_on_the_way_is_refused(host, alice, seen, sent):
    (row_id,) = register(alice, "m")
    path = f"{PREFIX}/{row_id}/grants/"
    environ = dict.fromkeys(RAW, path + sent) | {"PATH_INFO": path + seen}

    for method in ("PUT", "DELETE"):
        answer = alice.open(path + "groups/x", method=method, json={}, environ_overrides=environ)
        assert answer.status_code == 422, answer.text
    assert host.rows("grants") == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", ["%0A", "a%0Ab", "%00", "%20a", "a%20"])
def test_an_invalid_name_is_refused_and_not_changed(server, host, alice, name):
    (row_id,) = register(alice, "m")

    for method in ("PUT", "DELETE"):
        answer = alice.open(f"{PREFIX}/{row_id}/grants/groups/{name}", method=method, json={})
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == "group"
    assert host.rows("grants") == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", [b"\xff", b"\xc3", b"a\xed\xa0\x80", b"\xe9"])
@pytest.mark.parametrize("raw", [None, *RAW])
def test_a_name_that_is_not_utf_8_is_refused_and_not_replaced(host, alice, raw, name):
    (row_id,) = register(alice, "m")
    path = f"{PREFIX}/{row_id}/grants/groups/"
    environ = {**dict.fromkeys(RAW, ""), "PATH_INFO": path + name.decode("latin-1")}
    if raw:
        environ |= {raw: path + quote(name), "PATH_INFO": path + "\xef\xbf\xbd"}

    for method in ("PUT", "DELETE"):
        answer = alice.open(path + "x", method=method, json={}, environ_overrides=environ)
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == "group"
    assert host.rows("grants") == []


USERS = ["/u/1", "u/", "a//b", "%2F", "100%", "a+b@x", "é?#", "..", "u"]


def test_users_whose_ids_are_text_are_named_exactly(hosts, subtests):
    host = hosts("legacy base, string key")
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    host.new_key = lambda: name

    for name in USERS:
        client = host.client(f"called {name}")
        with subtests.test(name=name):
            put = alice.put(url(row_id, name, "users"), json={})
            sees = client.get(f"{PREFIX}/{row_id}").status_code
            near = alice.delete(url(row_id, f"{name}/", "users")).status_code
            deleted = alice.delete(url(row_id, name, "users")).status_code

            assert (put.status_code, put.json["user"], sees) == (201, name, 200)
            assert (near, deleted) == (404, 204)


@dataclass(frozen=True)
class Number:
    """A class of the host's for its keys."""

    value: int

    def __str__(self):
        return str(self.value)


def stored_as(stored, to_database, from_database):
    """Return a type whose values only the host can make."""

    class Kept(sa.types.TypeDecorator):
        impl = stored
        cache_ok = True

        def process_bind_param(self, value, dialect):
            return None if value is None else to_database(value)

        def process_result_value(self, value, dialect):
            return None if value is None else from_database(value)

    return Kept


def utc(value):
    if value.tzinfo is None:
        raise TypeError
    return value.astimezone(timezone.utc).replace(tzinfo=None)


NEW_YEAR = datetime(2026, 1, 1, 7, 30, tzinfo=timezone.utc)
TYPES = {
    "boolean": (sa.Boolean, True, False),
    "decimal": (sa.Numeric(10, 2), Decimal("1.50"), Decimal("2.00")),
    "longer than a group's name": (sa.String(400), "a" * 300, "b/" * 150),
    "dates of integers": (
        stored_as(sa.Integer, date.toordinal, date.fromordinal),
        date(2026, 1, 1),
        date(2026, 1, 2),
    ),
    "times with a zone": (
        stored_as(sa.DateTime, utc, lambda value: value.replace(tzinfo=timezone.utc)),
        NEW_YEAR,
        NEW_YEAR.replace(hour=8),
    ),
    "objects of the host's": (
        stored_as(sa.Integer, operator.attrgetter("value"), Number),
        Number(1),
        Number(2),
    ),
}


@pytest.mark.parametrize("kind", TYPES)
def test_users_are_named_by_the_string_of_their_key(empty_databases, canary, kind):
    key_type, alice, bob = TYPES[kind]
    db = SQLAlchemy()
    columns = {"key": sa.Column(key_type, primary_key=True, autoincrement=False)}
    User = type("User", (db.Model,), columns)
    app, name = Flask("host"), str(bob)
    app.config.update(SQLALCHEMY_DATABASE_URI=empty_databases().url, **keys(NEW))
    app.test_client_class = Recorder
    app.extensions |= {"seen": [], "statuses": []}
    registry = ModelRegistry(db, User, user_loader=lambda: db.session.get(User, alice))
    db.init_app(app)
    registry.init_app(app)
    with app.app_context():
        db.create_all()
        db.session.add_all([User(key=alice), User(key=bob)])
        db.session.commit()
    client = app.test_client()
    (row_id,) = register(client, "m")

    put = client.put(url(row_id, name, "users"), json={})
    missing = client.put(url(row_id, "99", "users"), json={})
    deleted = client.delete(url(row_id, name, "users"))

    assert (put.status_code, put.json.get("user")) == (201, name)
    assert (missing.status_code, deleted.status_code) == (404, 204)
    canary(app)
    Host(app, db, User, registry).close()


def test_a_model_id_with_slashes_is_found_however_they_are_sent(host, alice):
    (row_id,) = register(alice, "meta/llama/3")
    base = f"{PREFIX}/by-id"

    found = [
        alice.get(f"{base}/{each}").json["id"]
        for each in ("meta/llama/3", "meta%2Fllama%2f3", "meta/llama/3/")
    ]

    assert found == [row_id] * 3
    for other in (
        "meta%2Fllama%2F3%2F",
        "%2Fmeta%2Fllama%2F3",
        "meta%2F%2Fllama%2F3",
        "/meta/llama/3",
    ):
        for method in ("GET", "DELETE"):
            assert alice.open(f"{base}/{other}", method=method).status_code == 404, other


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("prefix", ["/api/v1/models", "/by-id", "/1/grants/groups"])
def test_a_prefix_may_hold_what_comes_before_a_name(hosts, prefix):
    host = hosts(groups=lambda user: (), config={"MODEL_REGISTRY_URL_PREFIX": prefix})
    alice = host.client("alice")
    created = alice.post(f"{prefix}/register", json=model(model_id="team/by-id/7"))
    (row_id, name) = (created.json["id"], quote("team/v1/models/7", safe=""))

    for path in ("v1/models/team/by-id/7", "v1/models/team%2Fby-id%2F7", "by-id/team/by-id/7"):
        assert alice.get(f"{prefix}/{path}").status_code == 200, path
    assert alice.put(f"{prefix}/{row_id}/grants/groups/{name}", json={}).status_code == 201


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "path",
    [
        f"%62y-id/{'a/by-id/' * 2_000}x",
        f"1/grants/%67roups/{'a/1/grants/groups/' * 1_000}x",
        f"by-id/{'by-id/' * 2_000}x",
    ],
)
def test_a_long_path_is_decoded_no_more_than_a_few_times(host, alice, monkeypatch, path):
    decoded = []

    def decode(part):
        decoded.append(len(part))
        return unquote_to_bytes(part)

    monkeypatch.setattr(requests, "unquote_to_bytes", decode)
    response = alice.open(f"{PREFIX}/{path}", method="DELETE")

    assert response.status_code in (404, 422)
    assert len(path) <= sum(decoded) + 10 < 3 * len(path)


@pytest.mark.databases("sqlite")
def test_a_url_is_built_with_slashes_encoded(host):
    with host.app.test_request_context():
        built = host.app.url_for("model_registry.group_grant", id=5, group="/team/ai")

    assert built == f"{PREFIX}/5/grants/groups/%2Fteam%2Fai"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("path", ["//x", "/x/y//", "/%0A", "/5/nothing/%0A", "///"])
def test_whatever_is_below_the_prefix_is_answered_here(host, alice, path):
    answer = alice.get(f"{PREFIX}{path}")

    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"
