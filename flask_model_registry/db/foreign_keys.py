"""Foreign keys that delete or clear references to a deleted row, except on SQLite.

SQLite can change little in a table, so Alembic copies it, drops it and renames the copy. With
foreign keys on, SQLite deletes all rows of a table before it drops it, and the cascade would delete
every model with them. Without the cascade SQLite refuses to drop the table.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.sql.compiler import DDLCompiler

_DIALECT = "model_registry_dialect"  # a key in the info of a metadata
_NO_ACTION = "NO ACTION"


def on_delete(dialect: str | None, action: str) -> str:
    """Return what a foreign key does on this database when the row that it refers to is deleted.

    Args:
        action: The action to take on databases where it is safe.
    """
    # If the database is not known, take the action that loses nothing.
    return action if dialect and dialect != "sqlite" else _NO_ACTION


def find_dialect_by(models: sa.Table, dialect: Callable[[], str]) -> None:
    """Let the foreign keys find the app's dialect, or else that of the database with the tables."""
    sources = models.metadata.info.setdefault(_DIALECT, [])

    def before_create(_table: object, connection: sa.Connection, **_options: Any) -> None:
        name = connection.dialect.name
        sources[1:] = [lambda: name]

    if not sources:  # only the first registry of these users sets it
        sa.event.listen(models, "before_create", before_create)
    sources[:1] = [dialect]


class _OnDelete(str):
    """An ``ondelete`` that Alembic writes as code, so that a script fits each database."""

    __slots__ = ()
    action = "CASCADE"

    def __repr__(self) -> str:
        return f"{_NO_ACTION!r} if op.get_context().dialect.name == 'sqlite' else {self.action!r}"


class _OnDeleteClear(_OnDelete):
    __slots__ = ()
    action = "SET NULL"


class CascadingKey(sa.ForeignKeyConstraint):
    """A foreign key that is ``ON DELETE CASCADE``, or ``NO ACTION`` on SQLite.

    One metadata serves all databases, and Alembic compares :attr:`ondelete` without naming the
    database. So :attr:`ondelete` depends on the migration that runs, or else on the app.
    """

    _ondelete = _OnDelete

    @property
    def action(self) -> str:
        """The action where cascading is safe."""
        return self._ondelete.action

    @property
    def ondelete(self) -> str:
        """The action on the current database."""
        return self._ondelete(on_delete(self._dialect(), self.action))

    @ondelete.setter
    def ondelete(self, _value: str | None) -> None:
        """Ignore what the constructor sets."""

    def _dialect(self) -> str | None:
        alembic = sys.modules.get("alembic.context")
        sources: list[Callable[[], Any]] = (
            [lambda: alembic.get_context().dialect.name] if alembic else []
        )
        table = getattr(self, "parent", None)
        sources += table.metadata.info.get(_DIALECT, ()) if table is not None else ()
        for source in sources:
            # A source raises if no migration runs, or there is no app at the moment.
            with suppress(Exception):
                return str(source())
        return None

    def _copy(self, **options: Any) -> Any:
        """Keep this class in ``Table.to_metadata``, which would copy it to a plain foreign key."""
        copy = super()._copy(**options)
        copy.__class__ = type(self)
        return copy


class ClearingKey(CascadingKey):
    """A foreign key that is ``ON DELETE SET NULL``, or ``NO ACTION`` on SQLite."""

    _ondelete = _OnDeleteClear


@compiles(CascadingKey)
def _compiled(key: CascadingKey, compiler: DDLCompiler, **options: Any) -> str | None:
    text: str | None = compiler.visit_foreign_key_constraint(key, **options)
    # None for an attached file of SQLite, where SQLAlchemy writes no foreign key.
    here = f" ON DELETE {on_delete(compiler.dialect.name, key.action)}"
    return text and text.replace(f" ON DELETE {key.ondelete}", here)
