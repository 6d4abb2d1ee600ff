"""What a failure of the database means: worth another try, no room, or nobody there."""

from __future__ import annotations

from enum import Enum
from typing import Any

import sqlalchemy as sa


class Failure(Enum):
    """What a failure means."""

    TRANSIENT = "transient"  # the same again may work at once
    FULL = "full"
    UNAVAILABLE = "unavailable"


# PostgreSQL's SQLSTATEs, MySQL's error numbers and SQLite's result codes.
_CODES: dict[Any, Failure] = {
    "40001": Failure.TRANSIENT,  # serialization_failure
    "40P01": Failure.TRANSIENT,  # deadlock_detected
    "55P03": Failure.TRANSIENT,  # lock_not_available
    "53100": Failure.FULL,  # disk_full
    "25006": Failure.UNAVAILABLE,  # read_only_sql_transaction
    1020: Failure.TRANSIENT,  # ER_CHECKREAD, of innodb_snapshot_isolation
    1205: Failure.TRANSIENT,  # ER_LOCK_WAIT_TIMEOUT
    1213: Failure.TRANSIENT,  # ER_LOCK_DEADLOCK
    1021: Failure.FULL,  # ER_DISK_FULL
    1114: Failure.FULL,  # ER_RECORD_FILE_FULL
    1290: Failure.UNAVAILABLE,  # ER_OPTION_PREVENTS_STATEMENT, such as --read-only
    1792: Failure.UNAVAILABLE,  # ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    1836: Failure.UNAVAILABLE,  # ER_READ_ONLY_MODE
    "database is locked": Failure.TRANSIENT,
    "database table is locked": Failure.TRANSIENT,
    "database or disk is full": Failure.FULL,
    "attempt to write a readonly database": Failure.UNAVAILABLE,
}
_AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)


def failure_of(error: BaseException) -> Failure | None:
    """Return what an error means, or ``None`` if it is no failure of the database."""
    original = getattr(error, "orig", None)
    arguments = getattr(original, "args", ())
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    for code in (state, *arguments[:1]):
        if isinstance(code, (str, int)) and code in _CODES:
            return _CODES[code]
    if isinstance(error, _AWAY) or getattr(error, "connection_invalidated", False):
        return Failure.UNAVAILABLE
    return None


def is_transient(error: BaseException) -> bool:
    """Tell whether the same again may work at once."""
    return failure_of(error) is Failure.TRANSIENT
