"""What a look at the database finds, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..db.session import NO_TABLES, enforces_foreign_keys
from ..db.user_deletion import UNFOLLOWED, has_trigger, orphans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..db.declare import Tables
    from ..providers.known_providers import Providers
    from ..users import Users
    from .encryption_keys import EncryptionKeys


@dataclass(frozen=True)
class Finding:
    """Something about the registry: ``ok``, a ``warning`` or an ``error`` with the remedy."""

    level: str
    text: str


def findings(
    connection: sa.Connection, keys: EncryptionKeys, *, users: Users, providers: Providers
) -> Iterator[Finding]:
    """Yield what can be found out without opening an API key."""
    tables = keys.tables
    yield Finding("ok", f"the database is {connection.dialect.name}")
    if missing := [table.name for table, _ in tables.by_model() if not _works(connection, table)]:
        yield Finding("error", f"{NO_TABLES} ({', '.join(missing)})")
        return
    if connection.dialect.name == "sqlite":
        yield from _foreign_keys(connection, tables)
    yield from _uuids(connection, tables)
    if not users.knows_who_shares:
        yield Finding(
            "warning",
            "no user may share models with everyone: users have no is_admin; pass can_share",
        )
    yield from _counts(connection, tables)
    yield from _grants(connection, tables)
    yield from _models(connection, tables, providers)
    yield from _keys(connection, keys)


def _works(connection: sa.Connection, table: sa.Table) -> bool:
    try:
        connection.execute(sa.select(table).where(sa.false()))
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return False
    return True


def _foreign_keys(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    if enforces_foreign_keys(connection):
        yield Finding("ok", "foreign keys are enforced")
    elif has_trigger(connection, tables):
        yield Finding("ok", "foreign keys are off; a trigger follows the deletion of users")
    else:
        yield Finding("warning", UNFOLLOWED)
    if cascading := [
        table.name
        for table, _ in tables.by_model()
        for key in sa.inspect(connection).get_foreign_keys(table.name, table.schema)
        if key["options"].get("ondelete") == "CASCADE"
    ]:
        yield Finding(
            "error",
            f"foreign keys cascade ({', '.join(dict.fromkeys(cascading))}), so a migration that "
            "rebuilds the users' table can delete all models; docs/upgrading.md has the remedy",
        )
    yield from _left_behind(connection, tables)


def _left_behind(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    user_missing = orphans(tables)(tables.models.c.owner_id)
    statement = sa.select(sa.func.count()).select_from(tables.models).where(user_missing)
    if count := connection.scalar(statement):
        yield Finding(
            "error",
            f"{count} models are of users who are gone; delete them as docs/sqlite.md shows",
        )


def _uuids(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    models = tables.models.c
    copied = sa.select(sa.func.min(models.id)).group_by(models.uuid).having(sa.func.count() > 1)
    if ids := connection.scalars(copied.order_by(sa.func.min(models.id))).all():
        yield Finding(
            "error",
            f"the uuid of these models is that of others too: {', '.join(map(str, ids))}; the rows "
            "were copied with their API keys, so delete the copies",
        )
    elif not any(
        each["column_names"] == ["uuid"]
        for each in sa.inspect(connection).get_unique_constraints(
            tables.models.name, tables.models.schema
        )
    ):
        yield Finding("warning", "nothing keeps the uuid of models unique; run 'flask db migrate'")


def _counts(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    for table in (tables.models, tables.grants, tables.defaults, tables.app_defaults):
        count = connection.scalar(sa.select(sa.func.count()).select_from(table))
        yield Finding("ok", f"{count} in {table.name}")


def _grants(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    models, grants = tables.models, tables.grants
    is_theirs = (models.c.id == grants.c.model_row_id) & (models.c.model_id == grants.c.model_id)
    stale = sa.select(sa.func.count()).select_from(grants).where(~sa.exists().where(is_theirs))
    if count := connection.scalar(stale):
        yield Finding(
            "warning",
            f"{count} grants are of a model that is gone, or has another model_id than they say; "
            "delete them, or give them the model's",
        )


def _models(connection: sa.Connection, tables: Tables, providers: Providers) -> Iterator[Finding]:
    models = tables.models.c
    without_key = sa.select(sa.func.count()).where(models.ciphertext.is_(None))
    if count := connection.scalar(without_key):
        yield Finding("warning", f"{count} models have no API key; their owners can give them one")
    columns = (models.model_provider, models.base_url)
    statement = sa.select(*columns, sa.func.count(), sa.func.min(models.id)).group_by(*columns)
    for provider, base_url, count, first in connection.execute(statement):
        for _field, problem in providers.problems(provider, base_url):
            yield Finding("warning", f"{count} models such as {first} cannot be called: {problem}")


def _keys(connection: sa.Connection, keys: EncryptionKeys) -> Iterator[Finding]:
    if keys.credentials.key_ids is None:
        yield Finding("warning", "the secret_box has no key_ids; only verify-keys tells what opens")
    for key in keys.counts(connection):
        counted = f"API keys sealed with {key.key_id!r}: {key.count}"
        if key.problem:
            yield Finding("error" if keys.is_strict else "warning", f"{counted}; {key.problem}")
        elif key.state == "opens" and key.count:
            yield Finding("warning", f"{counted}; run 'flask model-registry rotate-keys'")
        elif key.state == "opens":
            yield Finding("ok", f"{counted}; put it in front to use it, or keep it for backups")
        else:
            yield Finding("ok", f"{counted}; it seals new ones")
