"""A primary that becomes read-only keeps its sessions; the recipes of the pages leave it."""

import contextlib
import re
import subprocess

import pytest
import sqlalchemy as sa

from tests.databases import make_database
from tests.doc_runner import ROOT, blocks
from tests.hosts import PREFIX, make_host, model, register
from tests.reliability.servers import MariaDB, PostgreSQL, wait_for
from tests.software.standby import Standby, needs

pytestmark = pytest.mark.forces_errors

PAGE = ROOT / "docs" / "databases.md"


@contextlib.contextmanager
def administrator(server):
    engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def apps(canary):
    """Make an app that follows a section of the page, and one that doesn't."""
    made = []

    def make(url, section):
        recipes = blocks(PAGE, section=section)
        recipe = next(each for each in recipes if "handle_error" in each)
        follows = make_host(url)
        made.extend([follows, follows.again()])
        exec(recipe, {"app": follows.app, "db": follows.db})
        return made[-2:]

    yield make
    for host in made:
        canary(host.app)
        host.close()


def psql(url):
    """Ask a server of the URI what docs/troubleshooting.md asks."""
    command = ["psql", f"postgresql:{url.partition(':')[2]}", "--tuples-only"]
    show = [*command, "--command", "SHOW transaction_read_only"]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()


def changes(host, name):
    """Register four models; return the statuses."""
    client = host.client("alice")
    bodies = [model(model_id=f"{name}-{number}") for number in range(4)]
    return [client.post(f"{PREFIX}/register", json=body).status_code for body in bodies]


def test_a_primary_of_postgresql_that_only_reads_is_left_after_one_503(caplog, apps):
    needs("postgres", "pg_basebackup", "psql")
    (url,) = [
        re.search('"(postgresql.*)"', each)[1]
        for each in blocks(PAGE, "sh", "PostgreSQL")
        if "target_session_attrs" in each
    ]
    with PostgreSQL() as primary, Standby(primary) as standby:
        url = url.replace("app:password@/app", "postgres@/host")
        url = url.replace("db1.example.com,db2.example.com", "127.0.0.1,127.0.0.1")
        url = url.replace("5432,5432", f"{primary.port},{standby.port}")
        follows, without = apps(url, "PostgreSQL")
        register(follows.client("alice"), "before")
        register(without.client("alice"), "before-too")
        with administrator(primary) as old, administrator(standby) as new:
            written = old.scalar(sa.text("SELECT pg_current_wal_lsn()::text"))
            replayed = sa.text("SELECT pg_last_wal_replay_lsn() >= CAST(:lsn AS pg_lsn)")
            wait_for(lambda: new.scalar(replayed, {"lsn": written}))
            old.exec_driver_sql("ALTER SYSTEM SET default_transaction_read_only = on")
            old.exec_driver_sql("SELECT pg_reload_conf()")
            assert new.scalar(sa.text("SELECT pg_promote()"))
        for host in (follows, without):  # the sessions that the pools have, too
            with host.app.app_context(), host.db.engine.connect() as connection:
                show = sa.text("SHOW default_transaction_read_only")
                wait_for(lambda: connection.scalar(show) == "on")  # noqa: B023  # at once

        assert changes(without, "w") == [503] * 4
        assert changes(follows, "f") == [503, 201, 201, 201]
        assert psql(url) == "off"
        listed = follows.client("alice").get(f"{PREFIX}/").json
        assert [each["model_id"] for each in listed] == [
            "before",
            "before-too",
            "f-1",
            "f-2",
            "f-3",
        ]
        with administrator(standby) as new:
            count = new.scalar(sa.text("SELECT count(*) FROM model_registry_models"))
        assert count == 5
        assert caplog.text.count("database failure (read-only): ") == 5
        for host in (follows, without):
            host.close()


@pytest.fixture(scope="module")
def mariadb():
    """A server whose user `app` has no right to write when it only reads, unlike root."""
    needs("mariadbd", "mariadb-install-db")
    with MariaDB() as server:
        with administrator(server) as root:
            root.exec_driver_sql("CREATE USER app@'127.0.0.1'")
            root.exec_driver_sql("GRANT ALL ON host.* TO app@'127.0.0.1'")
        yield server


def as_app(server):
    return sa.make_url(server.url).set(username="app")


def test_a_primary_of_mariadb_that_only_reads_is_left_after_one_503(
    caplog, apps, mariadb, tmp_path
):
    promoted = make_database("mariadb", tmp_path)
    try:
        leads_to = [as_app(mariadb)]
        follows, without = apps(
            leads_to[0].render_as_string(hide_password=False), "MySQL and MariaDB"
        )
        user_id = follows.user("alice")
        new = make_host(promoted.url)
        assert new.user("alice") == user_id
        new.close()
        for host in (follows, without):
            with host.app.app_context():
                host.db.engine.dispose()

                @sa.event.listens_for(host.db.engine, "do_connect")
                def look_up(dialect, record, args, parameters):
                    """Stand in for the host's name in DNS, which moves."""
                    parameters.update(leads_to[0].translate_connect_args(username="user"))

            register(host.client("alice"), "before" + "-too" * (host is without))
        with administrator(mariadb) as root:
            root.exec_driver_sql("SET GLOBAL read_only = 1")
        leads_to[0] = sa.make_url(promoted.url)

        assert changes(without, "w") == [503] * 4
        assert changes(follows, "f") == [503, 201, 201, 201]
        assert caplog.text.count("(1290, ") == 5
    finally:
        with administrator(mariadb) as root:
            root.exec_driver_sql("SET GLOBAL read_only = 0")
        for host in (follows, without):
            host.close()
        promoted.drop()


def test_a_session_of_mariadb_that_began_under_tx_read_only_is_left(caplog, apps, mariadb):
    with administrator(mariadb) as root:
        root.exec_driver_sql("DROP DATABASE host")
        root.exec_driver_sql("CREATE DATABASE host")
    follows, without = apps(
        as_app(mariadb).render_as_string(hide_password=False), "MySQL and MariaDB"
    )
    follows.user("alice")
    with administrator(mariadb) as root:
        root.exec_driver_sql("SET GLOBAL tx_read_only = 1")
        for host in (follows, without):
            with host.app.app_context():
                host.db.engine.dispose()
            assert changes(host, "x") == [503] * 4
        root.exec_driver_sql("SET GLOBAL tx_read_only = 0")

    assert changes(without, "w") == [503] * 4
    assert changes(follows, "f") == [201] * 4
    assert "(1792, " in caplog.text
