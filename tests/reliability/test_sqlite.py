"""Many writers at once on SQLite: each is done, refused or told to wait, and none is lost."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from flask_model_registry import configure_sqlite
from tests.hosts import PREFIX, make_host, model

WRITERS, WRITES = 8, 12


@pytest.fixture(params=["as it is", "configured"])
def host(request, tmp_path, canary):
    host = make_host(f"sqlite:///{tmp_path / 'host.sqlite'}")
    if request.param == "configured":
        with host.app.app_context():
            host.db.engine.dispose()
            configure_sqlite(host.db.engine, busy_timeout=60)
    host.is_configured = request.param == "configured"
    yield host
    canary(host.app)
    host.close()


@pytest.mark.forces_errors
def test_no_write_is_lost_or_done_twice(host):
    tokens = [host.token(f"user {number}") for number in range(WRITERS)]

    def write(number):
        client = host.app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens[number]}"
        # Each tries every second one twice, so that there are conflicts too.
        ids = [f"m{each * 2 // 3}" for each in range(WRITES)]
        return [
            (each, client.post(f"{PREFIX}/", json=model(model_id=each)).status_code) for each in ids
        ]

    with ThreadPoolExecutor(WRITERS) as threads:
        told = [*threads.map(write, range(WRITERS))]

    statuses = Counter(status for each in told for _, status in each)
    made = {
        (number, model_id) for number, each in enumerate(told) for model_id, s in each if s == 201
    }
    assert {*statuses} <= ({201, 409} if host.is_configured else {201, 409, 503})
    assert len(made) == statuses[201]
    assert len(host.rows("models")) == statuses[201]
    if host.is_configured:
        assert statuses[201] == WRITERS * len({f"m{each * 2 // 3}" for each in range(WRITES)})


def test_what_it_sets_is_set_for_each_connection(host):
    with host.app.app_context(), host.db.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
        in_transaction = connection.connection.dbapi_connection.in_transaction

    if host.is_configured:
        assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 60_000}
    else:  # nothing is done unasked
        assert pragmas == {"journal_mode": "delete", "foreign_keys": 0, "busy_timeout": 5_000}
    assert in_transaction is host.is_configured


def test_a_rollback_undoes_what_was_written_in_a_savepoint(host):
    host.user("alice")
    with host.app.app_context():
        host.registry.create(user=host.load("alice"), **model())
        host.db.session.rollback()

    assert host.rows("models") == []


def test_other_databases_are_left_alone(monkeypatch):
    engine = sa.create_engine("postgresql+psycopg://nobody@localhost/none")
    monkeypatch.delattr(sa.event, "listen")

    configure_sqlite(engine)
