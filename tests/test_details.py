"""Details beyond a model's 17 fields, as each user may see them."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from flask_model_registry import NotFoundError, Provider
from flask_model_registry.db.representation import rfc_3339
from tests.hosts import CANARY, PREFIX, granted, register
from tests.roles import account

URL = "https://a.example.com/v1"
NAMES = {
    "model", "owner", "relations", "groups", "address", "is_provider_address", "key", "test",
    "grants", "parameters", "info",
}  # fmt: skip


def detailed(client, row_id):
    response = client.get(f"{PREFIX}/{row_id}/details")
    assert response.status_code == 200, response.text
    return response.json


def write(host, row_id, **columns):
    models = host.registry.tables.models
    host.execute(sa.update(models).where(models.c.id == row_id).values(**columns))


def test_the_owner_sees_all_details(host, alice):
    (row_id,) = register(alice, "m", base_url=URL)
    granted(alice, row_id, user=host.user("bob"))
    granted(alice, row_id, user=host.user("carol"))
    granted(alice, row_id, group="g")
    both = {"parameters": {"seed": 1}, "info": {"a": 1}}
    alice.put(f"{PREFIX}/{row_id}/parameters", json=both)

    found = detailed(alice, row_id)

    assert {*found} == NAMES
    assert found == {
        "model": alice.get(f"{PREFIX}/{row_id}").json,
        "owner": str(host.user("alice")),
        "relations": ["owner"],
        "groups": [],
        "address": URL,
        "is_provider_address": False,
        "key": {
            "is_set": True,
            "updated_at": found["model"]["created_at"],
            "expires_at": None,
            "credential": None,
        },
        "test": None,
        "grants": {"users": 2, "groups": 1},
        **both,
    }
    with host.app.app_context():
        user = host.load("alice")
        assert host.registry.details("m", user=user) == found
        assert host.registry.details(row_id, user=user) == found


def test_others_see_why_they_can_see_the_model_and_nothing_of_the_owners(hosts):
    """They only see their own groups, however many others there are."""
    host = hosts(groups=lambda user: {"bob": ["b", "a", "c"], "carol": ["c"]}.get(user.name, []))
    alice = host.client("alice", is_admin=True)
    (row_id,) = register(alice, "m", share_with_users=True)
    granted(alice, row_id, user=host.user("bob"))
    granted(alice, row_id, user=host.user("dan"))
    for group in ("a", "b", "d"):
        granted(alice, row_id, group=group)

    found = {name: detailed(host.client(name), row_id) for name in ("alice", "bob", "carol", "dan")}

    assert {name: (each["relations"], each["groups"]) for name, each in found.items()} == {
        "alice": (["owner", "everyone"], []),
        "bob": (["everyone", "grantee", "group"], ["a", "b"]),
        "carol": (["everyone"], []),
        "dan": (["everyone", "grantee"], []),
    }
    assert [each["grants"] for each in found.values()] == [
        {"users": 2, "groups": 3},
        None,
        None,
        None,
    ]
    assert {each["owner"] for each in found.values()} == {str(host.user("alice"))}


def test_the_credential_is_named_to_its_owner_alone(host, alice):
    body = {"name": "team", "model_provider": "openai", "secret": {"api_key": CANARY},
            "expires_at": "2030-01-01T00:00:00Z"}  # fmt: skip
    made = alice.post(f"{PREFIX}/credentials", json=body).json
    models = {"models": [{"model_id": "m", "model_name": "m"}]}
    ((created),) = alice.post(f"{PREFIX}/credentials/{made['id']}/models", json=models).json
    granted(alice, created["id"], user=host.user("bob"), can_edit=True)

    of_owner, of_editor = (
        detailed(host.client(name), created["id"])["key"] for name in ("alice", "bob")
    )

    shown = {
        "is_set": True,
        "updated_at": made["secret_updated_at"],
        "expires_at": made["expires_at"],
    }
    assert of_owner == {**shown, "credential": {"id": made["id"], "name": "team"}}
    assert of_editor == {**shown, "credential": None}


def test_a_credential_of_another_user_is_not_a_key(host, alice, bob):
    """Only SQL can make a model refer to one."""
    (row_id,) = register(alice, "m")
    alice.delete(f"{PREFIX}/{row_id}/credential")
    write(host, row_id, credential_id=account(bob))

    key = detailed(alice, row_id)["key"]

    assert (key["is_set"], key["credential"], key["expires_at"]) == (False, None, None)


def test_a_models_own_key_comes_before_a_credential(host, alice):
    """0.1.0 may set API keys beside this version, and has no credentials."""
    (row_id,) = register(alice, "m")
    write(host, row_id, credential_id=account(alice))

    key = detailed(alice, row_id)["key"]

    assert (key["is_set"], key["credential"]) == (True, None)


NOW = datetime.fromisoformat("2026-01-01T12:00:00")
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("whose", "changed", "is_shown"),
    [
        ("model", None, True),
        *((whose, *each) for whose in ("model", "credential")
          for each in ((EARLIER, True), (NOW, True), (LATER, False))),
    ],
)  # fmt: skip
def test_a_test_is_shown_unless_the_secret_is_newer(host, alice, whose, changed, is_shown):
    (row_id,) = register(alice, "m")
    if whose == "credential":
        alice.put(f"{PREFIX}/{row_id}/credential", json={"credential": account(alice)})
        accounts = host.registry.tables.credentials
        host.execute(sa.update(accounts).values(secret_updated_at=changed))
        write(host, row_id, credential_updated_at=EARLIER)
    else:
        write(host, row_id, credential_updated_at=changed)
    write(host, row_id, test_result="ok", test_latency_ms=12, tested_at=NOW)

    shown = {"result": "ok", "latency_ms": 12, "at": rfc_3339(NOW)}
    assert detailed(alice, row_id)["test"] == (shown if is_shown else None)


def test_an_untested_model_has_no_test(alice):
    (row_id,) = register(alice, "m")

    assert detailed(alice, row_id)["test"] is None


def test_the_address_is_the_url_that_is_called(hosts):
    host = hosts(providers=[Provider("acme", "Acme", "https://acme.example.com/v1")])
    alice = host.client("alice")
    (own,) = register(alice, "own", model_provider="gemini",
                      base_url="https://generativelanguage.googleapis.com/v1beta")  # fmt: skip
    (acmes,) = register(alice, "acme", model_provider="acme")
    with host.app.app_context():
        called = host.registry.resolve("own", user=host.load("alice")).base_url

    shown = [detailed(alice, each) for each in (own, acmes)]
    write(host, acmes, model_provider="gone")
    gone = detailed(alice, acmes)

    assert [each["address"] for each in shown] == [called, "https://acme.example.com/v1"]
    assert called.endswith("/v1beta/openai")
    assert [each["is_provider_address"] for each in shown] == [False, True]
    assert gone["address"] is None


QUERIES = [
    "", "?limit=2", "?sort=-id&limit=2", "?is_active=all", "?is_active=false", "?owned=true", "?owned=false",
    "?category=embedding", "?model_provider=together_ai", "?ability=chat", "?q=m1",
]  # fmt: skip


@pytest.mark.sampled(4)
@pytest.mark.parametrize("query", QUERIES)
def test_a_list_of_details_has_the_models_and_pages_of_the_list(host, alice, query):
    register(alice, "m1", "m2", abilities=["chat"])
    register(alice, "m3", model_provider="together")
    register(alice, "m4", category="embedding")
    (off,) = register(alice, "m5")
    alice.patch(f"{PREFIX}/{off}", json={"is_active": False})
    carol = host.client("carol")
    for row_id in register(carol, "m6", "m7"):
        granted(carol, row_id, user=host.user("alice"))

    def pages(path):
        found = []
        while path:
            response = alice.get(path)
            assert response.status_code == 200
            found.append(response.json)
            link = response.headers.get("Link", "")
            path = link.partition("<")[2].partition(">")[0]
        return found

    listed, of_details = pages(f"{PREFIX}/{query}"), pages(f"{PREFIX}/details{query}")

    assert [[each["model"] for each in page] for page in of_details] == listed
    for page in of_details:
        for each in page:
            assert each == detailed(alice, each["model"]["id"])


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?after=x", "?unknown=1"])
def test_a_list_of_details_refuses_what_the_list_refuses(alice, query):
    listed, of_details = (alice.get(f"{PREFIX}{path}{query}") for path in ("/", "/details"))

    assert listed.status_code == 422
    assert (of_details.status_code, of_details.json) == (422, listed.json)


def test_a_gone_model_has_no_details(host, alice):
    (row_id,) = register(alice, "m")
    alice.delete(f"{PREFIX}/{row_id}")

    assert alice.get(f"{PREFIX}/{row_id}/details").status_code == 404
    with host.app.app_context(), pytest.raises(NotFoundError):
        host.registry.details(row_id, user=host.load("alice"))


@pytest.mark.databases("sqlite")
def test_nothing_is_decrypted_and_no_ciphertext_is_read(host, alice, monkeypatch):
    (row_id,) = register(alice, "m")
    register(alice, "n")
    alice.put(f"{PREFIX}/{row_id}/credential", json={"credential": account(alice)})
    credentials = host.services.keys.credentials
    monkeypatch.setattr(type(credentials), "decrypt", None)
    host.execute(sa.update(host.registry.tables.models).values(key_id="gone"))

    assert len(alice.get(f"{PREFIX}/details").json) == 2
    assert detailed(alice, row_id)["key"]["is_set"] is True


@pytest.mark.parametrize("number", [0, 1, 30])
def test_a_page_of_details_takes_as_many_statements_however_long_it_is(host, alice, number):
    ids = register(alice, *(f"m{each}" for each in range(number)))
    for row_id in ids[:5]:
        granted(alice, row_id, user=host.user("bob"))
        granted(alice, row_id, group="g")
    seen = []
    with host.app.app_context():
        engine = host.db.engine

    def note(connection, cursor, statement, *_):
        if "model_registry" in statement:
            seen.append(statement)

    alice.get(f"{PREFIX}/")
    sa.event.listen(engine, "before_cursor_execute", note)
    assert len(alice.get(f"{PREFIX}/details?limit=100").json) == number
    sa.event.remove(engine, "before_cursor_execute", note)

    assert len(seen) == (3 if number else 1)


@pytest.mark.sampled(3)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("groups", [0, 1, 100])
@pytest.mark.parametrize("path", ["/details", "/details?limit=10&sort=-id", "/1/details"])
def test_no_details_read_a_whole_table(hosts, groups, path):
    host = hosts(groups=lambda user: [f"g{number}" for number in range(groups)])
    client, seen = host.client("alice"), []
    (row_id,) = register(client, "m")
    granted(client, row_id, group="g0")
    with host.app.app_context():
        engine = host.db.engine
        sa.event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2:4]))

    assert client.get(PREFIX + path).status_code == 200

    selects = [each for each in seen if each[0].startswith("SELECT model_registry")]
    assert len(selects) == 3
    for statement, parameters in selects:
        with host.app.app_context():
            plan = host.db.session.connection().exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            steps = [row.detail for row in plan]
        assert [step for step in steps if step.startswith("SCAN model_registry")] == []
        assert any(step.startswith("SEARCH model_registry") for step in steps)


@pytest.mark.databases("sqlite", "postgresql")
def test_times_with_a_zone_are_shown_in_utc(hosts, database):
    host = hosts()
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    table = host.registry.tables.models.name
    for name in ("created_at", "credential_updated_at"):
        if database.name == "sqlite":
            change = f"UPDATE {table} SET {name} = '2026-01-31 03:00:00+02:00'"
        else:
            change = (
                f"ALTER TABLE {table} ALTER {name} TYPE timestamptz USING '2026-01-31 03:00+02'"
            )
        host.execute(sa.text(change))

    created = [
        alice.get(f"{PREFIX}/").json[0]["created_at"],
        alice.get(f"{PREFIX}/{row_id}").json["created_at"],
        alice.get(f"{PREFIX}/{row_id}/credential").json["updated_at"],
    ]

    assert created == ["2026-01-31T01:00:00.000000Z"] * 3
