"""Column types and names that mean the same on SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import conv

from .foreign_keys import CascadingKey

NAME = "model_registry"
# UTC without a zone, to the microsecond: the one form that all of them keep alike.
UtcDateTime = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


# MySQL and MariaDB ignore case, accents and trailing blanks when they compare, unless told not to.
def ascii_text(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of ASCII text that is compared exactly."""
    binary = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def text(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of text that is compared exactly."""
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


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


def final(name: str) -> str:
    """Return a name that the host's naming convention does not change."""
    return conv(f"{NAME}_{name}")


def foreign_key(name: str, column: str, referred: sa.Column[Any]) -> CascadingKey:
    """Return a foreign key, which gives the column its type too."""
    return CascadingKey([column], [referred], name=final(f"fk_{name}"))


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
