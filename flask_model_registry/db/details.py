"""The statements for details beyond a model's representation."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .access import access_paths
from .columns import readable
from .keys import shown_tested_at
from .queries import ModelLookup, representation_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..schemas.filters import QueryKey
    from .access import AccessConditions, GroupPaths
    from .declare import Tables
    from .queries import Lookup, Queries

_CACHE_SIZE = 256  # the number of statements, as for the list of models


class DetailQueries:
    """SQL statements that read the details of a model or a page of models, and their grants.

    They take the same parameters as the statements for the list, and ``ids``, the models' ids.
    """

    def __init__(self, queries: Queries) -> None:
        tables = queries.access.tables
        self.one = _DetailLookup(queries.access)
        self._queries, self._tables = queries, tables
        self.page: Callable[[QueryKey, GroupPaths], sa.Select[Any]]
        self.page = lru_cache(_CACHE_SIZE)(self._page)
        grants = tables.grants.c
        of_models = grants.model_row_id.in_(sa.bindparam("ids", expanding=True))
        granted = (each for each in access_paths(queries.access) if each.relation.is_granted)
        to_actor = sa.or_(*(each.condition for each in granted))
        self.grants_of_actor = sa.select(
            grants.model_row_id, grants.user_id, grants.group_name
        ).where(of_models, to_actor)
        self.counts_of_grants = (
            sa.select(
                grants.model_row_id,
                sa.func.count(grants.user_id).label("users"),
                sa.func.count(grants.group_name).label("groups"),
            )
            .where(of_models)
            .group_by(grants.model_row_id)
        )

    def _page(self, key: QueryKey, group_paths: GroupPaths) -> sa.Select[Any]:
        return _with_details(self._queries.page(key, group_paths), self._tables)


class _DetailLookup(ModelLookup):
    """The statements for a model's representation, with more columns."""

    def __init__(self, access: AccessConditions) -> None:
        super().__init__(access, representation_columns)
        self._tables = access.tables

    def _build(self, lookup: Lookup | None, group_paths: GroupPaths) -> sa.Select[Any]:
        return _with_details(super()._build(lookup, group_paths), self._tables)


def _with_details(statement: sa.Select[Any], tables: Tables) -> sa.Select[Any]:
    """Add details beyond the representation, and credentials, to a statement."""
    models, credentials = tables.models.c, tables.credentials.c
    # The owner too, because SQL may have made a model refer to another user's credential.
    is_used = (credentials.id == models.credential_id) & (credentials.owner_id == models.owner_id)
    has_secret = credentials.ciphertext.is_not(None) | credentials.reference.is_not(None)
    statement = statement.add_columns(
        models.owner_id,
        models.ciphertext.is_not(None).label("has_own_key"),
        models.credential_updated_at,
        models.parameters,
        models.info,
        models.test_result,
        models.test_latency_ms,
        shown_tested_at(tables).label("tested_at"),
        credentials.id.label("account_id"),
        credentials.name.label("account_name"),
        credentials.kind.label("account_kind"),
        credentials.settings.label("account_settings"),
        credentials.expires_at.label("account_expires_at"),
        credentials.secret_updated_at.label("account_updated_at"),
        has_secret.label("has_account_secret"),
    ).outerjoin_from(tables.models, tables.credentials, is_used)
    return readable(statement)
