"""Column types and names that mean the same on SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import conv

from .foreign_keys import CascadingKey, ClearingKey

NAME = "model_registry"
# UTC without a zone, in microseconds: the only form that all databases store alike.
UtcDateTime = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


class _ReadableJson(sa.types.TypeDecorator[Any]):
    """JSON that is read as NULL if it is not valid, because SQLite lets SQL write any text."""

    impl = sa.JSON
    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        """Return a function that reads a value, if the driver doesn't."""
        read = super().result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            try:
                return read(value) if read else value
            except (ValueError, TypeError, RecursionError):
                return None

        return process


def readable_columns(table: sa.Table, *names: str) -> list[sa.ColumnElement[Any]]:
    """Return the columns of a table. Those with these names are NULL where they aren't JSON.

    They are declared as plain JSON, so that a migration doesn't import the registry.
    """
    return [
        sa.type_coerce(each, _ReadableJson()).label(each.name) if each.name in names else each
        for each in table.c
    ]


# By default, MySQL and MariaDB ignore case, accents and trailing blanks in comparisons.
def ascii_text(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of ASCII text that is compared exactly."""
    binary = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def text(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of text that is compared exactly."""
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def final(name: str) -> str:
    """Return a name that the host's naming convention does not change."""
    return conv(f"{NAME}_{name}")


def foreign_key(name: str, column: str, referred: sa.Column[Any]) -> CascadingKey:
    """Return a foreign key, from which the column gets its type."""
    return CascadingKey([column], [referred], name=final(f"fk_{name}"))


def clearing_key(name: str, column: str, referred: sa.Column[Any]) -> ClearingKey:
    """Return a foreign key that leaves NULL when the row that it refers to is deleted."""
    return ClearingKey([column], [referred], name=final(f"fk_{name}"))


def unique(name: str, *columns: str) -> sa.UniqueConstraint:
    """Return a unique constraint with its full name."""
    return sa.UniqueConstraint(*columns, name=final(f"uq_{name}"))


def check(name: str, condition: str) -> sa.CheckConstraint:
    """Return a check constraint with its full name."""
    return sa.CheckConstraint(condition, name=final(f"ck_{name}"))


def index(name: str, *columns: str, where: Any = None) -> sa.Index:
    """Return an index with its full name, partial on the databases that have such."""
    partial = {} if where is None else {"postgresql_where": where, "sqlite_where": where}
    return sa.Index(final(f"ix_{name}"), *columns, **partial)


def options_like(users: sa.Table) -> dict[str, Any]:
    """Return the options that a table needs to refer to the users' table.

    On MySQL a foreign key to text needs the same engine, charset and collation.
    """
    options = ("engine", "charset", "default_charset", "collate")
    return {
        name: value
        for name, value in users.kwargs.items()
        if name.partition("_")[0] in {"mysql", "mariadb"} and name.partition("_")[2] in options
    }
