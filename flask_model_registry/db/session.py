"""The host's session, and the differences between databases.

Databases differ in savepoints, upserts and blobs, and SQLite may need triggers for foreign keys.
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

# False while any failure would roll back the whole transaction.
needs_savepoints: ContextVar[bool] = ContextVar("needs_savepoints", default=True)
_FOREIGN_KEYS_INFO = "model_registry_foreign_keys"
INSERTION_TRIGGER = "model_registry_user_inserted"  # the trigger that is made last
# Whether a connection has the triggers, and whether both tables exist.
_TRIGGER_STATE = (
    "SELECT EXISTS (SELECT 1 FROM sqlite_temp_master WHERE name = ?), "
    "EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?) "
    "AND EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)"
)
_TABLE_PREFIX = "model_registry_"  # the prefix of all names
NO_TABLES = (
    "the registry's tables are missing or of another version; "
    "run db.create_all() or 'flask db upgrade'"
)


class Database(Protocol):
    """The attributes that the registry needs of Flask-SQLAlchemy or Flask-SQLAlchemy-Lite."""

    @property
    def session(self) -> Any:
        """The session of the app context, or a registry of sessions such as ``scoped_session``."""
        ...


class HostSession:
    """The session that ``db.session`` is at the moment.

    Tests replace it, and Flask-SQLAlchemy-Lite has one for each app context.
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
    """Keep everything that the block writes, or nothing if it fails.

    This is a savepoint, unless a failure would roll back the whole transaction. Enter the block
    immediately, because on SQLite this call already takes the lock.
    """
    # SQLite has no FOR UPDATE: writers wait for this lock before they look at a row. The sqlite3
    # module also opens no transaction for a SAVEPOINT, so its release would commit.
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
        # After a deadlock, MySQL has lost the savepoint. The error about that must not hide the
        # deadlock.
        raise (failures or [error])[0] from None


def enforces_foreign_keys(connection: sa.Connection) -> bool:
    """Return whether foreign keys are enforced; SQLite sets that for each connection."""
    if connection.dialect.name != "sqlite":
        return True
    enforced = connection.info.get(_FOREIGN_KEYS_INFO)
    if enforced is None:  # asked once for each connection to the file
        pragma = connection.exec_driver_sql("PRAGMA foreign_keys")
        enforced = connection.info[_FOREIGN_KEYS_INFO] = bool(pragma.scalar())
    return bool(enforced)


def user_missing(connection: sa.Connection, tables: Tables, key: Any) -> bool:
    """Return whether a user is gone, or false where a foreign key checks that anyway.

    SQLite may reuse the primary key for the next user, who would inherit what is written now.
    """
    if enforces_foreign_keys(connection):
        return False
    return connection.execute(tables.user_with_key, {"user": key}).first() is None


def trigger_state(connection: sa.Connection, tables: Tables) -> tuple[bool, bool]:
    """Return whether a connection has the triggers, and whether the tables for them exist."""
    # Don't look for the users' table if it is in another file.
    users = tables.user_key.table if tables.user_key.table.schema is None else tables.models
    # As plain strings, because for SQLAlchemy's own type the driver looks for an adapter first.
    names = (INSERTION_TRIGGER, str(users.name), str(tables.models.name))
    try:  # without SQLAlchemy, because each transaction asks for this
        dbapi_connection: Any = connection.connection.dbapi_connection
        has_triggers, has_tables = dbapi_connection.execute(_TRIGGER_STATE, names).fetchone()
    except Exception:  # again, so that SQLAlchemy wraps the error
        has_triggers, has_tables = connection.exec_driver_sql(_TRIGGER_STATE, names).one()
    return bool(has_triggers), bool(has_tables)


def is_from_registry(error: sa.exc.DBAPIError) -> bool:
    """Return whether the registry's own statement failed, not one of the host's callbacks."""
    return _TABLE_PREFIX in (error.statement or "")


def upsert(
    connection: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]
) -> None:
    """Insert a row, or change the row with this unique key, in one statement."""
    # The host's engine has already loaded its dialect; loading others takes long.
    name = {"sqlite": "sqlite", "mysql": "mysql", "mariadb": "mysql"}.get(connection.dialect.name)
    insert: Any = import_module(f"sqlalchemy.dialects.{name or 'postgresql'}").insert(table)
    statement = insert.values({**key, **values})
    if name == "mysql":
        statement = statement.on_duplicate_key_update(values)
    else:
        statement = statement.on_conflict_do_update(index_elements=[*key], set_=values)
    connection.execute(statement)


class Blob(sa.types.TypeDecorator[bytes]):
    """Bytes. SQLite keeps any type in any column, but an encrypted key is always a blob."""

    impl = sa.LargeBinary
    cache_ok = True
    # With this and the repr, Alembic writes sa.LargeBinary(). Its scripts import SQLAlchemy only.
    __module__ = sa.LargeBinary.__module__
    # SQLAlchemy 2.0.35 would make one at run time, which cannot be pickled.
    comparator_factory = sa.types.TypeDecorator.Comparator

    def __repr__(self) -> str:
        return "LargeBinary()"

    def __reduce__(self) -> Any:  # pickle would look for the class in that module
        return _blob, ()

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:  # noqa: ARG002
        """Return a function that turns the driver's value into bytes."""

        def process(value: Any) -> bytes | None:
            is_blob = isinstance(value, (bytes, bytearray, memoryview))
            return bytes(value) if is_blob else None if value is None else b""

        return process


def _blob() -> sa.types.TypeEngine[bytes]:
    return Blob()
