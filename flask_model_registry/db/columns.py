"""Column types and names that mean the same on SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import conv

from .foreign_keys import CascadingKey, ClearingKey

NAME = "model_registry"
# UTC without a zone, in microseconds: the only form that all databases store alike.
UtcDateTime = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


#: What reading a column raises if it holds anything but JSON.
NOT_JSON = (ValueError, TypeError, RecursionError)


class _Unreadable:
    """The value of a column where SQL wrote something else. It is empty, but equals only itself."""

    __hash__ = None  # type: ignore[assignment]  # like lists and dicts

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other


class UnreadableList(_Unreadable, list[str]):
    """A list that can't be read."""


class UnreadableDict(_Unreadable, dict[str, Any]):
    """An object that can't be read."""


class _ReadableJson(sa.types.TypeDecorator[Any]):
    """JSON that is read as empty if SQL wrote something else, which on SQLite may be any text.

    Args:
        name: The name of the column, which says what it holds.
    """

    impl = sa.JSON
    cache_ok = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        """Return a function that decodes a value, and replaces one that can't be read."""
        read = super().result_processor(dialect, coltype)
        unreadable = UnreadableList if self.name == "abilities" else UnreadableDict

        def process(value: Any) -> Any:
            try:
                found = read(value) if read else value
            except NOT_JSON:
                return unreadable()
            return found if is_readable(self.name, found) else unreadable()

        return process


def is_readable(name: str, value: Any) -> bool:
    """Return whether a value is one that the registry writes to a column of JSON."""
    if value is None:
        return name not in {"settings", "secret_names"}
    if name == "abilities":
        return type(value) is list and {*map(type, value)} <= {str}
    if name == "settings":
        return type(value) is dict and {*map(type, value.values())} <= {str}
    return type(value) is dict


def readable_columns(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """Return the columns of a table, where JSON that the registry didn't write is read as empty.

    The tables declare plain JSON, so that a migration doesn't import the registry.
    """
    return [_readable(each) for each in table.c]


def readable(statement: sa.Select[Any]) -> sa.Select[Any]:
    """Return a statement that reads all rows, whatever SQL wrote into their columns of JSON.

    It is slower, so hot paths try the statement itself first, and this one after a ``NOT_JSON``.
    """
    columns = map(_readable, statement.selected_columns)
    return statement.with_only_columns(*columns, maintain_column_froms=True)


def _readable(column: Any) -> sa.ColumnElement[Any]:
    stored = column.element if isinstance(column, sa.Label) else column
    is_json = isinstance(stored, sa.Column) and isinstance(stored.type, sa.JSON)
    if not is_json:
        return cast("sa.ColumnElement[Any]", column)
    return sa.type_coerce(stored, _ReadableJson(stored.name)).label(column.name)


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
    """Return a foreign key that becomes NULL when the row that it refers to is deleted."""
    return ClearingKey([column], [referred], name=final(f"fk_{name}"))


def unique(name: str, *columns: str) -> sa.UniqueConstraint:
    """Return a unique constraint with its full name."""
    return sa.UniqueConstraint(*columns, name=final(f"uq_{name}"))


def check(name: str, condition: str) -> sa.CheckConstraint:
    """Return a check constraint with its full name."""
    return sa.CheckConstraint(condition, name=final(f"ck_{name}"))


def index(name: str, *columns: str, where: Any = None) -> sa.Index:
    """Return an index with its full name, partial on the databases that have partial indexes."""
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
