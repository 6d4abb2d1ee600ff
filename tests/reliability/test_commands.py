"""Commands that meet a transient failure retry, report once, and never stop halfway."""

import contextlib
import itertools
import json
import logging

import pytest
import sqlalchemy as sa
from click import ClickException

from flask_model_registry import signals
from flask_model_registry.cli import new_key
from flask_model_registry.console import connected
from tests import databases
from tests.hosts import CANARY, key_id, model, register, services_of
from tests.reliability.faults import ERRORS, Faults, state
from tests.reliability.servers import wait_for

pytestmark = pytest.mark.covers

OLD, NEW = new_key("old"), new_key("new")
# A statement that waits for a lock fails soon, so that the command retries.
IMPATIENT = {
    "sqlite": "PRAGMA busy_timeout = 0",
    "postgresql": "SET lock_timeout = 50",
    "mariadb": "SET innodb_lock_wait_timeout = 0",
}


@pytest.fixture
def rotating(hosts, canary, database):
    """A host with three models on the old key, as a process has it that seals with the new one."""
    host = hosts(config={"MODEL_REGISTRY_ENCRYPTION_KEYS": OLD})
    register(host.client("alice"), "a", "b", "c")
    later = host.again(MODEL_REGISTRY_ENCRYPTION_KEYS=[NEW, OLD])
    databases.on_connecting(engine_of(later), IMPATIENT[database.name])
    yield later
    canary(later.app)
    later.close()


@pytest.fixture
def importing(rotating, tmp_path):
    """The same, and a file that has a new key for one model, and another model."""
    owner = str(rotating.user("alice"))
    lines = [model(model_id="b", api_key=f"{CANARY}-2"), model(model_id="d", abilities=["x"])]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(json.dumps({**line, "owner": owner}) for line in lines))
    rotating.file = str(path)
    return rotating


@contextlib.contextmanager
def events():
    """Collect what signals tell."""
    told = []

    def tell(_sender, event, model_id, **facts):
        told.append((event, model_id))

    for signal in (signals.created, signals.updated):
        signal.connect(tell)
    yield told
    for signal in (signals.created, signals.updated):
        signal.disconnect(tell)


def engine_of(host):
    with host.app.app_context():
        return host.db.engine


def put_back(host, rows):
    """Have the table hold these rows again."""
    for table in ("abilities", "models"):
        host.execute(sa.delete(getattr(host.registry.tables, table)))
    host.execute(sa.insert(host.registry.tables.models), [row._asdict() for row in rows])


def on_key(host, entry):
    return [row.model_id for row in host.rows("models") if row.key_id == key_id(entry)]


def opened(host):
    """Return the API keys of all models."""
    with host.app.app_context():
        alice = host.load("alice")
        ids = [row.model_id for row in host.rows("models")]
        return {each: host.registry.resolve(each, user=alice).api_key.reveal() for each in ids}


def failures(host):
    """Yield each transient failure at each call of the database that the block makes."""
    faults = Faults(engine_of(host))
    yield faults, None, None
    for kind in filter(lambda kind: kind.startswith("transient"), ERRORS[faults.database]):
        for step in range(1, len(faults.first) + 1):
            yield faults, step, kind


def test_a_rotation_survives_a_failure_at_any_step(rotating, caplog):
    before, tried = rotating.rows("models"), 0

    for faults, step, kind in failures(rotating):
        put_back(rotating, before)
        caplog.clear()
        with faults.at(step, kind):
            output, status = rotating.run("rotate-keys")
        if step is None:
            faults.first = faults.steps
            continue
        told = (step, kind, faults.steps, output)
        tried += 1
        assert (status, faults.has_failed, caplog.text.count("retrying")) == (0, True, 1), told
        assert on_key(rotating, NEW) == ["a", "b", "c"], told
        assert set(opened(rotating).values()) == {CANARY}, told
        assert "\n3 API keys were encrypted again" in output, told

    assert tried > 10


@pytest.mark.parametrize("is_dry", [False, True], ids=["for good", "dry"])
def test_an_import_survives_a_failure_at_any_step(importing, caplog, is_dry):
    command = ["import", importing.file, "--on-conflict", "update", *(["--dry-run"] * is_dry)]
    importing.run("import", importing.file, "--dry-run")  # one-time queries don't count below
    before, unchanged, tried = importing.rows("models"), state(importing), 0

    for faults, step, kind in failures(importing):
        put_back(importing, before)
        caplog.clear()
        with faults.at(step, kind), events() as told_of:
            output, status = importing.run(*command)
        if step is None:
            faults.first, expected = faults.steps, (output, status, told_of, state(importing))
            continue
        told = (step, kind, faults.steps, output)
        tried += 1
        assert (faults.has_failed, caplog.text.count("retrying")) == (True, 1), told
        assert (output, status, told_of, state(importing)) == expected, told
        assert opened(importing).get("b") == (CANARY if is_dry else f"{CANARY}-2"), told

    lines = ["     1  update  b", "     2  create  d", "1 create, 1 update"]
    assert expected[0].splitlines() == [*lines[:2], lines[2] + "; nothing was changed" * is_dry]
    assert expected[1:3] == (0, [] if is_dry else [("updated", "b"), ("created", "d")])
    assert (expected[3] == unchanged) == is_dry
    assert tried > 5


class Release(logging.Handler):
    """A log handler that releases a lock as soon as a command logs a retry."""

    def __init__(self, connection):
        super().__init__()
        self.connection, self.times = connection, 0

    def emit(self, record):
        if "retrying" in record.getMessage():
            self.times += 1
            self.connection.rollback()


@contextlib.contextmanager
def locked(host, model_id):
    """Lock a model's row, or all of SQLite's file, until a command logs a retry."""
    engine, models = engine_of(host), host.registry.tables.models
    with engine.connect() as lock:
        if engine.dialect.name == "sqlite":
            lock.exec_driver_sql("BEGIN IMMEDIATE")
        lock.execute(sa.select(models.c.id).filter_by(model_id=model_id).with_for_update())
        release = Release(lock)
        host.app.logger.addHandler(release)
        yield release
        host.app.logger.removeHandler(release)


def test_a_rotation_waits_for_a_row_that_another_transaction_has_locked(rotating):
    with locked(rotating, "b") as release:
        output, status = rotating.run("rotate-keys")

    assert (status, release.times) == (0, 1)
    assert "\n3 API keys were encrypted again" in output
    assert on_key(rotating, NEW) == ["a", "b", "c"]


def test_an_import_waits_for_a_row_that_another_transaction_has_locked(importing):
    with locked(importing, "b") as release, events() as told_of:
        output, status = importing.run("import", importing.file, "--on-conflict", "update")

    assert (status, release.times) == (0, 1)
    assert output == "     1  update  b\n     2  create  d\n1 create, 1 update\n"
    assert told_of == [("updated", "b"), ("created", "d")]


def test_a_rotation_begins_anew_where_sqlite_could_not_commit(rotating, database):
    if database.name != "sqlite":
        pytest.skip("readers keep no server from committing")
    with engine_of(rotating).connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.execute(sa.select(rotating.registry.tables.models)).all()
        release = Release(reader)
        rotating.app.logger.addHandler(release)
        output, status = rotating.run("rotate-keys")
        rotating.app.logger.removeHandler(release)

    assert (status, release.times) == (0, 1)
    assert "\n3 API keys were encrypted again" in output


@contextlib.contextmanager
def failing(host, beginning, after=0):
    """Fail at all statements that begin so, but for some of one row; yield the failures."""
    engine, seen, failed = engine_of(host), [], []
    kind = next(iter(ERRORS[Faults(engine).database]))

    def fail_at_many(cursor, statement, parameters, context):
        if statement.startswith(beginning):
            failed.append(statement)
            raise ERRORS[Faults(engine).database][kind]()
        return execute_many(cursor, statement, parameters, context)

    def fail(cursor, statement, parameters, context):
        seen.append(statement) if statement.startswith(beginning) else None
        if statement.startswith(beginning) and len(seen) > after:
            failed.append(statement)
            raise ERRORS[Faults(engine).database][kind]()
        return execute(cursor, statement, parameters, context)

    dialect = engine.dialect
    execute, execute_many = dialect.do_execute, dialect.do_executemany
    dialect.do_execute, dialect.do_executemany = fail, fail_at_many
    yield failed
    del dialect.do_execute, dialect.do_executemany


@pytest.fixture
def _time_flies(monkeypatch):
    """Make each try take longer than a client waits for a response."""
    monkeypatch.setattr("time.monotonic", itertools.count(step=10).__next__)


@pytest.mark.usefixtures("_time_flies")
@pytest.mark.parametrize(("size", "times"), [("1", 4), ("200", 8)])  # a batch, and then a row
def test_a_rotation_gives_up_and_the_next_one_goes_on(rotating, size, times):
    with failing(rotating, "UPDATE model_registry_models", after=1) as failed:
        output, status = rotating.run("rotate-keys", "--batch-size", size)
    left = on_key(rotating, OLD)
    values = set(opened(rotating).values())
    again = rotating.run("rotate-keys")

    assert (status, len(failed)) == (1, times)
    assert output.splitlines()[-1].startswith("Error: the database failed: ")
    assert (left, values) == (["b", "c"], {CANARY})
    assert (again[1], "\n2 API keys were encrypted again" in again[0]) == (0, True)


@pytest.mark.usefixtures("_time_flies")
@pytest.mark.parametrize("option", ["--on-conflict=update", "--dry-run"])
def test_an_import_gives_up_and_has_changed_nothing(importing, option):
    before, statement = importing.rows("models"), "INSERT INTO model_registry_abilities"
    arguments = ["import", importing.file, "--on-conflict=update", option]

    with failing(importing, statement) as failed, events() as told_of:
        output, status = importing.run(*arguments)

    assert (status, len(failed)) == (1, 4)
    assert output.startswith("Error: the database failed: ")
    assert output.count("\n") == 1
    assert (importing.rows("models"), told_of) == (before, [])


def test_an_import_is_not_tried_again_at_the_cost_of_what_the_host_has_written(importing):
    with importing.app.app_context():
        importing.db.session.add(importing.User(name="a visit"))
        importing.db.session.flush()
        with failing(importing, "INSERT INTO model_registry_abilities") as failed:
            _, status = importing.run("import", importing.file, "--on-conflict=update")

    assert (status, len(failed)) == (1, 1)


@pytest.mark.parametrize("command", ["rotate-keys", "verify-keys"])
def test_a_session_that_the_server_has_ended_is_reported(rotating, database, command):
    """PyMySQL meets it where SQLAlchemy handles no errors: when the isolation level is set or reset."""
    if database.name == "sqlite":
        pytest.skip("SQLite has no sessions")
    engine = engine_of(rotating)
    with engine.connect() as connection:
        number = session_of(connection)
    end_session(engine, number)

    output, status = rotating.run(command)

    assert ("Error: the database failed" in output, status) == (True, 1)
    assert rotating.run(command)[1] == 0


def test_a_session_that_ends_before_it_is_given_back_is_reported(rotating, database):
    if database.name == "sqlite":
        pytest.skip("SQLite has no sessions")
    told = contextlib.nullcontext()
    if database.name == "mariadb":  # where PyMySQL asks the server to reset it
        told = pytest.raises(ClickException, match="the database failed")

    with rotating.app.app_context(), told, connected(services_of(rotating.app)) as connection:
        end_session(engine_of(rotating), session_of(connection))


def session_of(connection):
    """Return the number that the server gives to the session of a connection."""
    is_postgresql = connection.dialect.name == "postgresql"
    function = "pg_backend_pid" if is_postgresql else "connection_id"
    return connection.exec_driver_sql(f"SELECT {function}()").scalar_one()


def end_session(engine, number):
    """Have the server end a session, from another one."""
    is_postgresql = engine.dialect.name == "postgresql"
    statement = f"SELECT pg_terminate_backend({number})" if is_postgresql else f"KILL {number}"
    sessions = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {number}"
    if not is_postgresql:
        sessions = f"SELECT count(*) FROM information_schema.processlist WHERE id = {number}"
    other = sa.create_engine(engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        connection.exec_driver_sql(statement)
        wait_for(lambda: connection.exec_driver_sql(sessions).scalar_one() == 0)
