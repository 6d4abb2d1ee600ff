"""One transaction per request: all of it or nothing, and nothing of the host's."""

import pytest
import sqlalchemy as sa

from tests.hosts import PREFIX, model


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


@pytest.mark.parametrize("path", ["/", "/1", "/by-id/x"])
def test_reading_does_not_commit(alice, events, path):
    seen, _ = events

    alice.get(PREFIX + path)

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


def test_the_answer_stands_though_the_row_is_gone_at_once(host, alice, monkeypatch):
    table = host.registry.tables.models
    commit = host.db.session.commit

    def commit_and_lose():
        commit()
        with host.db.engine.begin() as connection:
            connection.execute(table.delete())

    monkeypatch.setattr(host.db.session, "commit", commit_and_lose)

    response = alice.post(f"{PREFIX}/register", json=model())

    assert (response.status_code, response.json["model_id"]) == (201, "gpt-4o")


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
