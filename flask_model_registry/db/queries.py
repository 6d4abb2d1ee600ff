"""The statements of a registry, built once, with bind parameters for what varies."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..policy import Action, Relation
from .access import access_paths
from .columns import readable_columns
from .filters import CONDITIONS
from .keys import has_key
from .ranges import Limit
from .representation import ACCESS_FLAGS, PUBLIC_FIELDS
from .sorting import in_order, is_after, sort_value, sorted_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..schemas.filters import QueryKey
    from .access import AccessConditions, AccessPath, GroupPaths

_CACHE_SIZE = 256  # how many statements of each kind to keep; enough for all that one user needs
_LIMIT = Limit(sa.bindparam("limit", type_=sa.Integer()))
_ONE: sa.ColumnElement[int] = sa.literal_column("1", sa.Integer())


class Lookup(Enum):
    """Which models a lookup of a ``model_id`` considers. It finds the nearest of them."""

    ACTIVE = "active"
    ANY = "any"
    OTHER = "other"  # other than the one whose id is the parameter ``besides``


class ModelLookup:
    """Statements that return the same columns of one model.

    Args:
        columns: Returns the columns, some of which may depend on the actor.
    """

    def __init__(
        self,
        access: AccessConditions,
        columns: Callable[[AccessConditions], list[sa.ColumnElement[Any]]],
    ) -> None:
        self._access = access
        self._columns = columns
        self._kept: dict[tuple[Lookup | None, bool | GroupPaths], sa.Select[Any]] = {}

    def statement(self, lookup: Lookup | None, group_paths: GroupPaths) -> sa.Select[Any]:
        """Return the statement for a ``model_id`` and an actor with these paths to grants.

        Args:
            lookup: None for an id, which leads to one model only.
        """
        key = (lookup, bool(group_paths) if lookup is None else group_paths)
        statement = self._kept.get(key)
        if statement is None:
            statement = self._kept[key] = self._build(lookup, group_paths)
        return statement

    def _build(self, lookup: Lookup | None, group_paths: GroupPaths) -> sa.Select[Any]:
        # Most actors are in no group, and need no statement with groups.
        access = self._access if group_paths else self._access.without_groups
        if lookup is None:
            return self._by_id(access)
        return self._by_model_id(access, group_paths, lookup)

    def _by_id(self, access: AccessConditions) -> sa.Select[Any]:
        is_model = access.tables.models.c.id == sa.bindparam("ref")
        return sa.select(*self._columns(access)).where(is_model, access.where(Action.USE))

    def _by_model_id(
        self, access: AccessConditions, group_paths: GroupPaths, lookup: Lookup
    ) -> sa.Select[Any]:
        """Let the nearest relation win, in the order of the policy.

        Each ordered path is one look-up in an index of the owner or grantee, the ``model_id`` and
        the id.
        """
        parts = (self._first(path, lookup) for path in access_paths(access, group_paths))
        union = sa.union_all(*parts).subquery()
        nearest = sa.select(union.c.id).order_by(union.c.rank, union.c.id).limit(1).subquery()
        models = access.tables.models
        return sa.select(*self._columns(access)).join(nearest, models.c.id == nearest.c.id)

    @staticmethod
    def _first(path: AccessPath, lookup: Lookup) -> sa.Select[Any]:
        ref: sa.BindParameter[str] = sa.bindparam("ref")
        columns: list[sa.ColumnElement[Any]] = [path.id.label("id"), path.priority]
        is_any = path.id > sa.literal_column("0")
        part = sa.select(*columns).where(path.model_id == ref, path.after(is_any))
        # Also compare the model's own model_id, because a grant with a stale one must not lead to
        # its model, or hide others.
        conditions = [path.tables.models.c.model_id == ref]
        if lookup is Lookup.ACTIVE:
            conditions.append(path.tables.models.c.is_active == sa.true())
        elif lookup is Lookup.OTHER:
            part = part.where(path.id != sa.bindparam("besides", type_=sa.Integer()))
        part = part.where(path.leads_to(*conditions))
        return part if path.finds_one else path.limited(part, _ONE)


class Queries:
    """The statements of one registry."""

    def __init__(self, access: AccessConditions) -> None:
        self.access = access
        self._tables = access.tables
        models = access.tables.models
        self.visible = ModelLookup(access, lambda _access: [models.c.id, models.c.is_active])
        self.one = ModelLookup(access, representation_columns)
        self.secret = ModelLookup(access, _secret)
        self.reachable = self._reachable()
        row = sa.select(models).where(models.c.id == sa.bindparam("ref"))
        # The statements, by whether the lock is shared.
        self.locked = {False: row.with_for_update(), True: row.with_for_update(read=True)}
        self.grants_of_actor = self._grants_of_actor()
        credentials = self._tables.credentials
        is_credential = credentials.c.id == sa.bindparam("credential_id")
        # The owner too, because SQL may have made the model refer to another user's credential.
        is_owner = credentials.c.owner_id == sa.bindparam(
            "owner_id", type_=credentials.c.owner_id.type
        )
        self.credential = sa.select(*readable_columns(credentials)).where(is_credential, is_owner)
        self.insert = sa.insert(models)
        self.insert_ability, self.delete_ability = _ability_statements(access.tables.abilities)
        self.rename_grants = _rename_statement(access.tables.grants)
        #: Returns the statement for a page and an actor with these paths to grants.
        self.page = lru_cache(_CACHE_SIZE)(self._page)
        #: Returns the statements for a summary, given the same arguments.
        self.facets = lru_cache(_CACHE_SIZE)(self._facets)
        self.deletions = [
            sa.delete(table).where(row_id == sa.bindparam("row_id"))
            for table, row_id in access.tables.by_model()
        ]

    def _facets(self, key: QueryKey, groups: GroupPaths) -> dict[tuple[str, ...], sa.Select[Any]]:
        """Return statements by the facets that they count. Their rows are values and a count."""
        return {
            ("by_category", "by_provider"): self._count_models(key, groups),
            ("by_ability",): self._count_abilities(key, groups),
        }

    def defaults(self) -> sa.Select[Any]:
        """Return the statement for the defaults of some types: the actor's before the app's."""
        own, app, models = self._tables.defaults, self._tables.app_defaults, self._tables.models
        is_own = own.c.user_id == sa.bindparam("actor", type_=own.c.user_id.type)
        chosen = sa.union_all(
            sa.select(sa.literal_column("0").label("rank"), *_default_columns(own)).where(is_own),
            sa.select(sa.literal_column("1").label("rank"), *_default_columns(app)),
        ).subquery()
        return (
            sa.select(*_secret(self.access), chosen.c.config_type, chosen.c.rank)
            .join(chosen, models.c.id == chosen.c.model_row_id)
            .where(self.access.where(Action.USE), models.c.is_active == sa.true())
            .where(chosen.c.config_type.in_(sa.bindparam("config_types", expanding=True)))
            .order_by(chosen.c.config_type, chosen.c.rank)
        )

    def _grants_of_actor(self) -> sa.Select[Any]:
        grants = self._tables.grants.c
        granted = (each for each in access_paths(self.access) if each.relation.is_granted)
        to_actor = sa.or_(*(each.condition for each in granted))
        columns = (grants.user_id, grants.group_name, grants.can_edit, grants.can_delete)
        of_model = grants.model_row_id == sa.bindparam("ref")
        return sa.select(*columns).where(of_model, to_actor).with_for_update(read=True)

    def _reachable(self) -> sa.Select[Any]:
        """Return the statement for active models with an API key that a ``model_id`` leads to."""
        models = self._tables.models
        parts = (
            sa.select(each.id.label("id"), models.c.model_id, each.priority)
            .select_from(each.source)
            .where(each.condition, models.c.is_active == sa.true())
            for each in access_paths(self.access)
        )
        ranked = sa.union_all(*parts).subquery()
        place = sa.func.row_number().over(
            partition_by=ranked.c.model_id, order_by=(ranked.c.rank, ranked.c.id)
        )
        placed = sa.select(ranked.c.id, place.label("place")).subquery()
        return (
            sa.select(
                models.c.model_id, models.c.model_provider, models.c.category, models.c.created_at
            )
            .join(placed, models.c.id == placed.c.id)
            .where(placed.c.place == 1, has_key(self._tables))
            .order_by(models.c.id)
        )

    def _page(self, key: QueryKey, group_paths: GroupPaths) -> sa.Select[Any]:
        """Merge the paths and what they allow, and look up the rows.

        Each ordered path is a range of one index and stops at the limit, so that the cost of a
        page in the order of ids doesn't depend on how many models there are. Others are sorted.
        """
        models = self._tables.models
        parts = [self._part(each, key) for each in self._paths(key, group_paths)]
        union = sa.union_all(*parts).subquery()
        # The sum is in no index's order. Otherwise PostgreSQL would merge sorted parts, and read
        # each from the index with the cheapest first row, not from the one where it is a range.
        row_id = (union.c.id + sa.literal_column("0")).label("id")
        merged = sa.select(
            row_id, *(sa.func.max(union.c[name]).label(name) for name in ACCESS_FLAGS)
        )
        merged = merged.group_by(row_id)
        values = [sa.func.max(union.c.sort_value).label("sort_value")] if key.sort != "id" else []
        merged = merged.add_columns(*values)
        if key.has_limit:
            merged = merged.order_by(*in_order(key, *values, row_id)).limit(_LIMIT)
        page = merged.subquery()
        rights = {name: page.c[name] == 1 for name in ACCESS_FLAGS}
        rows = sa.select(*_public_columns(models, rights)).join(page, models.c.id == page.c.id)
        if key.sort == "id":
            return rows.order_by(*in_order(key, models.c.id))
        rows = rows.add_columns(sorted_by(self._tables, key).label("sorted_by"))
        return rows.order_by(*in_order(key, page.c.sort_value, models.c.id))

    def _part(self, path: AccessPath, key: QueryKey) -> sa.Select[Any]:
        rights = [self.access.right(action, path.relation) for action in ACCESS_FLAGS.values()]
        if not path.is_ordered:
            rights = [sa.func.max(right) for right in rights]
        columns = (right.label(name) for right, name in zip(rights, ACCESS_FLAGS, strict=True))
        part = self._filtered(path, key, *columns)
        if not path.is_ordered:
            part = part.group_by(path.id)
        if key.sort != "id":
            value = sort_value(self._tables, key, is_grouped=not path.is_ordered)
            part = part.add_columns(value.label("sort_value"))
        if not key.has_limit or ("model_id" in key.given and path.finds_one):
            return part
        if key.sort == "id":
            return path.limited(part, _LIMIT, descending=key.descending)
        return sa.select(part.order_by(*in_order(key, value, path.id)).limit(_LIMIT).subquery())

    def _count_models(self, key: QueryKey, groups: GroupPaths) -> sa.Select[Any]:
        """Count by values that the covering indexes hold, so that no rows are read."""
        models = self._tables.models.c
        union = self._visible(key, groups, models.category, models.model_provider)
        values = (union.c.category, union.c.model_provider)
        return sa.select(*values, sa.func.count()).group_by(*values)

    def _count_abilities(self, key: QueryKey, groups: GroupPaths) -> sa.Select[Any]:
        union, abilities = self._visible(key, groups), self._tables.abilities
        counted = sa.select(abilities.c.ability, sa.func.count()).group_by(abilities.c.ability)
        return counted.join(union, abilities.c.model_row_id == union.c.id)

    def _visible(self, key: QueryKey, groups: GroupPaths, *columns: sa.Column[Any]) -> sa.Subquery:
        """Return each visible model once, with its id and these columns."""
        parts = (self._filtered(each, key, *columns) for each in self._paths(key, groups))
        return sa.union(*parts).subquery()

    def _paths(self, key: QueryKey, group_paths: GroupPaths) -> list[AccessPath]:
        return [
            path
            for path in access_paths(self.access, group_paths)
            if key.owned in {None, path.relation is Relation.OWNER}
        ]

    def _filtered(
        self, path: AccessPath, key: QueryKey, *columns: sa.ColumnElement[Any]
    ) -> sa.Select[Any]:
        """Return the rows of a path that meet the filters."""
        after = sa.bindparam("after", type_=sa.BigInteger())
        conditions = [CONDITIONS[name](self._tables) for name in key.given]
        if key.owned is False:
            conditions.append(~self.access.condition(Relation.OWNER))
        is_beyond = path.id < after if key.descending else path.id > after
        statement = sa.select(path.id.label("id"), *columns)
        if "model_id" in key.given:  # by an index on the owner or grantee, like a look-up
            statement = statement.where(path.model_id == sa.bindparam("model_id"))
        if key.in_ranges:
            return statement.where(path.after(is_beyond), path.leads_to(*conditions))
        statement = statement.select_from(path.source).where(path.condition, *conditions)
        is_sorted = key.sort != "id"
        return statement.where(is_after(self._tables, key) if is_sorted else is_beyond)


def _public_columns(
    models: sa.Table, rights: Mapping[str, sa.ColumnElement[bool]]
) -> list[sa.ColumnElement[Any]]:
    """Return the columns of a representation in the contract's order, then the version."""
    columns = (
        rights[name].label(name) if name in rights else models.c[name] for name in PUBLIC_FIELDS
    )
    return [*columns, models.c.version]


def representation_columns(access: AccessConditions) -> list[sa.ColumnElement[Any]]:
    """Return the columns of a representation with the actor's rights, then the version."""
    rights = {name: access.where(action) for name, action in ACCESS_FLAGS.items()}
    return _public_columns(access.tables.models, rights)


def _secret(access: AccessConditions) -> list[sa.ColumnElement[Any]]:
    """Return the columns that a call to a model needs."""
    models = access.tables.models.c
    credential = (models.ciphertext, models.key_id, models.credential_updated_at)
    return [
        *representation_columns(access),
        models.uuid,
        models.owner_id,
        *credential,
        models.credential_id,
        models.parameters,
        models.info,
    ]


def _default_columns(defaults: sa.Table) -> tuple[sa.Column[Any], sa.Column[Any]]:
    return defaults.c.config_type, defaults.c.model_row_id


def _ability_statements(abilities: sa.Table) -> tuple[sa.Insert, sa.Delete]:
    row_id: sa.BindParameter[int] = sa.bindparam("row_id")
    ability: sa.BindParameter[str] = sa.bindparam("the_ability")
    is_ability = (abilities.c.model_row_id == row_id) & (abilities.c.ability == ability)
    values = {"model_row_id": row_id, "ability": ability}
    return sa.insert(abilities).values(values), sa.delete(abilities).where(is_ability)


def _rename_statement(grants: sa.Table) -> sa.Update:
    of_model = grants.c.model_row_id == sa.bindparam("row_id")
    return sa.update(grants).where(of_model).values(model_id=sa.bindparam("the_model_id"))
