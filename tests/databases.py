"""The databases that the suite runs on: SQLite always, and the servers that respond."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import sqlite3
from dataclasses import dataclass
from functools import cache

import pytest
import sqlalchemy as sa

SERVERS = {
    "postgresql": os.environ.get(
        "TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}
NAMES = tuple(os.environ.get("TEST_DATABASES", "sqlite postgresql mariadb").split())
LEFT_OUT = [each for each in SERVERS if each not in NAMES]
# PostgreSQL makes and drops a schema much faster than a database; in MariaDB they are the same.
DROP = {
    "postgresql": (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
        "DROP SCHEMA {} CASCADE",
    ),
    "mariadb": ("DROP SCHEMA {}",),
}
DO_NOT_WAIT = {"postgresql": "SET synchronous_commit=off"}  # SQLite never does, see below


@dataclass
class Database:
    """A database of the suite's own, made for this run."""

    name: str
    url: str
    schema: str | None = None
    server: sa.Engine | None = None

    def drop(self):
        if self.server is not None:
            with self.server.connect() as connection:
                for statement in DROP[self.name]:
                    connection.exec_driver_sql(statement.format(self.schema))


@cache
def server_of(name):
    """Return one engine for all of a server's databases, because connecting takes the longest."""
    server = sa.create_engine(SERVERS[name], isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    atexit.register(server.dispose)
    return server


def make_database(name, folder):
    """Make an empty database, or skip the test; fail if all databases are required."""
    if name == "sqlite":
        folder.mkdir(exist_ok=True)
        return Database(name, f"sqlite:///{folder / 'host.sqlite'}")
    server = server_of(name)
    schema = f"model_registry_test_{secrets.token_hex(4)}"
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    except sa.exc.OperationalError:
        if os.environ.get("TEST_ALL_DATABASES"):
            raise
        pytest.skip(f"{name} does not answer; set TEST_{name.upper()}_URL")
    if name == "postgresql":
        options = f"-csearch_path={schema} -capplication_name={schema}"
        url = server.url.update_query_dict({"options": options})
    else:
        url = server.url.set(database=schema)
    return Database(name, url.render_as_string(hide_password=False), schema, server)


class Disk:
    """Whether SQLite waits for the disk: only in tests of races, which otherwise collide less often."""

    waits = False


@sa.event.listens_for(sa.pool.Pool, "connect")
def _do_not_wait(raw, _record):
    if isinstance(raw, sqlite3.Connection) and not Disk.waits:
        with contextlib.suppress(sqlite3.Error):  # the file may be what the test has broken
            raw.execute("PRAGMA synchronous=OFF")


def do_not_wait_for_the_disk(engine):
    """Make commits faster; not in tests of races, which would then collide less often."""
    if statement := DO_NOT_WAIT.get(engine.dialect.name):
        on_connecting(engine, statement)


def on_connecting(engine, statement):
    """Run a statement on each new connection."""
    engine.dispose()

    @sa.event.listens_for(engine, "connect")
    def connect(raw, _record):
        cursor = raw.cursor()
        cursor.execute(statement)
        cursor.close()
        raw.commit()
