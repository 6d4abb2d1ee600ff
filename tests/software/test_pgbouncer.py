"""The registry on PostgreSQL behind a real PgBouncer, in each of its modes."""

import os
import re
import secrets

import flask
import pytest
import sqlalchemy as sa

from tests.databases import SERVERS
from tests.doc_runner import ROOT, blocks
from tests.hosts import COMMANDS, PREFIX, granted, make_host, model, register
from tests.ports import free_port
from tests.software.conftest import RAN, printed, program

# Auth_type `any` asks for no password, and logs in as the user who is named for the database.
CONFIGURATION = """
[databases]
{name} = host={host} port={port} user={user} password={password} dbname={name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
server_round_robin = 1
{lines}
"""


@pytest.fixture
def postgresql():
    """Make a database, as PgBouncer takes no `options`, which would name a schema."""
    server = sa.create_engine(SERVERS["postgresql"], isolation_level="AUTOCOMMIT")
    name = f"model_registry_test_{secrets.token_hex(4)}"
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except sa.exc.OperationalError:
        server.dispose()
        if os.environ.get("TEST_ALL_DATABASES"):
            raise
        pytest.skip("PostgreSQL does not answer")
    yield server.url.set(database=name)
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()


@pytest.fixture
def pgbouncer(start, tmp_path, postgresql):
    """Start PgBouncer in front of the database; returns the database's URL there."""

    def serve(mode, size, lines=""):
        path = program("PgBouncer", "pgbouncer")
        RAN.add(re.search(r"PgBouncer \S+", printed(path, "--version"))[0])
        port = free_port()
        values = {"user": postgresql.username, "password": postgresql.password or ""}
        text = CONFIGURATION.format(
            **values, name=postgresql.database, host=postgresql.host, port=postgresql.port,
            listen=port, mode=mode, size=size, lines=lines,
        )  # fmt: skip
        (tmp_path / "pgbouncer.ini").write_text(text)
        command = [path, str(tmp_path / "pgbouncer.ini")]
        if os.geteuid() == 0:  # it does not run as root, and reads the file before it changes
            command[1:1] = ["-u", "nobody"]
        start("PgBouncer", command, port)
        return postgresql.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    return serve


@pytest.fixture
def processes(postgresql, canary):
    """Return two apps on one database, as two workers have it, with these engine options."""
    made = []

    def make(url, options):
        options = {"SQLALCHEMY_ENGINE_OPTIONS": options}
        direct = make_host(postgresql.render_as_string(hide_password=False))
        made.append(direct)
        direct.user("alice", is_admin=True)
        for _ in range(2):
            made.append(direct.again(SQLALCHEMY_DATABASE_URI=url, **options))
        direct.close()
        return made[-2:]

    yield make
    for host in made:
        canary(host.app)
        host.close()


def documented():
    """Return the options of the engine, those of PgBouncer and the SQL that the page shows."""
    app = flask.Flask("page")
    page = ROOT / "docs" / "databases.md"
    pages = blocks(page, section="PostgreSQL")
    exec(next(each for each in pages if "prepare_threshold" in each), {"app": app})
    (lines,) = blocks(page, "text", "PostgreSQL")
    timeout = blocks(page, "sql", "PostgreSQL")[-1]
    options = app.config["SQLALCHEMY_ENGINE_OPTIONS"]
    return options, dict(re.findall(r"(\w+) = (\S+)", lines)), timeout


def statuses(processes, rounds=8):
    """Have both processes write in turn, until psycopg prepares statements; a read ends these."""
    seen = []
    for number in range(rounds):
        for index, host in enumerate(processes):
            body = model(model_id=f"m{number}-{index}", abilities=["chat"])
            seen.append(host.client("alice").post(f"{PREFIX}/register", json=body).status_code)
    return seen


@pytest.mark.forces_errors
@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [("session", 2, 201), ("transaction", 1, 500), ("statement", 1, 503)],
)
def test_which_modes_work_with_psycopg_as_it_comes(pgbouncer, processes, mode, size, expected):
    """In transaction mode, each process finds the prepared statements of the other."""
    made = processes(pgbouncer(mode, size), {"connect_args": {"connect_timeout": 60}})

    seen = {*statuses(made)}

    assert expected in seen
    assert (seen == {expected}) == (mode != "transaction")


def test_the_page_makes_transaction_mode_work_and_sets_a_timeout(pgbouncer, processes, postgresql):
    options, lines, timeout = documented()
    server = sa.create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(timeout.replace("app", postgresql.database))
    server.dispose()

    made = processes(pgbouncer(lines["pool_mode"], 1), options)

    assert {*statuses(made)} == {201}
    with made[0].app.app_context():
        assert made[0].db.session.scalar(sa.text("SHOW statement_timeout")) == "15s"


@pytest.mark.forces_errors
def test_options_at_the_start_of_a_connection_are_refused(pgbouncer, processes):
    options = {"connect_args": {"options": "-c statement_timeout=15000"}}

    assert {*statuses(processes(pgbouncer("session", 2), options), 1)} == {503}


def test_nothing_of_the_registry_needs_the_same_connection_twice(pgbouncer, processes):
    """With two connections in turn, each transaction is on another one than that before."""
    options, *_ = documented()
    host, _ = processes(pgbouncer("transaction", 2), options)
    alice, bob = host.client("alice"), host.client("bob")
    first, second = register(alice, "first", "second", share_with_users=True)

    granted(alice, first, user=host.user("bob"), can_edit=True)
    assert bob.patch(f"{PREFIX}/{first}", json={"description": "x"}).status_code == 200
    for path in ("/defaults/general", "/defaults/compact?scope=app"):
        assert alice.put(PREFIX + path, json={"id": first}).status_code == 200
    body = {"user": str(host.user("bob"))}
    assert alice.post(f"{PREFIX}/{second}/transfer", json=body).status_code == 204
    assert alice.delete(f"{PREFIX}/defaults/general").status_code == 204
    with host.app.app_context():
        host.registry.user_deleted(host.load("bob"))
        host.db.session.commit()
    assert [host.run(*command)[1] for command in COMMANDS] == [0] * len(COMMANDS)
