"""What goes with a user, on databases that do not see to it themselves.

The foreign keys say it all, but SQLite does not enforce them unless it is told to. If it is not,
the users' table gets a trigger, made and dropped with the registry's tables. The users' class has
a listener, for tables that came from a migration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
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
        _follow_by_trigger(tables)


def _follow_by_trigger(tables: Tables) -> None:
    def after_create(_table: object, connection: sa.Connection, **_options: Any) -> None:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite and not connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
            connection.exec_driver_sql(_trigger(tables, connection.dialect))

    def before_drop(_table: object, connection: sa.Connection, **_options: Any) -> None:
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text(f"DROP TRIGGER IF EXISTS {TRIGGER}"))

    sa.event.listen(tables.models, "after_create", after_create)
    sa.event.listen(tables.models, "before_drop", before_drop)


def _trigger(tables: Tables, dialect: sa.Dialect) -> str:
    quote = dialect.identifier_preparer.quote
    key: sa.ColumnElement[Any] = sa.literal_column(f"OLD.{quote(tables.user_key.name)}")
    statements = [str(each.compile(dialect=dialect)) for each in deletions(tables, key)]
    return (
        f"CREATE TRIGGER IF NOT EXISTS {TRIGGER} AFTER DELETE ON "
        f"{quote(tables.user_key.table.name)} BEGIN {'; '.join(statements)}; END"
    )
