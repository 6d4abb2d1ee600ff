"""What goes with a user, on databases that do not see to it themselves.

The foreign keys say it all, but SQLite does not enforce them unless it is told to. If it is not,
the users' table gets a trigger, made and dropped with the registry's tables. The users' class has
a listener, for tables that came from a migration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

    from .tables import Tables

TRIGGER = "model_registry_user_deleted"


def deletions(tables: Tables, user: sa.ColumnElement[Any]) -> list[sa.Delete]:
    """Return the statements that delete all of a user's, in the order of the foreign keys."""
    models = tables.models.c
    owned = sa.select(models.id).where(models.owner_id == user)
    users = ((tables.grants, "user_id"), (tables.defaults, "user_id"))
    return [
        *(sa.delete(table).where(table.c[name] == user) for table, name in users),
        *(sa.delete(table).where(row_id.in_(owned)) for table, row_id in tables.by_model()[:-1]),
        sa.delete(tables.models).where(models.owner_id == user),
    ]


def follow_deletions(user_model: type, tables: Tables) -> None:
    """Have the rows of deleted users deleted on SQLite, whether it enforces foreign keys or not."""
    info = tables.models.metadata.info
    if TRIGGER in info:
        return  # another registry of the same users did
    info[TRIGGER] = True
    by_key = deletions(tables, sa.bindparam("user", type_=tables.user_key.type))

    def before_delete(_mapper: object, connection: sa.Connection, user: object) -> None:
        if connection.dialect.name != "sqlite" or not sa.inspect(connection).has_table(
            tables.models.name, tables.models.schema
        ):
            return
        for statement in by_key:
            connection.execute(statement, {"user": sa.inspect(user).identity[0]})

    sa.event.listen(user_model, "before_delete", before_delete, propagate=True)
    if tables.user_key.table.schema is None:  # triggers do not reach into other files
        _on(tables.models, "after_create", _trigger(tables), _has_loose_keys)
        _on(tables.models, "before_drop", f"DROP TRIGGER IF EXISTS {TRIGGER}", _is_sqlite)


def _on(table: sa.Table, event: str, statement: str, condition: Callable[..., bool]) -> None:
    ddl = sa.DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # SQLAlchemy's
    sa.event.listen(table, event, ddl.execute_if(callable_=condition))


def _is_sqlite(_ddl: object, _table: object, bind: sa.Connection, **_options: Any) -> bool:
    return bind.dialect.name == "sqlite"


def _has_loose_keys(_ddl: object, _table: object, bind: sa.Connection, **_options: Any) -> bool:
    return _is_sqlite(_ddl, _table, bind) and not bind.scalar(sa.text("PRAGMA foreign_keys"))


def _trigger(tables: Tables) -> str:
    dialect = sqlite.dialect()
    quote = dialect.identifier_preparer.quote
    key: sa.ColumnElement[Any] = sa.literal_column(f"OLD.{quote(tables.user_key.name)}")
    statements = [str(each.compile(dialect=dialect)) for each in deletions(tables, key)]
    return (
        f"CREATE TRIGGER IF NOT EXISTS {TRIGGER} AFTER DELETE ON "
        f"{quote(tables.user_key.table.name)} BEGIN {'; '.join(statements)}; END"
    )
