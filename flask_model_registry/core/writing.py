"""What differs between the databases: savepoints, foreign keys, upserts, what errors say."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

_needs_savepoints: ContextVar[bool] = ContextVar("_needs_savepoints", default=True)
_ENFORCED = "model_registry_foreign_keys"
_TABLES = "model_registry_"  # what the names of all begin with
NO_TABLES = "the registry's tables are missing; run db.create_all() or 'flask db upgrade'"


@contextmanager
def undone_as_a_whole() -> Iterator[None]:
    """Make no savepoints for what the block does: if it fails, all of the transaction goes."""
    token = _needs_savepoints.set(False)
    try:
        yield
    finally:
        _needs_savepoints.reset(token)


def need_savepoints() -> None:
    """Make savepoints again for the rest of such a block: others may go on after a failure."""
    _needs_savepoints.set(True)


@contextmanager
def all_or_nothing(connection: sa.Connection) -> Iterator[None]:
    """Write what the block does, or nothing of it if it fails.

    That is a savepoint, but within :func:`undone_as_a_whole`.
    """
    # SQLite has no FOR UPDATE: this is the lock that writers wait for, before they look at a row.
    # And the sqlite3 module opens no transaction for a SAVEPOINT, so its release would commit.
    dbapi_connection: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite" and not dbapi_connection.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    if not _needs_savepoints.get():
        yield
        return
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
    """Tell whether the database keeps foreign keys; SQLite does if told so for each connection."""
    if connection.dialect.name != "sqlite":
        return True
    enforced = connection.info.get(_ENFORCED)
    if enforced is None:  # asked once for a connection to the file
        pragma = connection.exec_driver_sql("PRAGMA foreign_keys")
        enforced = connection.info[_ENFORCED] = bool(pragma.scalar())
    return bool(enforced)


def misses_a_table(error: sa.exc.DBAPIError) -> bool:
    """Tell whether a table is not there: PostgreSQL's, MySQL's or SQLite's way to say so."""
    first = next(iter(getattr(error.orig, "args", ())), None)
    is_postgresqls = getattr(error.orig, "sqlstate", None) == "42P01"
    return is_postgresqls or first == 1146 or str(first).startswith("no such table")


def is_of_the_registry(error: sa.exc.DBAPIError) -> bool:
    """Tell the registry's own statements from those of the host's callbacks."""
    return _TABLES in (error.statement or "")


def refuses_a_value(error: sa.exc.DBAPIError) -> bool:
    """Tell whether the database cannot even compare with a value."""
    first = next(iter(getattr(error.orig, "args", ())), None)
    return isinstance(error, sa.exc.DataError) or first == 1267  # MySQL: a mix of collations


def violated_constraint(error: sa.exc.IntegrityError, table: sa.Table) -> str | None:
    """Return the name of the table's unique constraint that the driver complains of, if any."""
    diagnostics = getattr(error.orig, "diag", None)
    arguments = getattr(error.orig, "args", ())
    told = getattr(diagnostics, "constraint_name", None) or " ".join(map(str, arguments))
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            # SQLite names the columns, MySQL `key` or `table.key`, PostgreSQL the constraint.
            columns = ", ".join(f"{table.name}.{column.name}" for column in constraint.columns)
            if re.search(rf"(\A|for key '(\w+\.)?){constraint.name}('|\Z)|: {columns}\Z", told):
                return str(constraint.name)
    return None


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
