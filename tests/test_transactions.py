"""One transaction per request, which commits all or nothing, and nothing of the host's."""

import contextlib
import threading

import pytest
import sqlalchemy as sa

from flask_model_registry import ModelIdTakenError
from tests.accounts import ACCOUNTS, attach, create
from tests.hosts import PREFIX, granted, model, register


@pytest.fixture
def events(host):
    """Collect commits and rollbacks; fail statements that hold a given text."""
    seen, failing = [], []
    with host.app.app_context():
        engine = host.db.engine

    def fail(connection, cursor, statement, *_):
        if any(text in statement for text in failing):
            raise sa.exc.OperationalError(statement, {}, Exception("connection lost"))

    listeners = {
        "commit": lambda connection: seen.append("commit"),
        "rollback": lambda connection: seen.append("rollback"),
        "before_cursor_execute": fail,
    }
    for name, listener in listeners.items():
        sa.event.listen(engine, name, listener)
    yield seen, failing
    for name, listener in listeners.items():
        sa.event.remove(engine, name, listener)


def test_a_register_commits_once(alice, events):
    seen, _ = events

    alice.post(f"{PREFIX}/register", json=model(abilities=["chat", "vision"]))

    assert seen.count("commit") == 1


@pytest.mark.parametrize("path", ["/", "/{id}", "/by-id/x"])
def test_reading_does_not_commit(alice, events, path):
    seen, _ = events
    (row_id,) = register(alice, "x")
    seen.clear()

    response = alice.get(PREFIX + path.format(id=row_id))

    assert response.status_code == 200
    assert "commit" not in seen


@pytest.mark.forces_errors
def test_a_register_that_fails_half_way_leaves_nothing(host, alice, events):
    _, failing = events
    failing.append("INTO model_registry_abilities")

    response = alice.post(f"{PREFIX}/register", json=model(abilities=["chat"]))

    failing.clear()
    assert response.status_code == 503
    assert host.rows("models") == host.rows("abilities") == []
    assert alice.post(f"{PREFIX}/register", json=model(abilities=["chat"])).status_code == 201


def test_the_response_is_unchanged_if_the_row_is_deleted_at_once(host, alice, monkeypatch):
    table = host.registry.tables.models
    commit = host.db.session.commit

    def commit_and_lose():
        commit()
        with host.db.engine.begin() as connection:
            connection.execute(table.delete())

    monkeypatch.setattr(host.db.session, "commit", commit_and_lose)

    response = alice.post(f"{PREFIX}/register", json=model())

    assert (response.status_code, response.json["model_id"]) == (201, "gpt-4o")


def test_a_changes_response_is_unchanged_if_the_row_is_deleted_at_once(host, alice, monkeypatch):
    (row_id,) = register(alice, "m")
    commit = host.db.session.commit

    def commit_and_lose():
        commit()
        with host.db.engine.begin() as connection:
            connection.execute(host.registry.tables.models.delete())

    monkeypatch.setattr(host.db.session, "commit", commit_and_lose)

    response = alice.patch(f"{PREFIX}/{row_id}", json={"description": "x"})

    assert (response.status_code, response.json["description"]) == (200, "x")


FAILING = {  # for each write, a statement in the middle of it
    "patch": ("INTO model_registry_abilities", lambda client, row_id: client.patch(
        f"{PREFIX}/{row_id}", json={"abilities": ["a"], "description": "x"})),
    "delete": ("DELETE FROM model_registry_models", lambda client, row_id: client.delete(f"{PREFIX}/{row_id}")),
    "revoke": ("FROM model_registry_app_defaults", lambda client, row_id: client.delete(
        f"{PREFIX}/{row_id}/grants/groups/g")),
    "transfer": ("DELETE FROM model_registry_grants", lambda client, row_id: client.post(
        f"{PREFIX}/{row_id}/transfer", json={"user": str(client.new_owner)})),
}  # fmt: skip


@pytest.mark.forces_errors
@pytest.mark.parametrize("name", FAILING)
def test_a_write_that_fails_half_way_leaves_all_as_it_was(host, alice, events, name):
    (row_id,) = register(alice, "m", abilities=["chat"])
    granted(alice, row_id, group="g")
    alice.new_owner = host.user("bob")
    before = {table: host.rows(table) for table in ("models", "abilities", "grants")}
    text, write = FAILING[name]
    events[1].append(text)

    response = write(alice, row_id)

    events[1].clear()
    assert response.status_code == 503
    assert {table: host.rows(table) for table in before} == before
    assert write(alice, row_id).status_code < 300


LOCKS_THE_ROW = "SELECT model_registry_models.id, model_registry_models.uuid"


@pytest.fixture
def meanwhile(host):
    """Do something on the same connection, just before a statement with this beginning."""
    plans = {}
    with host.app.app_context():
        engine = host.db.engine

    def do(connection, cursor, statement, *_):
        for beginning in [each for each in plans if statement.startswith(each)]:
            other = connection.connection.cursor()
            other.execute(plans.pop(beginning))
            other.close()

    sa.event.listen(engine, "before_cursor_execute", do)
    yield plans
    sa.event.remove(engine, "before_cursor_execute", do)


@pytest.mark.forces_errors
def test_a_database_that_is_down_is_not_an_unknown_user(host, alice, events):
    (row_id,) = register(alice, "m")
    events[1].extend(['SELECT "user".id \nFROM', "SELECT user.id \nFROM"])

    response = alice.put(f"{PREFIX}/{row_id}/grants/users/{host.user('bob')}", json={})

    events[1].clear()
    assert response.status_code == 503


def test_a_broken_connection_of_the_hosts_own_is_left_to_the_host(hosts):
    def reset(*_):
        raise ConnectionResetError

    in_a_callback, in_a_listener = hosts(groups=reset), hosts()
    clients = [each.client("alice") for each in (in_a_callback, in_a_listener)]
    with in_a_listener.app.app_context():
        sa.event.listen(in_a_listener.db.engine, "before_cursor_execute", reset)
    for host in (in_a_callback, in_a_listener):
        host.app.register_error_handler(ConnectionResetError, lambda _error: ("the host's", 418))

    responses = [client.get(f"{PREFIX}/") for client in clients]

    assert [each.text for each in responses] == ["the host's"] * 2


@pytest.mark.forces_errors
def test_a_deadlock_is_reported_as_one_although_the_savepoint_is_gone(
    host, alice, caplog, database
):
    (row_id,) = register(alice, "m")
    with host.app.app_context():
        engine = host.db.engine

    def deadlock(connection, cursor, statement, *_):
        if statement.startswith("UPDATE model_registry"):
            raise sa.exc.OperationalError(statement, {}, Exception("deadlock found"))
        if statement.startswith("ROLLBACK TO"):
            raise sa.exc.OperationalError(statement, {}, Exception("no such savepoint"))

    def refuse_rollback(connection, name, context):
        raise sa.exc.OperationalError("ROLLBACK TO", {}, Exception("no such savepoint"))

    sa.event.listen(engine, "before_cursor_execute", deadlock)
    sa.event.listen(engine, "rollback_savepoint", refuse_rollback)
    response = alice.patch(f"{PREFIX}/{row_id}", json={"description": "x"})
    sa.event.remove(engine, "before_cursor_execute", deadlock)
    sa.event.remove(engine, "rollback_savepoint", refuse_rollback)

    assert response.status_code == 503
    assert "deadlock found" in caplog.text
    assert alice.patch(f"{PREFIX}/{row_id}", json={"description": "x"}).status_code == 200


def test_a_change_of_another_version_is_refused(host, alice, meanwhile):
    (row_id,) = register(alice, "m")
    meanwhile["UPDATE model_registry_models"] = "UPDATE model_registry_models SET version = 7"

    response = alice.patch(f"{PREFIX}/{row_id}", json={"description": "x"})

    assert (response.status_code, response.json["type"][-9:]) == (409, ":conflict")
    assert (host.rows("models")[0].version, host.rows("models")[0].description) == (1, None)


def test_a_model_that_is_renamed_at_that_moment_is_not_found_by_its_old_name(alice, meanwhile):
    register(alice, "m")
    meanwhile[LOCKS_THE_ROW] = "UPDATE model_registry_models SET model_id = 'n'"

    assert alice.patch(f"{PREFIX}/by-id/m", json={"description": "x"}).status_code == 404


def test_a_model_that_vanishes_at_that_moment_is_not_found(alice, meanwhile):
    (row_id,) = register(alice, "m")
    meanwhile[LOCKS_THE_ROW] = "DELETE FROM model_registry_models"

    assert alice.patch(f"{PREFIX}/{row_id}", json={"description": "x"}).status_code == 404


def test_a_user_who_cannot_see_a_model_does_not_wait_for_its_lock(host, alice, bob, database):
    if database.name == "sqlite":
        pytest.skip("SQLite has one lock for all rows")
    (row_id,) = register(alice, "m")
    models, answers = host.registry.tables.models, []
    with host.app.app_context(), host.db.engine.begin() as connection:
        connection.execute(sa.select(models).where(models.c.id == row_id).with_for_update())
        stranger = threading.Thread(
            target=lambda: answers.append(bob.patch(f"{PREFIX}/{row_id}", json={}).status_code)
        )
        stranger.start()
        stranger.join(timeout=60)
        waits = stranger.is_alive()
    stranger.join()

    assert (waits, answers) == (False, [404])


@pytest.mark.databases("postgresql", "mariadb")
def test_a_stranger_does_not_wait_for_the_lock_of_a_credential(host, alice, bob):
    made, table, answers = create(alice)["id"], host.registry.tables.credentials, []
    (row_id,) = register(bob, "m")

    def tries():
        answers.append(bob.patch(f"{ACCOUNTS}/{made}", json={}).status_code)
        answers.append(attach(bob, row_id, made).status_code)

    with host.app.app_context(), host.db.engine.begin() as connection:
        connection.execute(sa.select(table).where(table.c.id == made).with_for_update())
        stranger = threading.Thread(target=tries)
        stranger.start()
        stranger.join(timeout=60)
        waits = stranger.is_alive()
    stranger.join()

    assert (waits, answers) == (False, [404, 404])


def test_a_failed_request_loses_nothing_that_was_committed(host, alice):
    alice.post(f"{PREFIX}/register", json=model())
    before = host.rows("models")

    for body in (model(), model(model_id=""), model(share_with_users=True), {}):
        assert alice.post(f"{PREFIX}/register", json=body).status_code in {403, 409, 422}

    assert host.rows("models") == before


def test_no_connection_stays_out_of_the_pool(host, alice):
    alice.post(f"{PREFIX}/register", json=model())
    alice.post(f"{PREFIX}/register", json=model())
    alice.get(f"{PREFIX}/")

    with host.app.app_context():
        assert host.db.engine.pool.checkedout() == 0


def test_a_failed_write_of_a_hosts_callback_does_not_fail_the_request(hosts):
    def can_share(user):
        with contextlib.suppress(ModelIdTakenError):
            host.registry.create(user=user, **model(model_id="taken"))
        return True

    host = hosts(can_share=can_share)
    alice = host.client("alice")
    register(alice, "taken")

    response = alice.post(f"{PREFIX}/register", json=model(model_id="m", share_with_users=True))

    assert response.status_code == 201, response.text
    assert sorted(row.model_id for row in host.rows("models")) == ["m", "taken"]
