"""Rotation, key check, deletions and transfers don't forget a credential's row."""

import random
import sqlite3
import threading
from collections import Counter
from contextlib import closing, suppress
from datetime import datetime, tzinfo

import pytest
import sqlalchemy as sa

from flask_model_registry import (
    ConfigError,
    CredentialInUseError,
    CredentialNameTakenError,
    ModelIdTakenError,
    NotFoundError,
    UnreadableCredentialError,
    ValidationError,
    signals,
)
from flask_model_registry.services import account_credentials, account_secrets
from tests.accounts import ACCOUNTS, AT, add, body, create, resolved, state
from tests.hosts import CANARY, NEW, OLD, PREFIX, key_id, make_host, model, register
from tests.upstream import Upstream, answers


@pytest.fixture
def rotated(process):
    """Return hosts of before and after a rotation, and a credential with a model."""
    first = process(OLD)
    alice = first.client("alice")
    made = create(alice)
    add(alice, made["id"], "on-account")
    register(alice, "own")
    return first, process(NEW, OLD), made


def test_rotation_seals_credentials_again(rotated, process):
    _, later, made = rotated
    before = later.rows("credentials")[0]

    assert later.run("rotate-keys", "--dry-run")[1] == 0
    assert later.rows("credentials")[0] == before
    output, status = later.run("rotate-keys")

    after = later.rows("credentials")[0]
    assert status == 0, output
    assert (before.key_id, after.key_id) == (key_id(OLD), key_id(NEW))
    kept = {"ciphertext": None, "key_id": None}
    assert {**before._asdict(), **kept} == {**after._asdict(), **kept}
    alone = process(NEW)
    assert resolved(alone, "on-account").api_key.reveal() == CANARY
    assert resolved(alone, "on-account").headers["X-Team"].reveal() == CANARY + "-header"
    assert alone.run("verify-keys")[0].splitlines()[-1] == "2 of 2 API keys can be decrypted."
    assert alone.client("alice").get(f"{ACCOUNTS}/{made['id']}").json == made


def test_the_key_check_and_the_commands_count_credentials(rotated, process):
    first, later, made = rotated
    models = first.registry.tables.models
    first.execute(sa.delete(models).where(models.c.model_id == "own"))

    assert f"1  opens    '{key_id(OLD)}'" in later.run("list-keys")[0]
    assert "1 in model_registry_credentials" in later.run("doctor")[0]
    without = process(NEW)
    with without.app.app_context(), pytest.raises(ConfigError, match="is not configured"):
        without.registry.list(user=without.load("alice"))
    warned = process(NEW, MODEL_REGISTRY_KEY_CHECK="warning")
    output, status = warned.run("verify-keys")
    assert f"credential {made['id']} 'team' of user" in output
    assert status == 1
    with pytest.raises(UnreadableCredentialError):
        resolved(warned, "on-account")
    alice = warned.client("alice")
    assert alice.get(f"{ACCOUNTS}/{made['id']}/secret").json["status"] == "unreadable"
    assert alice.patch(f"{ACCOUNTS}/{made['id']}/secret", json={"headers": None}).status_code == 409
    restored = alice.put(f"{ACCOUNTS}/{made['id']}/secret", json={"api_key": "sk-new"})
    assert restored.status_code == 204
    assert resolved(warned, "on-account").api_key.reveal() == "sk-new"


@pytest.mark.sampled(3)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "text",
    [
        *(CANARY, "[]", '"x"', "{}", "[" * 100_000, '{"api_key": "k", "headers": 1}'),
        *('{"api_key": 5, "headers": {}}', '{"api_key": "k", "headers": {"X-A": null}}'),
        '{"api_key": "k", "headers": [["X-A", "v"]]}',
    ],
    ids=range(9),
)
def test_an_invalid_secret_is_unreadable(hosts, text):
    """For example, if the host's secret_box returns another value."""
    host = hosts()
    made = create(host.client("alice"))
    (row_id,) = add(host.client("alice"), made["id"], "a")
    host.services.keys.credentials._secret_box.open = lambda blob, context: text

    with pytest.raises(UnreadableCredentialError) as caught:
        resolved(host, "a")

    assert caught.value.__cause__ is caught.value.__context__ is None
    url = f"{ACCOUNTS}/{made['id']}/secret"
    assert host.client("alice").patch(url, json={"headers": {}}).status_code == 409
    assert host.client("alice").get(url).json["status"] == "unreadable"
    assert state(host.client("alice"), row_id)["status"] == "unreadable"


def by_orm(host):
    host.db.session.delete(host.load("alice"))


def by_sql(host):
    host.db.session.execute(sa.delete(host.User).where(host.User.name == "alice"))


def by_the_registry(host):
    host.registry.user_deleted(host.load("alice"))
    host.db.session.delete(host.load("alice"))


@pytest.mark.parametrize("delete", [by_orm, by_sql, by_the_registry])
def test_credentials_go_with_their_owner(hosts, delete):
    host = hosts()
    alice, bob = host.client("alice"), host.client("bob")
    add(alice, create(alice)["id"], "a")
    add(bob, create(bob)["id"], "b")
    (stray,) = add(bob, create(bob, name="other")["id"], "stray")
    alices = host.rows("credentials")[0].id
    models = host.registry.tables.models
    refer = sa.update(models).where(models.c.id == stray).values(credential_id=alices)
    host.execute(refer)  # without the library's code

    with host.app.app_context():
        delete(host)
        host.db.session.commit()

    assert {row.owner_id for row in host.rows("credentials")} == {host.user("bob")}
    assert {row.model_id: row.credential_id is None for row in host.rows("models")} == {
        "b": False,
        "stray": True,
    }


@pytest.mark.databases("sqlite")
def test_a_new_user_inherits_no_credential(hosts):
    host = hosts()
    create(host.client("alice"))
    with host.app.app_context():
        file = host.db.engine.url.database
    with closing(sqlite3.connect(file)) as connection:  # the registry does not know this connection
        connection.executescript("DROP TRIGGER model_registry_user_deleted; DELETE FROM user")
    assert len(host.rows("credentials")) == 1
    assert "1 credentials are of users who are gone" in host.run("doctor")[0]

    key = host.users.pop("alice")
    assert host.user("carol") == key

    assert host.client("carol").get(ACCOUNTS).json == []
    assert host.rows("credentials") == []


def test_a_new_owner_gets_models_with_their_credentials(host, alice, bob):
    made = create(alice)
    add(alice, made["id"], "a")
    with host.app.app_context():
        host.registry.user_deleted(host.load("alice"), transfer_to=host.load("bob"))
        host.db.session.commit()

    assert [each["id"] for each in bob.get(ACCOUNTS).json] == [made["id"]]
    assert alice.get(ACCOUNTS).json == []
    assert bob.patch(f"{PREFIX}/by-id/a", json={"is_active": True}).status_code == 200
    assert resolved(host, "a", "bob").api_key.reveal() == CANARY


def test_all_names_that_the_new_owner_also_has_are_reported(host, alice, bob):
    for client in (alice, bob):
        made = create(client)
        create(client, name="second")
        add(client, made["id"], "a", "b")
    create(alice, name="third")
    before = host.rows("models"), host.rows("credentials")

    with host.app.app_context():
        users = host.load("alice"), host.load("bob")
        with pytest.raises(ModelIdTakenError, match=r"called: a, b\..* called: second, team"):
            host.registry.user_deleted(users[0], transfer_to=users[1])
        host.db.session.rollback()
    assert (host.rows("models"), host.rows("credentials")) == before

    host.execute(sa.delete(host.registry.tables.models))
    with host.app.app_context():
        users = host.load("alice"), host.load("bob")
        with pytest.raises(CredentialNameTakenError):
            host.registry.user_deleted(users[0], transfer_to=users[1])


def test_a_model_is_given_away_without_the_credential(host, alice, bob):
    made = create(alice)
    (row_id,) = add(alice, made["id"], "a")
    (own,) = register(alice, "own")
    to = {"user": str(host.user("bob"))}

    refused = alice.post(f"{PREFIX}/{row_id}/transfer", json=to)
    assert (refused.status_code, refused.json["type"].rpartition(":")[2]) == (
        409,
        "credential-in-use",
    )
    for each in (row_id, own):
        given = alice.post(f"{PREFIX}/{each}/transfer", json={**to, "without_key": True})
        assert given.status_code == 204
        assert state(bob, each)["is_set"] is False
    assert alice.get(f"{ACCOUNTS}/{made['id']}/secret").json["status"] == "readable"
    assert {(row.credential_id, row.ciphertext) for row in host.rows("models")} == {(None, None)}


def test_calls_from_python(host, bob):
    registry = host.registry
    with host.app.app_context():
        alice = host.load("alice")
        account = {"model_provider": "openai", "secret": {"api_key": CANARY}}
        made = registry.create_credential(name="team", user=alice, **account)
        models = [{"model_id": each, "model_name": each} for each in "abcde"]
        created = registry.create_models(made["id"], models, user=alice)
        assert [each["model_id"] for each in created] == [*"abcde"]
        assert registry.resolve("e", user=alice).api_key.reveal() == CANARY
        assert registry.credentials(user=alice) == [made]
        assert registry.credential(made["id"], user=alice) == made
        with pytest.raises(NotFoundError):
            registry.credential(made["id"], user=host.load("bob"))
        registry.update_secret(made["id"], headers={"X-A": "1"}, user=alice)
        assert registry.resolve("a", user=alice).headers["X-A"].reveal() == "1"
        registry.set_secret(made["id"], api_key="sk-2", user=alice)
        assert registry.resolve("a", user=alice).openai_kwargs()["api_key"] == "sk-2"
        changed = registry.update_credential(
            made["id"], name="new", settings={"project": "p"}, user=alice
        )
        assert (changed["name"], changed["settings"]) == ("new", {"project": "p"})
        registry.create(**model(model_id="own"), user=alice)
        second = registry.create_credential(
            name="2", from_model=registry.get("own", user=alice)["id"], user=alice
        )
        registry.use_credential("own", made["id"], user=alice)
        registry.delete_credential(second["id"], user=alice)
        with pytest.raises(CredentialInUseError):
            registry.delete_credential(made["id"], user=alice)
        with pytest.raises(CredentialInUseError):
            registry.transfer("own", host.load("bob"), user=alice)
        registry.transfer("own", host.load("bob"), user=alice, without_key=True)
        with pytest.raises(ValidationError):
            registry.transfer("a", host.load("bob"), user=alice, without_key="false")
        registry.update("a", api_key="sk-own", user=alice)
        assert registry.resolve("a", user=alice).api_key.reveal() == "sk-own"
        registry.delete_credential(made["id"], user=alice, detach=True)
        assert registry.credentials(user=alice) == []
        with pytest.raises(UnreadableCredentialError):
            registry.resolve("b", user=alice)


class NoOffset(tzinfo):
    """A time zone without an offset, so that a time is naive."""

    def utcoffset(self, moment):
        return None


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("zone", [None, NoOffset()])
def test_a_time_without_an_offset_is_refused(host, zone):
    account = {"model_provider": "openai", "secret": {"api_key": CANARY}}
    with host.app.app_context(), pytest.raises(ValidationError, match="expires_at"):
        host.registry.create_credential(
            name="a",
            expires_at=datetime(2030, 1, 1, tzinfo=zone),
            user=host.load("alice"),
            **account,
        )


@pytest.mark.sampled(1)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("is_guarded", [True, False])
def test_without_the_guard_a_redirect_takes_headers_elsewhere(host, alice, is_guarded):
    """The SDK follows it with a credential's headers, and only leaves the API key out."""
    openai = pytest.importorskip("openai")
    elsewhere = Upstream(answers())
    location = f"Location: http://localhost:{elsewhere.port}/v1/models"
    upstream = Upstream(answers(status="307 Moved", headers=[location]))
    base_url = f"http://localhost:{upstream.port}/v1"
    add(alice, create(alice, model_provider="vllm", base_url=base_url)["id"], "m")
    found = resolved(host, "m")
    guard = {"http_client": found.http_client()} if is_guarded else {}

    with (
        suppress(openai.APIStatusError),
        openai.OpenAI(**found.openai_kwargs(), **guard) as client,
    ):
        client.models.with_raw_response.list()

    assert [CANARY + "-header" in each for each in upstream.requests] == [True]
    assert [CANARY + "-header" in each for each in elsewhere.requests] == [True] * (not is_guarded)
    assert [each for each in elsewhere.requests if f"Bearer {CANARY}" in each] == []
    for each in (upstream, elsewhere):
        each.close()


def test_signals_about_credentials_hold_no_secret(host, alice):
    heard, key = [], host.user("alice")
    names = ["credential_created", "credential_updated", "credential_deleted", "created", "updated"]

    def receiver(_app, **facts):
        heard.append(facts)

    for name in names:
        getattr(signals, name).connect(receiver)
    made = create(alice, base_url=AT)
    (row_id,) = add(alice, made["id"], "a")
    url = f"{ACCOUNTS}/{made['id']}"
    alice.put(f"{url}/secret", json={"api_key": CANARY})
    alice.patch(url, json={"base_url": "https://b.example.com", "secret": {"api_key": CANARY}})
    alice.patch(url, json={})
    alice.delete(f"{url}?detach=true")
    for name in names:
        getattr(signals, name).disconnect(receiver)

    about = {"actor": key, "credential": made["id"], "name": "team", "owner": key}
    of_model = {"actor": key, "id": row_id, "model_id": "a", "owner": key}
    assert heard == [
        {"event": "credential_created", **about},
        {"event": "created", **of_model},
        {"event": "credential_updated", **about, "changed": ["secret"]},
        {"event": "credential_updated", **about, "changed": ["base_url", "secret"]},
        {"event": "updated", **of_model, "changed": ["base_url"]},
        {"event": "updated", **of_model, "changed": ["api_key"]},
        {"event": "credential_deleted", **about},
    ]
    assert CANARY not in repr(heard)


def test_a_look_up_of_a_credential_takes_one_statement_more(host, alice):
    add(alice, create(alice)["id"], "a")
    register(alice, "own")
    seen = []
    with host.app.app_context():
        sa.event.listen(
            host.db.engine, "before_cursor_execute", note := lambda *args: seen.append(args[2])
        )
    counts = []
    for model_id in ("own", "a"):
        seen.clear()
        resolved(host, model_id)
        counts.append(
            sum("model_registry_models" in each or "_credentials" in each for each in seen)
        )
    with host.app.app_context():
        sa.event.remove(host.db.engine, "before_cursor_execute", note)

    assert counts == [1, 2]


@pytest.mark.databases("sqlite")
def test_statements_for_many_rows_read_no_long_columns(host, alice):
    made = create(alice)
    add(alice, made["id"], "a", "b")
    url, seen = f"{ACCOUNTS}/{made['id']}", []
    moved = {"base_url": AT, "secret": {"api_key": CANARY}}
    with host.app.app_context():
        sa.event.listen(
            host.db.engine, "before_cursor_execute", note := lambda *args: seen.append(args[2])
        )
    answers = [alice.get(ACCOUNTS)]
    listed, seen[:] = "".join(seen), []
    answers += alice.delete(url), alice.patch(url, json=moved), alice.delete(f"{url}?detach=true")
    with host.app.app_context():
        sa.event.remove(host.db.engine, "before_cursor_execute", note)

    assert [each.status_code for each in answers] == [200, 409, 200, 204]
    assert "credentials.secret_names" in listed
    assert "credentials.ciphertext" not in listed
    read = [each for each in seen if each.startswith("SELECT") and "_models" in each]
    assert len(read) >= 3
    long = "ciphertext", "description", "parameters", "info"
    assert [name for name in long if f"models.{name}" in "".join(read)] == []


def acts(made, ids):
    """Return what clients do at once with two credentials and some models."""
    accounts = [f"{ACCOUNTS}/{each}" for each in made]
    places = [AT, "https://b.example.com/v1"]

    def pick(chance):
        row_id, account = chance.choice(ids), chance.choice(accounts)
        model_url, place = f"{PREFIX}/{row_id}", chance.choice(places)
        number = chance.randrange(10**9)
        secret = {"api_key": f"sk-{number}"}
        return chance.choice(
            [
                ("put", f"{model_url}/credential", {"credential": int(account.rpartition("/")[2])}),
                ("put", f"{model_url}/credential", secret),
                ("delete", f"{model_url}/credential", None),
                ("patch", model_url, {"base_url": place, **secret}),
                ("patch", account, {"base_url": place, "secret": secret}),
                ("put", f"{account}/secret", secret),
                ("patch", f"{account}/secret", {"headers": {"X-A": str(number)}}),
                ("post", f"{account}/models",
                 {"models": [{"model_id": f"new-{number}-{each}", "model_name": "m"} for each in range(3)]}),
                ("post", ACCOUNTS, {"name": f"of {number}", "from_model": row_id}),
                ("delete", f"{accounts[-1]}?detach=true", None),
                ("delete", accounts[0], None),
            ]
        )  # fmt: skip

    return pick


@pytest.mark.slow
@pytest.mark.races
def test_all_of_it_at_once_ends_in_no_5xx_and_no_key_elsewhere(database, empty_databases, canary):
    options = {"pool_size": 10, "max_overflow": 0, "pool_timeout": 60}
    if database.name == "sqlite":
        options["connect_args"] = {"timeout": 60}
    config = {"SQLALCHEMY_ENGINE_OPTIONS": options, "MODEL_REGISTRY_ENCRYPTION_KEYS": [NEW, OLD]}
    host = make_host(empty_databases().url, config=config)
    alice = host.client("alice")
    made = [create(alice, name=f"account {each}", base_url=AT)["id"] for each in range(3)]
    ids = [row_id for each in made for row_id in add(alice, each, f"m{each}-a", f"m{each}-b")]
    pick, seen, token = acts(made, ids), [], host.token("alice")

    def work(seed):
        chance, client = random.Random(seed), host.app.test_client()
        for _ in range(60):
            method, url, body = pick(chance)
            headers = {"Authorization": f"Bearer {token}"}
            response = getattr(client, method)(url, json=body, headers=headers)
            seen.append((method, response.status_code))

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(6)]
    for each in threads:
        each.start()
    for _ in range(3):
        assert host.run("rotate-keys")[1] == 0
    for each in threads:
        each.join()

    canary(host.app)
    statuses = Counter(seen)
    assert len(seen) == 6 * 60
    assert {status for _, status in statuses} <= {200, 201, 204, 404, 409, 422}, statuses
    assert statuses["put", 204] > 0
    accounts = {row.id: row for row in host.rows("credentials")}
    for row in host.rows("models"):
        assert row.credential_id is None or row.ciphertext is None
        if row.credential_id is not None:
            account = accounts[row.credential_id]
            assert account.owner_id == row.owner_id
            assert account.base_url == row.base_url
            assert resolved(host, row.id).api_key.reveal()
    assert host.run("verify-keys")[1] == 0
    host.close()


def test_a_models_own_key_comes_before_its_credential(host, alice):
    """0.1.0 may set an API key, because it has no credentials."""
    made = create(alice)
    (own, other) = (register(alice, "own")[0], add(alice, made["id"], "other")[0])
    models = host.registry.tables.models
    host.execute(sa.update(models).where(models.c.id == own).values(credential_id=made["id"]))

    found = resolved(host, "own")

    assert (found.headers, found.settings) == ({}, {})
    assert resolved(host, other).headers != {}
    assert state(alice, own)["credential"] is None


def test_verify_keys_counts_no_secret_that_calls_refuse(host, alice, monkeypatch):
    made = create(alice)
    add(alice, made["id"], "m")
    assert host.run("verify-keys")[1] == 0
    monkeypatch.setattr(account_secrets, "is_header", lambda name: name != "X-Team")

    output, status = host.run("verify-keys")

    assert status == 1
    assert f"credential {made['id']} 'team' of user" in output
    assert "no longer allowed" in output


def test_rotation_keeps_a_secret_that_calls_refuse(rotated, process, monkeypatch):
    _, later, made = rotated
    with monkeypatch.context() as patched:
        patched.setattr(account_secrets, "is_header", lambda name: name != "X-Team")
        assert later.run("rotate-keys", "--dry-run")[1] == 0
        assert later.run("rotate-keys")[1] == 0

    assert resolved(process(NEW), "on-account").headers["X-Team"].reveal() == CANARY + "-header"


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        ({"secrets": ["api_key"]}, (["api_key"], [])),
        ({"secrets": "api_key", "headers": {"a": 1}}, ([], [])),
        ({"secrets": [1, "api_key", None], "headers": [["x"]]}, (["api_key"], [])),
        ([], ([], [])),
        (7, ([], [])),
        ("x", ([], [])),
    ],
    ids=str,
)
def test_only_valid_names_are_shown_after_a_change_in_sql(host, alice, stored, names):
    made = create(alice)
    host.execute(host.registry.tables.credentials.update().values(secret_names=stored))

    one = alice.get(f"{ACCOUNTS}/{made['id']}")
    state = alice.get(f"{ACCOUNTS}/{made['id']}/secret")

    assert (one.status_code, state.status_code) == (200, 200)
    assert (one.json["secrets"], one.json["headers"]) == names
    assert (state.json["secrets"], state.json["headers"]) == names
    assert alice.get(ACCOUNTS).json == [one.json]
    assert state.json["status"] == "readable"
    assert alice.patch(f"{ACCOUNTS}/{made['id']}", json={"name": "new"}).status_code == 200


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("stored", ["", "{", "x", "'", "[" * 100_000, b"\xff", 7], ids=range(7))
def test_names_that_are_not_json_are_ignored(host, alice, tmp_path, stored):
    made = create(alice)
    add(alice, made["id"], "m")
    url, columns = f"{ACCOUNTS}/{made['id']}", host.registry.tables.credentials.c
    host.execute(sa.text(f"UPDATE {columns.id.table} SET secret_names = :it").bindparams(it=stored))

    read = [alice.get(url), alice.get(f"{url}/secret")]
    listed, details = alice.get(ACCOUNTS), alice.get(f"{PREFIX}/details")
    renamed = alice.patch(url, json={"name": "new"})
    path = str(tmp_path / "registry.jsonl")
    commands = [["doctor"], ["verify-keys"], ["list-credentials"], ["export", "--output", path]]
    commands += [["import", "--on-conflict", "update", path], ["rotate-keys"]]
    ran = [host.run(*each) for each in commands]

    assert [each.status_code for each in (*read, listed, details, renamed)] == [200] * 5
    assert [(each.json["secrets"], each.json["headers"]) for each in read] == [([], [])] * 2
    assert read[1].json["status"] == "readable"
    assert listed.json == [read[0].json]
    assert resolved(host, "m").api_key.reveal() == CANARY
    assert [status for _, status in ran] == [0] * len(commands), ran
    assert alice.put(f"{url}/secret", json={"api_key": CANARY}).status_code == 204
    assert alice.get(url).json["secrets"] == ["api_key"]


def test_a_header_that_is_refused_now_keeps_the_secret_from_being_used(host, alice, monkeypatch):
    made = create(alice)
    add(alice, made["id"], "m")
    monkeypatch.setattr(account_secrets, "is_header", lambda name: name != "X-Team")

    with pytest.raises(UnreadableCredentialError, match="no longer allowed"):
        resolved(host, "m")
    assert alice.get(f"{ACCOUNTS}/{made['id']}/secret").json["status"] == "unreadable"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_beyond_all_calendars_is_refused(alice, moment):
    response = alice.post(ACCOUNTS, json={**body(), "expires_at": moment})

    assert response.status_code == 422
    assert response.json["errors"] == [{"field": "expires_at", "message": "Must be a valid time."}]


def test_a_credential_that_is_not_locked_after_all_is_not_overwritten(host, alice, monkeypatch):
    """Such as on a connection that commits by itself."""
    made = create(alice)
    encrypted_columns = account_credentials.encrypted_columns

    def meanwhile(*arguments):
        table = host.registry.tables.credentials
        host.db.session.execute(sa.update(table).values(version=table.c.version + 1))
        return encrypted_columns(*arguments)

    monkeypatch.setattr(account_credentials, "encrypted_columns", meanwhile)
    response = alice.put(f"{ACCOUNTS}/{made['id']}/secret", json={"api_key": CANARY})

    assert response.status_code == 409
    assert "changed at the same time" in response.json["detail"]
