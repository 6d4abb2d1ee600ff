"""Faults at step n: a database that fails at any one of the calls a request makes of it."""

from __future__ import annotations

import contextlib
import sqlite3

import psycopg
import pymysql

# For each database and fault, the driver's own error; what it means to a client is in the name.
ERRORS = {
    "sqlite": {
        "transient: locked": lambda: sqlite3.OperationalError("database is locked"),
        "full": lambda: sqlite3.OperationalError("database or disk is full"),
        "away: read-only": lambda: sqlite3.OperationalError("attempt to write a readonly database"),
        "away: I/O error": lambda: sqlite3.OperationalError("disk I/O error"),
    },
    "postgresql": {
        "transient: serialization": lambda: psycopg.errors.SerializationFailure("could not"),
        "transient: deadlock": lambda: psycopg.errors.DeadlockDetected("deadlock detected"),
        "transient: lock": lambda: psycopg.errors.LockNotAvailable("canceling statement"),
        "full": lambda: psycopg.errors.DiskFull("could not extend file"),
        "away: read-only": lambda: psycopg.errors.ReadOnlySqlTransaction("cannot execute"),
        "away: shutdown": lambda: psycopg.errors.AdminShutdown("terminating connection"),
    },
    "mariadb": {
        "transient: deadlock": lambda: pymysql.err.OperationalError(1213, "Deadlock found"),
        "transient: lock": lambda: pymysql.err.OperationalError(1205, "Lock wait timeout"),
        "transient: snapshot": lambda: pymysql.err.OperationalError(1020, "Record has changed"),
        "full": lambda: pymysql.err.OperationalError(1114, "The table is full"),
        "away: read-only": lambda: pymysql.err.OperationalError(1290, "--read-only"),
        "away: gone": lambda: pymysql.err.OperationalError(2006, "server has gone away"),
    },
}
CUT, UNCERTAIN = "away: cut", "away: after the commit"
VOLATILE = {
    "uuid", "ciphertext", "key_id", "created_at", "updated_at", "credential_updated_at",
    "secret_updated_at", "tested_at",
}  # fmt: skip
TABLES = ("credentials", "models", "abilities", "grants", "defaults", "app_defaults")


class Faults:
    """Counts the calls of a dialect, and lets one of them fail."""

    # A rollback that fails is done all the same, by the server, when the connection ends.
    _CALLS = ("do_execute", "do_executemany", "do_execute_no_params", "do_commit")

    def __init__(self, engine):
        self.engine, self._dialect = engine, engine.dialect
        self.database = "mariadb" if engine.dialect.name == "mysql" else engine.dialect.name
        self.count, self.step, self.kind, self.steps = 0, None, None, []

    @contextlib.contextmanager
    def at(self, step, kind=None):
        """Fail at this step of the block, once; with ``None``, only count."""
        self.count, self.step, self.kind, self.steps = 0, step, kind, []
        for name in self._CALLS:
            setattr(self._dialect, name, self._wrapped(name, getattr(self._dialect, name)))
        try:
            yield self
        finally:
            for name in self._CALLS:
                delattr(self._dialect, name)

    @property
    def has_failed(self):
        return self.step is not None and self.count >= self.step

    def _wrapped(self, name, call):
        def wrapped(*args):
            self.count += 1
            self.steps.append(name)
            if self.count != self.step:
                return call(*args)
            if self.kind == UNCERTAIN:
                call(*args)
            if self.kind not in (UNCERTAIN, CUT):
                raise ERRORS[self.database][self.kind]()
            if self.database == "sqlite":  # there is no connection that could break
                raise ERRORS["sqlite"]["away: I/O error"]()
            raw = getattr(args[0], "dbapi_connection", None) or args[0].connection
            raw.close()
            return call(*args)

        return wrapped


def state(host):
    """Return what is stored, but for what differs from try to try."""
    handles = {row.id: row.model_id for row in host.rows("models")}
    accounts = {row.id: row.name for row in host.rows("credentials")}
    found = {}
    for table in TABLES:
        rows = [
            {
                "model_row_id": handles.get(values.pop("model_row_id", None)),
                "credential": accounts.get(values.pop("credential_id", None)),
                "has_key": values.get("ciphertext") is not None,
                **{
                    name: str(value)
                    for name, value in values.items()
                    if name not in VOLATILE | {"id"}
                },
            }
            for values in (dict(row._mapping) for row in host.rows(table))
        ]
        found[table] = sorted(rows, key=str)
    return found
