"""Check the database, and say what to fix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..db.keys import has_key
from ..db.session import NO_TABLES, enforces_foreign_keys
from ..db.user_deletion import FOREIGN_KEYS_OFF, has_trigger, orphans
from .stored import unreadable_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..db.declare import Tables
    from ..providers.app_providers import Providers
    from ..users import Users
    from .key_check import EncryptionKeys

_MAX_NAMED = 20  # the number of models that a finding names
_BATCH = 10_000  # the number of models that one statement reads


@dataclass(frozen=True)
class Finding:
    """A finding about the registry: ``ok``, a ``warning``, or an ``error`` with the fix."""

    level: str
    text: str


def findings(
    connection: sa.Connection, keys: EncryptionKeys, *, users: Users, providers: Providers
) -> Iterator[Finding]:
    """Yield all findings that need no decryption."""
    tables = keys.tables
    yield Finding("ok", f"the database is {connection.dialect.name}")
    if missing := [table.name for table in tables.all() if not _works(connection, table)]:
        yield Finding("error", f"{NO_TABLES} ({', '.join(missing)})")
    if _has(connection, tables.models):  # even of an earlier version
        if connection.dialect.name == "sqlite":
            yield from _foreign_keys(connection, tables)
        yield from _uuids(connection, tables)
        yield from _charsets(connection, tables)
    if missing:
        return
    if not users.knows_who_shares:
        yield Finding(
            "warning",
            "no user may share models with everyone: users have no is_admin; pass can_share",
        )
    yield from _counts(connection, tables)
    yield from _grants(connection, tables)
    yield from _models(connection, tables, providers)
    yield from _stored(connection, tables)
    yield from _references(connection, keys)
    yield from _keys(connection, keys)


def _has(connection: sa.Connection, table: sa.Table) -> bool:
    return sa.inspect(connection).has_table(table.name, table.schema)


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
        yield Finding("warning", FOREIGN_KEYS_OFF)
    if cascading := [
        table.name
        for table in filter(partial(_has, connection), tables.all())
        for key in sa.inspect(connection).get_foreign_keys(table.name, table.schema)
        if key["options"].get("ondelete") == "CASCADE"
    ]:
        yield Finding(
            "error",
            f"foreign keys cascade ({', '.join(dict.fromkeys(cascading))}), so a migration that "
            "rebuilds the users' table can delete all models; docs/upgrading.md has the remedy",
        )
    yield from _orphaned_rows(connection, tables)


def _orphaned_rows(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    users = {
        "models": tables.models.c.owner_id,
        "credentials": tables.credentials.c.owner_id,
        "grants": tables.grants.c.user_id,
        "defaults": tables.defaults.c.user_id,
    }
    for what, user in users.items():
        if not _has(connection, user.table):
            continue
        is_gone = user.is_not(None) & orphans(tables)(user)  # NULL in grants to groups
        if count := connection.scalar(sa.select(sa.func.count()).where(is_gone)):
            yield Finding(
                "error",
                f"{count} {what} are of users who are gone; delete them as docs/databases.md shows",
            )


def _uuids(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    if any(
        each["column_names"] == ["uuid"]
        for each in sa.inspect(connection).get_unique_constraints(
            tables.models.name, tables.models.schema
        )
    ):
        return
    models = tables.models.c
    copied = sa.select(sa.func.min(models.id)).group_by(models.uuid).having(sa.func.count() > 1)
    copied = copied.order_by(sa.func.min(models.id)).limit(_MAX_NAMED + 1)
    if ids := connection.scalars(copied).all():
        more = " and more" if len(ids) > _MAX_NAMED else ""
        named = ", ".join(map(str, ids[:_MAX_NAMED])) + more
        yield Finding(
            "error",
            f"these models have the same uuid as others: {named}; the rows "
            "were copied with their API keys, so delete the copies",
        )
    else:
        yield Finding("warning", "nothing keeps the uuid of models unique; run 'flask db migrate'")


def _charsets(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    # Only MySQL and MariaDB have charsets, and Alembic doesn't compare them.
    columns = sa.inspect(connection).get_columns(tables.models.name, tables.models.schema)
    if any(
        getattr(each["type"], "charset", None) == "ascii" and each["name"] == "model_id"
        for each in columns
    ):
        yield Finding(
            "warning",
            "a model_id can only be ASCII; run the migration from 0.1.0 in docs/upgrading.md",
        )


def _counts(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    for table in (
        tables.models,
        tables.credentials,
        tables.grants,
        tables.defaults,
        tables.app_defaults,
    ):
        count = connection.scalar(sa.select(sa.func.count()).select_from(table))
        yield Finding("ok", f"{count} in {table.name}")


def _grants(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    models, grants = tables.models, tables.grants
    is_model = (models.c.id == grants.c.model_row_id) & (models.c.model_id == grants.c.model_id)
    stale = sa.select(sa.func.count()).select_from(grants).where(~sa.exists().where(is_model))
    if count := connection.scalar(stale):
        yield Finding(
            "warning",
            f"{count} grants are of a model that is gone, or whose model_id isn't the grant's; "
            "delete these grants, or set their model_id to the model's",
        )


def _models(connection: sa.Connection, tables: Tables, providers: Providers) -> Iterator[Finding]:
    without_key = sa.select(sa.func.count()).select_from(tables.models).where(~has_key(tables))
    if count := connection.scalar(without_key):
        yield Finding("warning", f"{count} models have no API key; their owners can add one")
    credentials = tables.credentials.c
    is_empty = credentials.ciphertext.is_(None) & credentials.reference.is_(None)
    if count := connection.scalar(sa.select(sa.func.count()).where(is_empty)):
        text = f"{count} credentials have no secret; their owners can add one"
        yield Finding("warning", text)
    found: dict[str, tuple[int, int]] = {}
    for provider, base_url, count, first in _destinations(connection, tables):
        for _field, problem in providers.problems(provider, base_url):
            counted, least = found.get(problem, (0, first))
            found[problem] = (counted + count, least)
    for problem, (count, first) in found.items():
        yield Finding("warning", f"{count} models such as {first} cannot be called: {problem}")


def _stored(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    found: dict[tuple[str, str], list[int]] = {}
    for what, name, row_id in unreadable_rows(connection, tables):
        counted = found.setdefault((what, name), [0, row_id])
        counted[0] += 1
    for (what, name), (count, first) in found.items():
        yield Finding(
            "error",
            f"the {name} of {count} {what} such as {first} can't be read, so calls with them are "
            "refused; their owners can set them again",
        )


def _destinations(
    connection: sa.Connection, tables: Tables
) -> Iterator[tuple[str, str | None, int, int]]:
    """Yield each provider and base URL with the number of its models and the id of the first.

    Each model may have its own base URL, so this counts one batch of models at a time, and yields a
    base URL again if a later batch has it too.
    """
    models, credentials = tables.models, tables.credentials
    batch = (
        sa.select(*models.c["id", "model_provider", "base_url", "credential_id"])
        .where(models.c.id > sa.bindparam("last"))
        .order_by(models.c.id)
        .limit(_BATCH)
        .subquery()
    )
    # Join outside of the batch. Otherwise a database may join all models for each batch.
    joined = batch.outerjoin(credentials, credentials.c.id == batch.c.credential_id)
    columns = (batch.c.model_provider, batch.c.base_url, credentials.c.kind)
    first, end = sa.func.min(batch.c.id), sa.func.max(batch.c.id)
    statement = sa.select(*columns, sa.func.count(), first, end).select_from(joined)
    statement, last = statement.group_by(*columns).order_by(first), 0
    while rows := connection.execute(statement, {"last": last}).all():
        for provider, base_url, kind, count, first_id, last_id in rows:
            last = max(last, last_id)
            if kind in {None, "key"}:  # cloud models are called without a base URL
                yield provider, base_url, count, first_id


def _references(connection: sa.Connection, keys: EncryptionKeys) -> Iterator[Finding]:
    reference = keys.tables.credentials.c.reference
    count = connection.scalar(sa.select(sa.func.count(reference)))
    if count and not keys.credentials.secret_source.is_set:
        yield Finding(
            "error",
            f"{count} credentials refer to secrets kept elsewhere, but ModelRegistry has no "
            "secret_source; pass it, or ask the owners to enter these secrets",
        )
    elif count:
        yield Finding("ok", f"{count} credentials refer to secrets that your secret_source returns")


def _keys(connection: sa.Connection, keys: EncryptionKeys) -> Iterator[Finding]:
    if keys.credentials.key_ids is None:
        text = "the secret_box has no key_ids; only verify-keys shows what can be decrypted"
        yield Finding("warning", text)
    for key in keys.counts(connection):
        counted = f"API keys encrypted with {key.key_id!r}: {key.count}"
        if key.problem:
            yield Finding("error" if keys.is_strict else "warning", f"{counted}; {key.problem}")
        elif key.state == "opens" and key.count:
            yield Finding("warning", f"{counted}; run 'flask model-registry rotate-keys'")
        elif key.state == "opens":
            yield Finding("ok", f"{counted}; put it in front to use it, or keep it for backups")
        else:
            yield Finding("ok", f"{counted}; it encrypts new ones")
