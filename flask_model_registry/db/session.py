"""The host's session, and the differences between databases.

Those are savepoints, foreign keys or triggers instead of them, upserts, and blobs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .declare import Tables

# False while a failure rolls back the whole transaction.
needs_savepoints: ContextVar[bool] = ContextVar("needs_savepoints", default=True)
_ENFORCED = "model_registry_foreign_keys"
INSERTED = "model_registry_user_inserted"  # the trigger that is made last
# Whether a connection is followed, and how many of the two tables there are.
_STATE = (
    "SELECT EXISTS (SELECT 1 FROM sqlite_temp_master WHERE name = ?), "
    "(SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN (?, ?))"
)
_TABLES = "model_registry_"  # what the names of all begin with
NO_TABLES = (
    "the registry's tables are missing or of another version; "
    "run db.create_all() or 'flask db upgrade'"
)


class Database(Protocol):
    """What the registry needs of Flask-SQLAlchemy or Flask-SQLAlchemy-Lite."""

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
    """Write all that the block does, or nothing if it fails.

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


def user_missing(connection: sa.Connection, tables: Tables, key: Any) -> bool:
    """Return whether a user is gone, if no foreign key checks it, as SQLite may not.

    SQLite may reuse the primary key for the next user, who would inherit what is written now.
    """
    if enforces_foreign_keys(connection):
        return False
    return connection.execute(tables.user_with_key, {"user": key}).first() is None


def trigger_state(connection: sa.Connection, tables: Tables) -> tuple[bool, bool]:
    """Return whether a connection is followed, and whether the tables are there for that."""
    # Users in another file are not looked for.
    users = tables.user_key.table if tables.user_key.table.schema is None else tables.models
    names = (INSERTED, users.name, tables.models.name)
    try:  # past SQLAlchemy, as each transaction asks for this
        cursor: Any = connection.connection.cursor()
        cursor.execute(_STATE, names)
        is_followed, count = cursor.fetchone()
        cursor.close()
    except Exception:  # again, so that SQLAlchemy wraps the error
        is_followed, count = connection.exec_driver_sql(_STATE, names).one()
    return bool(is_followed), count == len({*names[1:]})


def is_of_the_registry(error: sa.exc.DBAPIError) -> bool:
    """Mark the registry's own statements, unlike those of the host's callbacks."""
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


class Blob(sa.types.TypeDecorator[bytes]):
    """Bytes. SQLite keeps values of any type in any column; a sealed key is always a blob."""

    impl = sa.LargeBinary
    cache_ok = True
    # By this and its repr, Alembic writes sa.LargeBinary(): it imports no types but SQLAlchemy's.
    __module__ = sa.LargeBinary.__module__
    # SQLAlchemy 2.0.35 would make one at run time, which cannot be pickled.
    comparator_factory = sa.types.TypeDecorator.Comparator

    def __repr__(self) -> str:
        return "LargeBinary()"

    def __reduce__(self) -> Any:  # pickle would look for the class in that module
        return _blob, ()

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:  # noqa: ARG002
        """Return what makes bytes of what the driver returns."""

        def process(value: Any) -> bytes | None:
            is_blob = isinstance(value, (bytes, bytearray, memoryview))
            return bytes(value) if is_blob else None if value is None else b""

        return process


def _blob() -> sa.types.TypeEngine[bytes]:
    return Blob()
