"""The meaning of a database error, whichever driver raises it."""

from __future__ import annotations

import re
from enum import Enum
from traceback import walk_tb
from typing import Any

import sqlalchemy as sa


class Failure(Enum):
    """Kinds of failures. The values are the kinds in the log (docs/deploy.md)."""

    DEADLOCK = "deadlock"
    SERIALIZATION = "serialization"
    LOCKED = "locked"
    FULL = "full"
    READ_ONLY = "read-only"
    AWAY = "away"


# After these, an immediate retry may work.
_TRANSIENT = {Failure.DEADLOCK, Failure.SERIALIZATION, Failure.LOCKED}


# PostgreSQL's SQLSTATEs, MySQL's error numbers and SQLite's result codes.
_CODES: dict[Any, Failure | None] = {
    "40001": Failure.SERIALIZATION,  # serialization_failure
    "40P01": Failure.DEADLOCK,  # deadlock_detected
    "55P03": Failure.LOCKED,  # lock_not_available
    "53100": Failure.FULL,  # disk_full
    "25006": Failure.READ_ONLY,  # read_only_sql_transaction
    1020: Failure.SERIALIZATION,  # ER_CHECKREAD, of innodb_snapshot_isolation
    1205: Failure.LOCKED,  # ER_LOCK_WAIT_TIMEOUT
    1213: Failure.DEADLOCK,  # ER_LOCK_DEADLOCK
    1021: Failure.FULL,  # ER_DISK_FULL
    1114: Failure.FULL,  # ER_RECORD_FILE_FULL
    1290: Failure.READ_ONLY,  # ER_OPTION_PREVENTS_STATEMENT, such as --read-only
    1792: Failure.READ_ONLY,  # ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    1836: Failure.READ_ONLY,  # ER_READ_ONLY_MODE
    # MySQL Connector raises ProgrammingError or InternalError for these.
    1045: Failure.AWAY,  # ER_ACCESS_DENIED_ERROR, for example while a password is changed
    1203: Failure.AWAY,  # ER_TOO_MANY_USER_CONNECTIONS
    1226: Failure.AWAY,  # ER_USER_LIMIT_REACHED
    1317: Failure.AWAY,  # ER_QUERY_INTERRUPTED
    1927: Failure.AWAY,  # ER_CONNECTION_KILLED
    1969: Failure.AWAY,  # ER_STATEMENT_TIMEOUT, of MariaDB
    3024: Failure.AWAY,  # ER_QUERY_TIMEOUT, of MySQL; read_timeout of MySQL Connector
    3101: Failure.AWAY,  # ER_TRANSACTION_ROLLBACK_DURING_COMMIT, of MySQL's Group Replication
    # PyMySQL raises OperationalError for these, although a retry can't help.
    1142: None,  # ER_TABLEACCESS_DENIED_ERROR
    1143: None,  # ER_COLUMNACCESS_DENIED_ERROR
    1227: None,  # ER_SPECIFIC_ACCESS_DENIED_ERROR
    1644: None,  # ER_SIGNAL_EXCEPTION, of a trigger
    "database is locked": Failure.LOCKED,
    "database table is locked": Failure.LOCKED,
    "database or disk is full": Failure.FULL,
    # A quota or a limit such as `ulimit -f`; its message, "disk I/O error", has other causes too.
    "SQLITE_IOERR_WRITE": Failure.FULL,
    "attempt to write a readonly database": Failure.READ_ONLY,
}
_AWAY_ERRORS = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
# pg8000 raises one class for all errors. For these classes of SQLSTATEs, and when the server ends a
# session, other drivers raise OperationalError or report that the connection is closed.
_AWAY_CLASSES = {"08", "40", "53", "54", "55", "57", "58"}
_FATAL = {"FATAL", "PANIC"}
_BAD_VALUE, _BROKEN_CONSTRAINT = "22", "23"
# MySQL's: ER_CANT_AGGREGATE_2COLLATIONS, ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
_BAD_VALUES = {1267, 1366}
# Errors of MySQL and MariaDB for which PyMySQL raises OperationalError.
_BROKEN_CHECKS = {3819, 4025}
_MISSING = {"42P01", "42703", 1146, 1054}  # a table, a column
_MISSING_ON_SQLITE = re.compile(r"no such (table|column)|table \S+ has no column")
_QUERY = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
_ATTRIBUTES = ("sqlstate", "pgcode", "sqlite_errorname")  # the last from Python 3.11 on


def failure_of(error: BaseException) -> Failure | None:
    """Return what an error means, or ``None`` if it is not a failure of the database."""
    for code in _codes(error):
        if code in _CODES:
            return _CODES[code]
    is_away = isinstance(error, _AWAY_ERRORS) or getattr(error, "connection_invalidated", False)
    if (
        is_away
        or _is_from_mysql_connector(error)
        or _sqlstate_class(error) in _AWAY_CLASSES
        or _fields(error).get("V") in _FATAL
    ):
        return Failure.AWAY
    return None


def driver_failure(error: BaseException) -> sa.exc.DBAPIError | None:
    """Return SQLAlchemy's error for a socket error that a driver such as pg8000 didn't wrap."""
    if isinstance(error, OSError) and _is_from_driver(error):
        return sa.exc.OperationalError(None, None, error)
    return None


def _is_from_driver(error: BaseException) -> bool:
    # Only the driver runs below a method of SQLAlchemy's dialect, never the host's code.
    selves = (frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__))
    return any(isinstance(each, sa.Dialect) for each in selves)


def is_transient(error: BaseException) -> bool:
    """Return whether an immediate retry may work."""
    return failure_of(error) in _TRANSIENT


def is_missing_table(error: sa.exc.DBAPIError) -> bool:
    """Return whether a table or a column is missing."""
    codes = _codes(error)
    return not _MISSING.isdisjoint(codes) or any(
        _MISSING_ON_SQLITE.match(str(code)) for code in codes
    )


def is_bad_value(error: BaseException) -> bool:
    """Return whether the database cannot store a value, or cannot even compare with it."""
    is_bad = isinstance(error, sa.exc.DataError) or _sqlstate_class(error) == _BAD_VALUE
    return is_bad or not _BAD_VALUES.isdisjoint(_codes(error))


def is_bad_lookup(error: BaseException) -> bool:
    """Return whether a query looked for a value that the database cannot hold, so no row has it."""
    if isinstance(error, OverflowError):  # of SQLite's integers; SQLAlchemy doesn't wrap it
        return _is_from_driver(error)
    statement = getattr(error, "statement", None) or ""  # a write may have failed, as in a flush
    return is_bad_value(error) and _QUERY.match(statement) is not None


def is_constraint_violation(error: BaseException) -> bool:
    """Return whether the database refused a row because of its constraints."""
    is_broken = (
        isinstance(error, sa.exc.IntegrityError) or _sqlstate_class(error) == _BROKEN_CONSTRAINT
    )
    return is_broken or not _BROKEN_CHECKS.isdisjoint(_codes(error))


def violated_constraint(error: sa.exc.DBAPIError, table: sa.Table) -> str | None:
    """Return the name of the table's unique constraint that the error is about, if any."""
    diagnostics = getattr(error.orig, "diag", None)
    name = getattr(diagnostics, "constraint_name", None) or _fields(error).get("n")
    text = name or " ".join(map(str, getattr(error.orig, "args", ())))
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            # SQLite names the columns, MySQL `key` or `table.key`, PostgreSQL the constraint.
            columns = ", ".join(f"{table.name}.{column.name}" for column in constraint.columns)
            if re.search(rf"(\A|for key '(\w+\.)?){constraint.name}('|\Z)|: {columns}\Z", text):
                return str(constraint.name)
    return None


def _codes(error: BaseException) -> list[str | int]:
    """Return an error's MySQL number, SQLSTATEs, or SQLite name and message, numbers first."""
    original = getattr(error, "orig", None)
    found = [_fields(error).get("C"), *(getattr(original, each, None) for each in _ATTRIBUTES)]
    found += getattr(original, "args", ())[:1]
    # Numbers come first, because MySQL Connector's errors also have a SQLSTATE, which says less.
    codes = [each for each in found if isinstance(each, (str, int))]
    return sorted(codes, key=lambda each: isinstance(each, str))


def _is_from_mysql_connector(error: BaseException) -> bool:
    """Return whether MySQL Connector raised its base class with an error number.

    It does so if the SQLSTATE only says "general error". PyMySQL mostly raises OperationalError for
    these errors.
    """
    return type(error) is sa.exc.DatabaseError and isinstance(next(iter(_codes(error)), None), int)


def _fields(error: BaseException) -> dict[str, str]:
    """Return the fields of PostgreSQL's message, by their letters, as pg8000 returns them."""
    first = next(iter(getattr(getattr(error, "orig", None), "args", ())), None)
    return first if isinstance(first, dict) else {}


def _sqlstate_class(error: BaseException) -> str:
    """Return the class of the SQLSTATE in these fields, or an empty string."""
    return _fields(error).get("C", "")[:2]
