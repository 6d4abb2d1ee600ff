"""The databases that the suite runs on: SQLite always, the servers where they answer."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

SERVERS = {
    "postgresql": os.environ.get(
        "TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}
NAMES = ("sqlite", *SERVERS)


@dataclass
class Database:
    """A database of the suite's own, made for this run."""

    name: str
    url: str
    server: sa.Engine | None = None

    def drop(self):
        if self.server is not None:
            force = " WITH (FORCE)" if self.name == "postgresql" else ""
            with self.server.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {sa.make_url(self.url).database}{force}")
            self.server.dispose()


def make_database(name, folder):
    """Make an empty database, or skip; where all are required, fail."""
    if name == "sqlite":
        folder.mkdir(exist_ok=True)
        return Database(name, f"sqlite:///{folder / 'host.sqlite'}")
    server = sa.create_engine(SERVERS[name], isolation_level="AUTOCOMMIT")
    database = f"model_registry_test_{secrets.token_hex(4)}"
    try:
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {database}")
    except sa.exc.OperationalError:
        server.dispose()
        if os.environ.get("TEST_ALL_DATABASES"):
            raise
        pytest.skip(f"{name} does not answer; set TEST_{name.upper()}_URL")
    url = server.url.set(database=database).render_as_string(hide_password=False)
    return Database(name, url, server)
