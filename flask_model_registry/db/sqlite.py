"""Set up SQLite for several writers at once, if the host asks for it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def configure_sqlite(engine: sa.Engine, *, busy_timeout: float = 5.0) -> None:
    """Make an engine's transactions wait for each other, and enforce foreign keys.

    Call this function once, before the engine connects. It affects everything that the app does
    with this engine. Each transaction begins with ``BEGIN IMMEDIATE``, so that a transaction
    doesn't fail when it first reads and then writes. Other programs can still read the last commit,
    because SQLite's WAL mode is on. On other databases, the function does nothing.

    Args:
        busy_timeout: Seconds to wait for another transaction to end.

    Example:
        >>> configure_sqlite(db.engine, busy_timeout=10)
    """
    if engine.dialect.name != "sqlite":
        return

    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # so that the driver begins no transaction by itself
        cursor = connection.cursor()
        milliseconds = round(busy_timeout * 1000)
        for pragma in (f"busy_timeout={milliseconds}", "journal_mode=WAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: sa.Connection) -> None:
        # In memory, all sessions of a test share one connection, and so one transaction.
        if not _dbapi_connection(connection).in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", set_up)
    sa.event.listen(engine, "begin", begin)


def _dbapi_connection(connection: sa.Connection) -> Any:
    return connection.connection.dbapi_connection
