"""The host's session, and what differs between the databases: savepoints, foreign keys, upserts."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

# False while a failure rolls back the whole transaction.
needs_savepoints: ContextVar[bool] = ContextVar("needs_savepoints", default=True)
_ENFORCED = "model_registry_foreign_keys"
_TABLES = "model_registry_"  # what the names of all begin with
NO_TABLES = (
    "the registry's tables are missing or of another version; "
    "run db.create_all() or 'flask db upgrade'"
)


class Database(Protocol):
    """What the registry asks of Flask-SQLAlchemy or Flask-SQLAlchemy-Lite."""

    @property
    def session(self) -> Any:
        """The session of the app context, or a registry of sessions such as ``scoped_session``."""
        ...


class HostSession:
    """The session that ``db.session`` is at the moment.

    Tests put another in its place, and Flask-SQLAlchemy-Lite has one for each app context.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def __call__(self) -> Any:
        """Return the session itself, where the host has a ``scoped_session``."""
        session = self._db.session
        return session if isinstance(session, Session) else session()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db.session, name)


def savepoint(connection: sa.Connection) -> AbstractContextManager[None]:
    """Write what the block does, or nothing of it if it fails.

    That is a savepoint, unless a failure rolls back the whole transaction. Enter what this returns
    at once: on SQLite the lock is taken already.
    """
    # SQLite has no FOR UPDATE: this is the lock that writers wait for, before they look at a row.
    # And the sqlite3 module opens no transaction for a SAVEPOINT, so its release would commit.
    dbapi_connection: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite" and not dbapi_connection.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    return _savepoint(connection) if needs_savepoints.get() else nullcontext()


@contextmanager
def _savepoint(connection: sa.Connection) -> Iterator[None]:
    failures: list[BaseException] = []
    try:
        with connection.begin_nested():
            try:
                yield
            except BaseException as error:
                failures.append(error)
                raise
    except sa.exc.DBAPIError as error:
        # After a deadlock MySQL has no savepoint to go back to: that must not hide the deadlock.
        raise (failures or [error])[0] from None


def enforces_foreign_keys(connection: sa.Connection) -> bool:
    """Return whether foreign keys are enforced; on SQLite that is set for each connection."""
    if connection.dialect.name != "sqlite":
        return True
    enforced = connection.info.get(_ENFORCED)
    if enforced is None:  # asked once for a connection to the file
        pragma = connection.exec_driver_sql("PRAGMA foreign_keys")
        enforced = connection.info[_ENFORCED] = bool(pragma.scalar())
    return bool(enforced)


def is_of_the_registry(error: sa.exc.DBAPIError) -> bool:
    """Tell the registry's own statements from those of the host's callbacks."""
    return _TABLES in (error.statement or "")


def upsert(
    connection: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]
) -> None:
    """Insert a row or, if there is one with this unique key, change it; in one statement."""
    # The host's engine has loaded its dialect already; the others take long.
    name = {"sqlite": "sqlite", "mysql": "mysql", "mariadb": "mysql"}.get(connection.dialect.name)
    insert: Any = import_module(f"sqlalchemy.dialects.{name or 'postgresql'}").insert(table)
    statement = insert.values({**key, **values})
    if name == "mysql":
        statement = statement.on_duplicate_key_update(values)
    else:
        statement = statement.on_conflict_do_update(index_elements=[*key], set_=values)
    connection.execute(statement)
