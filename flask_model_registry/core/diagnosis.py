"""What a look at the database finds, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from .departure import TRIGGER
from .writing import NO_TABLES, enforces_foreign_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .keys import Keys
    from .ports import Actors, Endpoints
    from .tables import Tables


@dataclass(frozen=True)
class Finding:
    """Something about the registry: ``ok``, a ``warning`` or an ``error`` with the cure."""

    level: str
    text: str


def findings(
    connection: sa.Connection, keys: Keys, *, actors: Actors, endpoints: Endpoints
) -> Iterator[Finding]:
    """Yield what can be told without opening an API key."""
    tables = keys.tables
    yield Finding("ok", f"the database is {connection.dialect.name}")
    if missing := [table.name for table, _ in tables.by_model() if not _works(connection, table)]:
        yield Finding("error", f"{NO_TABLES} (missing or of another version: {', '.join(missing)})")
        return
    if connection.dialect.name == "sqlite":
        yield _foreign_keys(connection, tables)
    if not actors.knows_who_shares:
        yield Finding(
            "warning",
            "nobody may share models with everybody, as users have no is_admin; pass can_share",
        )
    yield from _counts(connection, tables)
    yield from _grants(connection, tables)
    yield from _models(connection, tables, endpoints)
    yield from _keys(connection, keys)


def _works(connection: sa.Connection, table: sa.Table) -> bool:
    try:
        connection.execute(sa.select(table).where(sa.false()))
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return False
    return True


def _foreign_keys(connection: sa.Connection, tables: Tables) -> Finding:
    if enforces_foreign_keys(connection):
        return Finding("ok", "foreign keys are enforced")
    trigger = sa.text("SELECT 1 FROM sqlite_master WHERE name = :name AND tbl_name = :users")
    parameters = {"name": TRIGGER, "users": tables.user_key.table.name}
    if connection.scalar(trigger, parameters):
        return Finding("ok", "foreign keys are off; a trigger follows the deletion of users")
    return Finding(
        "warning",
        "foreign keys are off, so that DELETE on the users' table leaves models behind; "
        "run PRAGMA foreign_keys=ON for each connection",
    )


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


def _models(connection: sa.Connection, tables: Tables, endpoints: Endpoints) -> Iterator[Finding]:
    models = tables.models.c
    without_key = sa.select(sa.func.count()).where(models.ciphertext.is_(None))
    if count := connection.scalar(without_key):
        yield Finding("warning", f"{count} models have no API key; their owners can give them one")
    places = (models.model_provider, models.base_url)
    statement = sa.select(*places, sa.func.count(), sa.func.min(models.id)).group_by(*places)
    for provider, base_url, count, first in connection.execute(statement):
        for _field, fault in endpoints.faults(provider, base_url):
            yield Finding("warning", f"{count} models such as {first} cannot be called: {fault}")


def _keys(connection: sa.Connection, keys: Keys) -> Iterator[Finding]:
    if keys.vault.key_ids is None:
        yield Finding("warning", "the secret_box has no key_ids; only verify-keys tells what opens")
    for key in keys.counts(connection):
        told = f"API keys sealed with {key.key_id!r}: {key.count}"
        if key.fault:
            yield Finding("error" if keys.is_strict else "warning", f"{told}; {key.fault}")
        elif key.state == "opens" and key.count:
            yield Finding("warning", f"{told}; run 'flask model-registry rotate-keys'")
        elif key.state == "opens":
            yield Finding("ok", f"{told}; put it in front to use it, or keep it for backups")
        else:
            yield Finding("ok", f"{told}; it seals new ones")
