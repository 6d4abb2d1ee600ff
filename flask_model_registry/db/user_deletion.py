"""Delete a user's rows on SQLite, where foreign keys may be off.

PostgreSQL and MariaDB follow the foreign keys. On SQLite these do not cascade, and are off unless
the app switches them on. So the registry follows deletions there, in three ways:

- Listeners on the users' class follow deletions by the ORM.
- A trigger on the users' table, which comes and goes with the registry's tables, follows others.
- Temporary triggers on each connection that the registry uses follow what that trigger misses, such
  as ``INSERT OR REPLACE``. If the tables came from a migration, which has no trigger, they follow
  everything. They are not part of the schema.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .session import INSERTION_TRIGGER, enforces_foreign_keys, trigger_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from .declare import Tables

TRIGGER = "model_registry_user_deleted"
FOREIGN_KEYS_OFF = (
    "foreign keys are off, so DELETE on the users' table leaves models behind; run PRAGMA "
    "foreign_keys=ON for each connection, as configure_sqlite(db.engine) does"
)
_CHANGE_ERROR = (
    "the primary key of a user who has models, credentials, grants or defaults cannot change, "
    "nor can another user get it"
)
_CHANGE_TRIGGER = "model_registry_user_changed"
_log = logging.getLogger("flask_model_registry")


def deletions(tables: Tables, user: sa.ColumnElement[Any]) -> list[sa.Update | sa.Delete]:
    """Return the statements that delete all rows of a user, in the order of the foreign keys."""
    return deletions_where(tables, lambda column: column == user)


def deletions_where(
    tables: Tables, is_user: Callable[[sa.Column[Any]], sa.ColumnElement[bool]]
) -> list[sa.Update | sa.Delete]:
    """Return the statements that delete all rows of the users who meet a condition on their key."""
    models = tables.models.c
    owned = sa.select(models.id).where(is_user(models.owner_id))
    users = ((tables.grants, "user_id"), (tables.defaults, "user_id"))
    return [
        *(sa.delete(table).where(is_user(table.c[name])) for table, name in users),
        *(sa.delete(table).where(row_id.in_(owned)) for table, row_id in tables.by_model()[:-1]),
        sa.delete(tables.models).where(is_user(models.owner_id)),
        # A reference that was made in SQL would prevent their deletion.
        detachment(tables, is_user(tables.credentials.c.owner_id)),
        sa.delete(tables.credentials).where(is_user(tables.credentials.c.owner_id)),
    ]


def detachment(tables: Tables, condition: sa.ColumnElement[bool]) -> sa.Update:
    """Return the statement that detaches all models from the credentials to be deleted."""
    credentials = sa.select(tables.credentials.c.id).where(condition)
    models = tables.models
    return (
        sa.update(models).where(models.c.credential_id.in_(credentials)).values(credential_id=None)
    )


def orphans(tables: Tables) -> Callable[[sa.Column[Any]], sa.ColumnElement[bool]]:
    """Return the condition that a column names a user who is gone."""
    return lambda column: ~sa.exists().where(tables.user_key == column)


def cascade_user_deletion(user_model: type, tables: Tables) -> None:
    """Delete the rows of deleted users on SQLite, whether it enforces foreign keys or not."""
    info = tables.models.metadata.info
    if TRIGGER in info:
        return  # another registry of the same users has done so
    info[TRIGGER] = True
    by_key = deletions(tables, sa.bindparam("user", type_=tables.user_key.type))

    def before_delete(mapper: sa.orm.Mapper[Any], connection: sa.Connection, user: object) -> None:
        if mapper.primary_key[0] is not tables.user_key:
            return  # the class has a table and keys of its own, so its users own nothing here
        if connection.dialect.name != "sqlite" or not sa.inspect(connection).has_table(
            tables.models.name, tables.models.schema
        ):
            return
        for statement in by_key:
            connection.execute(statement, {"user": sa.inspect(user).identity[0]})

    sa.event.listen(user_model, "before_delete", before_delete, propagate=True)
    _handle_replacements(user_model, tables, by_key)
    _delete_leftovers(user_model, tables, by_key)
    if tables.user_key.table.schema is None:  # triggers only reach tables of the same file
        _add_trigger(tables)


def _handle_replacements(
    user_model: type, tables: Tables, by_key: list[sa.Update | sa.Delete]
) -> None:
    """Handle, on every database, a flush that replaces a user by a new one with the same key.

    SQLAlchemy combines the DELETE and the INSERT into an UPDATE, which no foreign key and no
    trigger follows.
    """

    def before_insert(mapper: sa.orm.Mapper[Any], connection: sa.Connection, user: object) -> None:
        if mapper.primary_key[0] is not tables.user_key:
            return  # with keys of its own
        session, identity = sa.orm.object_session(user), mapper.identity_key_from_instance(user)
        known = session and session.identity_map.get(identity)
        if known is None or known is user:
            return
        if sa.inspect(connection).has_table(tables.models.name, tables.models.schema):
            for statement in by_key:
                connection.execute(statement, {"user": identity[1][0]})

    sa.event.listen(user_model, "before_insert", before_insert, propagate=True)


def _delete_leftovers(
    user_model: type, tables: Tables, by_key: list[sa.Update | sa.Delete]
) -> None:
    """Keep a new user from inheriting from an earlier one with the same primary key."""
    has_rows = sa.or_(
        *(
            sa.exists().where(column == sa.bindparam("user", type_=tables.user_key.type))
            for column in _columns_of_users(tables)
        )
    )

    def after_insert(mapper: sa.orm.Mapper[Any], connection: sa.Connection, user: object) -> None:
        if (
            connection.dialect.name != "sqlite"
            or mapper.primary_key[0] is not tables.user_key  # with keys of its own
            or trigger_state(connection, tables)[0]  # a trigger does it
            or not sa.inspect(connection).has_table(tables.models.name, tables.models.schema)
        ):
            return
        key = {"user": mapper.primary_key_from_instance(user)[0]}
        if not connection.scalar(sa.select(has_rows), key):
            return
        for statement in by_key:
            connection.execute(statement, key)
        _log.warning(
            "model registry: deleted the models, credentials, grants and defaults of an earlier "
            "user, who had the primary key of a new one; delete users where foreign keys are on",
            extra={"model_registry_kind": "user-reused"},
        )

    sa.event.listen(user_model, "after_insert", after_insert, propagate=True)


def _columns_of_users(tables: Tables) -> list[sa.Column[Any]]:
    return [
        tables.models.c.owner_id,
        tables.grants.c.user_id,
        tables.defaults.c.user_id,
        tables.credentials.c.owner_id,
    ]


def _add_trigger(tables: Tables) -> None:
    def after_create(_table: object, connection: sa.Connection, **_options: Any) -> None:
        if connection.dialect.name == "sqlite":
            trigger = _deletion_trigger(tables, connection.dialect, TRIGGER)
            connection.exec_driver_sql(f"CREATE TRIGGER IF NOT EXISTS {trigger}")

    def before_drop(_table: object, connection: sa.Connection, **_options: Any) -> None:
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text(f"DROP TRIGGER IF EXISTS {TRIGGER}"))

    sa.event.listen(tables.models, "after_create", after_create)
    sa.event.listen(tables.models, "before_drop", before_drop)


def has_trigger(connection: sa.Connection, tables: Tables) -> bool:
    """Return whether the users' table has the trigger that comes with the registry's tables."""
    trigger = sa.text("SELECT 1 FROM sqlite_master WHERE name = :name AND tbl_name = :users")
    parameters = {"name": TRIGGER, "users": tables.user_key.table.name}
    return connection.scalar(trigger, parameters) is not None


class TemporaryTriggers:
    """Temporary triggers on SQLite, for users whom SQL deletes or inserts."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._has_warned = False
        self._triggers: dict[bool, list[str]] = {}

    def create(self, connection: sa.Connection) -> None:
        """Create the triggers on this connection, if they don't exist.

        They disappear with a rollback of the transaction that made them, or with the users' table.
        """
        if self._tables.models.schema is not None:  # triggers only reach tables of the same file
            if not enforces_foreign_keys(connection):
                self._warn_once()
            return
        has_triggers, has_tables = trigger_state(connection, self._tables)
        if has_triggers and not has_tables:  # the tables were dropped, so the triggers would fail
            for name in (f"{TRIGGER}_here", _CHANGE_TRIGGER, INSERTION_TRIGGER):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS temp.{name}")
        if has_triggers or not has_tables:
            return
        enforced = enforces_foreign_keys(connection)
        if not (enforced or self._has_warned or has_trigger(connection, self._tables)):
            self._warn_once()
        for trigger in self._statements(connection.dialect, enforced=enforced):
            connection.exec_driver_sql(f"CREATE TEMP TRIGGER IF NOT EXISTS {trigger}")

    def _warn_once(self) -> None:
        if not self._has_warned:
            _log.warning(
                "model registry: %s",
                FOREIGN_KEYS_OFF,
                extra={"model_registry_kind": "foreign-keys-off"},
            )
            self._has_warned = True

    def _statements(self, dialect: sa.Dialect, *, enforced: bool) -> list[str]:
        if enforced not in self._triggers:
            triggers = [_change_trigger, _insertion_trigger] if enforced else _ALL_TRIGGERS
            self._triggers[enforced] = [trigger(self._tables, dialect) for trigger in triggers]
        return self._triggers[enforced]


def _deletion_trigger(tables: Tables, dialect: sa.Dialect, name: str = f"{TRIGGER}_here") -> str:
    """Return a trigger that deletes what belongs to a deleted user."""
    body = _bodies(deletions(tables, _key_of_row("OLD", tables, dialect)), dialect)
    return f"{name} AFTER DELETE ON {_users(tables, dialect)} BEGIN {body}; END"


def _change_trigger(tables: Tables, dialect: sa.Dialect) -> str:
    """Return a trigger that keeps the primary key of a user who owns rows, like a foreign key."""
    old, new = (_key_of_row(row, tables, dialect) for row in ("OLD", "NEW"))
    # The new key may have rows too, after UPDATE OR REPLACE or a deletion that no trigger followed.
    has_any = sa.or_(
        *(sa.exists().where((each == old) | (each == new)) for each in _columns_of_users(tables))
    )
    refuse: sa.Select[Any] = sa.select(sa.literal_column(f"RAISE(ABORT, '{_CHANGE_ERROR}')")).where(
        old != new, has_any
    )
    column = dialect.identifier_preparer.quote(tables.user_key.name)
    when = f"BEFORE UPDATE OF {column} ON {_users(tables, dialect)}"
    return f"{_CHANGE_TRIGGER} {when} BEGIN {_body(refuse, dialect)}; END"


def _insertion_trigger(tables: Tables, dialect: sa.Dialect) -> str:
    """Delete the rows that a former user has left under a new user's primary key.

    An existing user who is replaced keeps all rows.
    """
    key, new = tables.user_key, _key_of_row("NEW", tables, dialect)
    # The key that SQLite gives to a user who is inserted without one.
    next_key = sa.select(
        sa.func.coalesce(sa.func.max(sa.type_coerce(key, sa.Integer)), 0) + 1
    ).scalar_subquery()
    # The host's own type may stand for integers.
    is_integer = isinstance(getattr(key.type, "impl_instance", key.type), sa.Integer)
    user_missing = orphans(tables)

    def is_leftover(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
        is_next = column == next_key if is_integer else sa.false()
        return ((column == new) | is_next) & user_missing(column)

    body = _bodies(deletions_where(tables, is_leftover), dialect)
    when = f"BEFORE INSERT ON {_users(tables, dialect)}"
    return f"{INSERTION_TRIGGER} {when} BEGIN {body}; END"


# If the last one exists, all do.
_ALL_TRIGGERS = [_deletion_trigger, _change_trigger, _insertion_trigger]


def _key_of_row(row: str, tables: Tables, dialect: sa.Dialect) -> sa.ColumnElement[Any]:
    name = dialect.identifier_preparer.quote(tables.user_key.name)
    return sa.literal_column(f"{row}.{name}", tables.user_key.type)


def _users(tables: Tables, dialect: sa.Dialect) -> str:
    return dialect.identifier_preparer.format_table(tables.user_key.table)


def _bodies(statements: list[sa.Update | sa.Delete], dialect: sa.Dialect) -> str:
    return "; ".join(_body(statement, dialect) for statement in statements)


def _body(statement: sa.ClauseElement, dialect: sa.Dialect) -> str:
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return str(compiled)
