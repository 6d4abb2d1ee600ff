"""The drivers of PostgreSQL and MariaDB report errors in ways of their own; clients see no difference."""

import contextlib
import threading
import time

import pytest
import sqlalchemy as sa

from flask_model_registry.cli import new_key
from tests import databases
from tests.hosts import CANARY, PREFIX, granted, make_host, model, register
from tests.ports import free_port
from tests.software.conftest import package

# For each driver: its dialect in URLs, the package and the database.
DRIVERS = {
    "psycopg": ("postgresql+psycopg", "psycopg", "postgresql"),
    "psycopg2": ("postgresql+psycopg2", "psycopg2-binary", "postgresql"),
    "pg8000": ("postgresql+pg8000", "pg8000", "postgresql"),
    "PyMySQL": ("mysql+pymysql", "PyMySQL", "mariadb"),
    "MySQL Connector": ("mysql+mysqlconnector", "mysql-connector-python", "mariadb"),
}
MODULES = {"psycopg2-binary": "psycopg2", "mysql-connector-python": "mysql.connector"}
EMOJI = "\N{FAMILY}\N{GRINNING FACE}\N{HANGUL SYLLABLE GAG}\N{LATIN SMALL LETTER E WITH ACUTE}"

# What differs between the databases.
SESSIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE application_name = '{}'",
    "mariadb": "SELECT id FROM information_schema.processlist WHERE db = '{}'",
}
WAITING = {
    "postgresql": SESSIONS["postgresql"] + " AND wait_event_type = 'Lock'",
    "mariadb": SESSIONS["mariadb"]
    + " AND id IN (SELECT trx_mysql_thread_id FROM information_schema.innodb_trx"
    " WHERE trx_state = 'LOCK WAIT')",
}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}
FAIL_SOON = {  # PostgreSQL ends the session that looks first, MariaDB that which has changed less
    "postgresql": "SET deadlock_timeout = '10ms'",
    "mariadb": "SET innodb_lock_wait_timeout = 60",
}
KEEP_SNAPSHOT = {
    "postgresql": "SET default_transaction_isolation = 'serializable'",
    "mariadb": "SET innodb_snapshot_isolation = ON",
}
DO_NOT_WAIT = {
    "postgresql": "SET lock_timeout = '20ms'",
    "mariadb": "SET innodb_lock_wait_timeout = 0",
}
DO_NOT_WRITE = {
    "postgresql": "SET default_transaction_read_only = on",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


@pytest.fixture(scope="module", params=DRIVERS)
def server(request, tmp_path_factory):
    dialect, name, kind = DRIVERS[request.param]
    package(name, MODULES.get(name))
    server = databases.make_database(kind, tmp_path_factory.mktemp("database"))
    url, arguments = sa.make_url(server.url).set(drivername=dialect), {}
    if request.param == "pg8000":  # takes no options in URLs
        url = url.set(query={})
        startup = {"search_path": server.schema}
        arguments = {"application_name": server.schema, "startup_params": startup}
    server.url = url.render_as_string(hide_password=False)
    server.options = {"connect_args": arguments}
    yield server
    server.drop()


@pytest.fixture(scope="module")
def shared_host(server):
    host = make_host(
        server.url,
        config={"SQLALCHEMY_ENGINE_OPTIONS": server.options},
        groups=lambda user: [f"group of {user.name}"],
    )
    yield host
    host.close()


@pytest.fixture
def another(host, server, canary):
    """Run the host in another process, whose sessions begin with a statement."""
    made = []

    def make(statements=None, **config):
        made.append(host.again(**config))
        if statements is not None:
            with made[-1].app.app_context():
                databases.on_connecting(made[-1].db.engine, statements[server.name])
        return made[-1]

    yield make
    for each in made:
        canary(each.app)
        each.close()


@contextlib.contextmanager
def before(host, beginning, do):
    """Do something just before the first statement of a host's that begins so."""
    done = []
    with host.app.app_context():
        engine = host.db.engine

    def listener(connection, cursor, statement, *_):
        if statement.startswith(beginning) and not done:
            done.append(statement)
            do(connection)

    sa.event.listen(engine, "before_cursor_execute", listener)
    yield
    sa.event.remove(engine, "before_cursor_execute", listener)
    assert done


def lists(server, statements):
    """Return the sessions of the test that a statement finds."""
    with server.server.connect() as connection:
        return connection.exec_driver_sql(statements[server.name].format(server.schema)).all()


def kill(server, sessions):
    with server.server.connect() as connection:
        for (session,) in sessions:
            connection.exec_driver_sql(KILL[server.name].format(session))


LOCKS = "SELECT model_registry_models.id, model_registry_models.uuid"


def test_a_model_is_registered_read_changed_and_deleted(host, alice, bob, admin):
    (row_id,) = register(
        alice, "m", model_name=EMOJI * 60, description=EMOJI * 1000, abilities=["chat", "vision"],
        temperature=0.1,
    )  # fmt: skip
    (vectors,) = register(alice, "v", category="embedding", dimension=3072)
    (shared,) = register(admin, "s", share_with_users=True)
    granted(alice, row_id, user=host.user("bob"), can_edit=True)
    granted(alice, row_id, group="group of bob")
    granted(alice, row_id, group=EMOJI)

    shown = bob.get(f"{PREFIX}/{row_id}").json
    assert (shown["model_name"], shown["description"]) == (EMOJI * 60, EMOJI * 1000)
    assert (shown["temperature"], shown["abilities"]) == (0.1, ["chat", "vision"])
    assert alice.get(f"{PREFIX}/{vectors}").json["dimension"] == 3072
    assert [each["id"] for each in bob.get(f"{PREFIX}/").json] == [row_id, shared]
    found = bob.get(f"{PREFIX}/?q={EMOJI}&ability=vision&category=llm&limit=1").json
    assert [each["id"] for each in found] == [row_id]
    assert bob.get(f"{PREFIX}/summary").json["total"] == 2
    assert bob.get(f"{PREFIX}/by-id/m").json["id"] == row_id
    changed = bob.patch(f"{PREFIX}/{row_id}", json={"description": None, "abilities": ["chat"]})
    assert (changed.status_code, changed.json["description"]) == (200, None)
    for scope, client, each in (("user", bob, row_id), ("app", admin, shared)):
        for _ in range(2):  # inserted, and replaced
            default = f"{PREFIX}/defaults/general?scope={scope}"
            assert client.put(default, json={"id": each}).status_code == 200
    assert bob.get(f"{PREFIX}/defaults/general").json["model"]["id"] == row_id
    with host.app.app_context():
        resolved = host.registry.resolve("m", user=host.load("bob"))
        assert resolved.api_key.reveal() == CANARY
        assert "granted" in str(host.registry.explain("m", user=host.load("bob")))
    assert alice.delete(f"{PREFIX}/{row_id}").status_code == 204
    assert [each["id"] for each in bob.get(f"{PREFIX}/").json] == [shared]
    assert bob.get(f"{PREFIX}/defaults/general").json["model"]["id"] == shared


def test_a_model_id_that_is_taken_is_reported_as_that(alice, admin):
    register(alice, "m")
    register(admin, "m", share_with_users=True)

    again = alice.post(f"{PREFIX}/register", json=model(model_id="m"))
    shared = admin.post(f"{PREFIX}/register", json=model(model_id="m"))

    for response in (again, shared):
        assert response.status_code == 409
        assert response.json["type"] == "urn:problem-type:model-registry:model-id-taken"
    assert again.json["detail"] == "The owner already has a model with this model_id."


def test_an_owner_who_is_gone_is_a_conflict(host, alice):
    def delete_user(_connection):
        with host.app.app_context(), host.db.engine.begin() as connection:
            connection.execute(sa.delete(host.User))

    with before(host, "INSERT INTO model_registry_models", delete_user):
        response = alice.post(f"{PREFIX}/register", json=model())

    assert (response.status_code, response.json["type"][-9:]) == (409, ":conflict")


def test_a_number_that_no_user_can_have_is_not_found(host, alice):
    (row_id,) = register(alice, "m")

    for number in (2**31, 2**63, 10**200):
        grant = alice.put(f"{PREFIX}/{row_id}/grants/users/{number}", json={})
        transfer = alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(number)})
        assert (grant.status_code, transfer.status_code) == (404, 404)
        assert alice.get(f"{PREFIX}/{number}").status_code == 404
        assert alice.get(f"{PREFIX}/?after={number}").status_code in {200, 422}


def test_a_deadlock_is_tried_again(host, alice, server, another, caplog):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, group="g")
    impatient = another(FAIL_SOON)
    client, tables = impatient.client("alice"), host.registry.tables
    with host.app.app_context(), host.db.engine.connect() as connection:
        if server.name == "postgresql":
            connection.exec_driver_sql("SET deadlock_timeout = '60s'")
        for name in ("x", "y", "z"):
            connection.execute(sa.update(host.User).values(name=name))
        connection.execute(sa.update(tables.grants).values(can_edit=True))

        def lock():
            connection.execute(sa.select(tables.models).with_for_update())
            connection.rollback()

        other = threading.Thread(target=lock)

        def wait_for_each_other(_connection):
            other.start()
            wait_for(lambda: lists(server, WAITING))

        with before(impatient, "DELETE FROM model_registry_grants", wait_for_each_other):
            response = client.delete(f"{PREFIX}/{row_id}")
        other.join()

    assert response.status_code == 204
    assert "retrying after a database failure (deadlock)" in caplog.text


def wait_for(condition):
    for _ in range(800):
        if condition():
            return
        time.sleep(0.15)  # MariaDB refreshes what it shows only after 0.1 s without a query
    pytest.fail("it does not come to that")


def test_a_serialization_failure_is_tried_again(host, alice, another, caplog):
    (row_id,) = register(alice, "m")
    isolated = another(KEEP_SNAPSHOT)
    client = isolated.client("alice")

    def change(_connection):
        host.execute(sa.update(host.registry.tables.models).values(model_name="changed"))

    with before(isolated, LOCKS, change):
        response = client.patch(f"{PREFIX}/{row_id}", json={"description": "x"})

    assert response.status_code == 200, response.text
    assert (response.json["description"], response.json["model_name"]) == ("x", "changed")
    assert "retrying after a database failure (serialization)" in caplog.text


def is_503_while_locked(host, client, row_id):
    """Change a model while another transaction holds its lock, and again after that."""
    models = host.registry.tables.models
    with host.app.app_context(), host.db.engine.connect() as connection:
        connection.execute(sa.select(models).with_for_update())
        response = client.patch(f"{PREFIX}/{row_id}", json={"description": "x"})
        connection.rollback()

    assert (response.status_code, "Retry-After" in response.headers) == (503, True)
    assert client.patch(f"{PREFIX}/{row_id}", json={"description": "x"}).status_code == 200


@pytest.mark.forces_errors
def test_a_wait_for_a_lock_ends_with_503(host, alice, server, another):
    (row_id,) = register(alice, "m")
    client = another(DO_NOT_WAIT).client("alice")
    is_503_while_locked(host, client, row_id)


@pytest.mark.forces_errors
def test_a_statement_that_takes_too_long_ends_with_503(host, alice, server, another):
    (row_id,) = register(alice, "m")
    hasty = another({"postgresql": "SET statement_timeout = '50ms'",
                     "mariadb": "SET max_statement_time = 0.05"})  # fmt: skip
    client = hasty.client("alice")
    is_503_while_locked(host, client, row_id)


@pytest.mark.forces_errors
def test_a_response_that_takes_too_long_is_503(host, alice, server, another):
    if "psycopg" in server.url:
        pytest.skip("psycopg has no such timeout")
    (row_id,) = register(alice, "m")
    name = "read_timeout" if server.name == "mariadb" else "timeout"
    options = {"connect_args": {**server.options["connect_args"], name: 1}}
    client = another(SQLALCHEMY_ENGINE_OPTIONS=options).client("alice")
    is_503_while_locked(host, client, row_id)


@pytest.mark.forces_errors
def test_sessions_that_the_server_ends_are_503_and_replaced(host, alice, server, another):
    (row_id,) = register(alice, "m")
    options = {**server.options, "pool_size": 1}
    single = another(SQLALCHEMY_ENGINE_OPTIONS=options)
    client = single.client("alice")
    own = {"postgresql": "SELECT pg_backend_pid()", "mariadb": "SELECT CONNECTION_ID()"}

    def kill_it(connection):
        cursor = connection.connection.cursor()
        cursor.execute(own[server.name])
        kill(server, cursor.fetchall())
        cursor.close()

    with before(single, LOCKS, kill_it):
        amid = client.patch(f"{PREFIX}/{row_id}", json={"description": "x"})
    after = client.patch(f"{PREFIX}/{row_id}", json={"description": "y"})
    kill(server, lists(server, SESSIONS))
    wait_for(lambda: not lists(server, SESSIONS))
    idle = [client.get(f"{PREFIX}/{row_id}") for _ in range(2)]
    with host.app.app_context():
        for engine in host.db.engines.values():
            engine.dispose()  # its sessions are gone too

    assert [each.status_code for each in (amid, after, *idle)] == [503, 200, 503, 200]
    assert "Retry-After" in amid.headers
    assert idle[1].json["description"] == "y"


@pytest.mark.forces_errors
def test_a_session_that_only_reads_answers_changes_with_503(host, alice, another, caplog):
    register(alice, "m")
    client = another(DO_NOT_WRITE).client("alice")

    response = client.post(f"{PREFIX}/register", json=model(model_id="n"))

    assert (response.status_code, "Retry-After" in response.headers) == (503, True)
    assert "database failure (read-only)" in caplog.text
    assert [each["model_id"] for each in client.get(f"{PREFIX}/").json] == ["m"]


@pytest.mark.forces_errors
def test_a_server_that_is_away_is_503(host, alice, another, server):
    url = sa.make_url(server.url).set(port=free_port())
    away = another(
        SQLALCHEMY_DATABASE_URI=url.render_as_string(hide_password=False), SQLALCHEMY_BINDS={}
    )
    client = away.client("alice")

    response = client.get(f"{PREFIX}/")

    assert (response.status_code, "Retry-After" in response.headers) == (503, True)


@pytest.mark.forces_errors
def test_tables_that_are_missing_are_reported_with_the_remedy(host, alice, caplog):
    table = host.registry.tables.app_defaults
    with host.app.app_context():
        table.drop(host.db.engine)
    response = alice.get(f"{PREFIX}/defaults")
    with host.app.app_context():
        table.create(host.db.engine)

    assert response.status_code == 500
    assert "run db.create_all() or 'flask db upgrade'" in caplog.text


@pytest.mark.forces_errors
def test_a_column_that_is_missing_is_reported_with_the_remedy(host, alice, caplog):
    alter = "ALTER TABLE model_registry_app_defaults RENAME COLUMN {} TO {}"
    host.execute(sa.text(alter.format("config_type", "config_kind")))
    responses = [alice.get(f"{PREFIX}/defaults"), alice.get(f"{PREFIX}/")]
    host.execute(sa.text(alter.format("config_kind", "config_type")))

    assert [each.status_code for each in responses] == [500, 200]
    assert "of another version; run db.create_all() or 'flask db upgrade'" in caplog.text


# What a client gets for an error of the server, of which drivers make different classes.
STATUSES = {
    "postgresql": {"53200": 503, "54000": 503, "57P05": 503, "53100": 507, "23514": 409,
                   "42501": 500},
    "mariadb": {(1689, "HY000"): 503, (1041, "HY000"): 503, (1045, "28000"): 503,
                (1226, "42000"): 503, (3101, "40000"): 503, (1366, "HY000"): 422,
                (4025, "23000"): 409, (3819, "HY000"): 409, (1142, "42000"): 500,
                (1644, "45000"): 500},
}  # fmt: skip
RAISE = {
    "postgresql": [
        "CREATE FUNCTION fail() RETURNS trigger AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''{}''; "
        "END' LANGUAGE plpgsql",
        "CREATE TRIGGER failing BEFORE INSERT ON model_registry_models "
        "FOR EACH ROW EXECUTE FUNCTION fail()",
    ],
    "mariadb": [
        "CREATE TRIGGER failing BEFORE INSERT ON model_registry_models "
        "FOR EACH ROW SIGNAL SQLSTATE '{0[1]}' SET MYSQL_ERRNO = {0[0]}",
    ],
}
RAISE_NO_MORE = {"postgresql": "DROP FUNCTION fail CASCADE", "mariadb": "DROP TRIGGER failing"}


@pytest.mark.forces_errors
def test_an_error_of_the_server_has_the_same_status_with_each_driver(host, alice, server):
    statuses = {}
    for code in STATUSES[server.name]:
        for statement in RAISE[server.name]:
            host.execute(sa.text(statement.format(code)))
        response = alice.post(f"{PREFIX}/register", json=model())
        host.execute(sa.text(RAISE_NO_MORE[server.name]))
        statuses[code] = response.status_code

    assert statuses == STATUSES[server.name]


def test_what_a_user_has_goes_with_the_user_or_to_an_heir(host, alice, bob):
    (row_id,) = register(alice, "m")
    (kept,) = register(bob, "kept")
    bob.put(f"{PREFIX}/defaults/general", json={"id": kept})
    granted(bob, kept, user=host.user("alice"))
    with host.app.app_context():
        host.registry.user_deleted(host.load("bob"), transfer_to=host.load("alice"))
        host.db.session.delete(host.load("bob"))
        host.db.session.commit()
    assert [each["id"] for each in alice.get(f"{PREFIX}/?is_active=all").json] == [row_id, kept]

    with host.app.app_context():
        host.db.session.delete(host.load("alice"))
        host.db.session.commit()

    assert host.rows("models") == host.rows("grants") == host.rows("defaults") == []


def test_encryption_keys_rotate_and_the_doctor_finds_nothing(host, alice, another):
    register(alice, "m", "n")
    old = host.app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"]
    rotated = another(MODEL_REGISTRY_ENCRYPTION_KEYS=[new_key("newer"), old])

    assert rotated.run("rotate-keys")[1] == 0
    assert rotated.run("verify-keys")[1] == 0
    output, status = rotated.run("doctor")

    assert (status, [line for line in output.splitlines() if line.startswith("error")]) == (0, [])
    assert [row.key_id.partition("#")[0] for row in host.rows("models")] == ["newer"] * 2
    with rotated.app.app_context():
        model = rotated.registry.resolve("n", user=rotated.load("alice"))
        assert model.api_key.reveal() == CANARY
