"""SQL conditions about a model's API key, whether its own or its credential's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from .declare import Tables


def has_key(tables: Tables) -> sa.ColumnElement[bool]:
    """Return the condition that a model has an API key, or uses a credential that has a secret."""
    credentials = tables.credentials.alias()
    is_set = credentials.c.ciphertext.is_not(None) | credentials.c.reference.is_not(None)
    return tables.models.c.ciphertext.is_not(None) | _uses(tables, credentials, is_set)


def shown_tested_at(tables: Tables) -> sa.ColumnElement[Any]:
    """Return when a model was tested; NULL if its API key, or its credential's secret, is newer.

    A new secret doesn't change the rows of the models that use it, because there may be many and a
    test of the old secret may still be running.
    """
    models, credentials = tables.models.c, tables.credentials.alias()
    is_newer = credentials.c.secret_updated_at > models.tested_at
    is_outdated = (models.credential_updated_at > models.tested_at) | (
        models.ciphertext.is_(None) & _uses(tables, credentials, is_newer)
    )
    return sa.case((is_outdated, sa.null()), else_=models.tested_at)


def _uses(
    tables: Tables, credentials: sa.FromClause, condition: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """Return the condition that a model refers to a credential that meets ``condition``."""
    models = tables.models
    # The owner too, because SQL may have made a model refer to another user's credential.
    is_used = (credentials.c.id == models.c.credential_id) & (
        credentials.c.owner_id == models.c.owner_id
    )
    return sa.exists().where(is_used, condition).correlate(models)
