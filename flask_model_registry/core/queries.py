"""The statements of a registry, built once, with bind parameters for all that varies."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from .access import OWNER, Access, Action, Relation
from .filters import CONDITIONS
from .representation import FIELDS, FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .filters import Filters

Condition: TypeAlias = sa.ColumnElement[bool]


class Queries:
    """The statements of one registry."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._tables = access.tables
        self._lists: dict[Hashable, sa.Select[Any]] = {}
        models = access.tables.models
        self.visible = self._by_reference([models.c.id])
        self.one = self._by_reference(self._representation())
        self.secret = self._by_reference(self._secret())
        self.reachable = self._reachable()
        row = sa.select(models).where(models.c.id == sa.bindparam("ref"))
        # By whether others may hold the row too.
        self.locked = {False: row.with_for_update(), True: row.with_for_update(read=True)}
        self.grants_of_actor = self._grants_of_actor()
        self.insert = sa.insert(models)
        self.insert_ability, self.delete_ability = _ability_writers(access.tables.abilities)
        self.deletions = [
            sa.delete(table).where(row_id == sa.bindparam("row_id"))
            for table, row_id in access.tables.by_model()
        ]

    def page(self, filters: Filters) -> sa.Select[Any]:
        """Return the statement for a page."""
        return self._kept("page", filters, self._page)

    def facets(self, filters: Filters) -> dict[str, sa.Select[Any]]:
        """Return the statement for each facet of a summary; its rows are values and counts."""
        models, abilities = self._tables.models.c, self._tables.abilities.c
        return {
            name: self._kept(name, filters, partial(self._facet, column))
            for name, column in (
                ("by_category", models.category),
                ("by_provider", models.model_provider),
                ("by_ability", abilities.ability),
            )
        }

    def defaults(self) -> sa.Select[Any]:
        """Return the statement for the defaults of some types: the actor's before the app's."""
        own, app, models = self._tables.defaults, self._tables.app_defaults, self._tables.models
        is_own = own.c.user_id == sa.bindparam("actor", type_=own.c.user_id.type)
        chosen = sa.union_all(
            sa.select(sa.literal_column("0").label("rank"), *_choice(own)).where(is_own),
            sa.select(sa.literal_column("1").label("rank"), *_choice(app)),
        ).subquery()
        return (
            sa.select(*self._secret(), chosen.c.config_type, chosen.c.rank)
            .join(chosen, models.c.id == chosen.c.model_row_id)
            .where(self.access.where(Action.USE), models.c.is_active == sa.true())
            .where(chosen.c.config_type.in_(sa.bindparam("config_types", expanding=True)))
            .order_by(chosen.c.config_type, chosen.c.rank)
        )

    def _kept(
        self, name: str, filters: Filters, make: Callable[[Filters], sa.Select[Any]]
    ) -> sa.Select[Any]:
        """Return the statement, the same one for all filters of one shape."""
        statement = self._lists.get((name, filters.shape))
        if statement is None:
            statement = self._lists[name, filters.shape] = make(filters)
        return statement

    def _representation(self) -> list[sa.ColumnElement[Any]]:
        """Return the columns of a representation in the contract's order, then the version."""
        models = self._tables.models.c
        flags = {name: self.access.where(action).label(name) for name, action in FLAGS.items()}
        return [
            *(flags[name] if name in flags else models[name] for name in FIELDS),
            models.version,
        ]

    def _secret(self) -> list[sa.ColumnElement[Any]]:
        """Return the columns that it takes to call a model."""
        models = self._tables.models.c
        credential = (models.ciphertext, models.key_id, models.credential_updated_at)
        return [*self._representation(), models.uuid, models.owner_id, *credential]

    def _by_reference(self, columns: list[Any]) -> dict[type, sa.Select[Any]]:
        return {int: self._by_id(columns), str: self._by_handle(columns)}

    def _grants_of_actor(self) -> sa.Select[Any]:
        grants = self._tables.grants.c
        to_actor = sa.or_(*(each.in_sql(self._tables) for each in self.access.granted))
        columns = (grants.user_id, grants.group_name, grants.can_edit, grants.can_delete)
        of_model = grants.model_row_id == sa.bindparam("ref")
        return sa.select(*columns).where(of_model, to_actor).with_for_update(read=True)

    def _by_id(self, columns: list[Any]) -> sa.Select[Any]:
        is_it = self._tables.models.c.id == sa.bindparam("ref")
        return sa.select(*columns).where(is_it, self.access.where(Action.USE))

    def _by_handle(self, columns: list[Any]) -> sa.Select[Any]:
        """Let the nearest relation win: own before granted before shared with everybody."""
        models = self._tables.models
        ranked = self._ranked(lambda handle: handle == sa.bindparam("ref"))
        nearest = sa.select(ranked.c.id).order_by(ranked.c.rank, ranked.c.id).limit(1).subquery()
        return sa.select(*columns).join(nearest, models.c.id == nearest.c.id)

    def _reachable(self) -> sa.Select[Any]:
        """Return the models that a ``model_id`` leads to, the nearest of each, if usable."""
        models = self._tables.models
        ranked = self._ranked(lambda _handle: sa.true())
        place = sa.func.row_number().over(
            partition_by=ranked.c.model_id, order_by=(ranked.c.rank, ranked.c.id)
        )
        placed = sa.select(ranked.c.id, place.label("place")).subquery()
        return (
            sa.select(models.c.model_id, models.c.model_provider, models.c.created_at)
            .join(placed, models.c.id == placed.c.id)
            .where(placed.c.place == 1)
            .where(models.c.is_active == sa.true(), models.c.ciphertext.is_not(None))
            .order_by(models.c.id)
        )

    def _ranked(self, is_it: Callable[[sa.Column[str]], Condition]) -> sa.Subquery:
        """Return the visible models whose handle is such, each with how near its relation is."""
        models = self._tables.models
        branches = []
        for rank, (relation, condition) in enumerate(self.access.relations(Action.USE)):
            rank_column: sa.Label[int] = sa.literal_column(str(rank)).label("rank")
            branches.append(
                sa.select(models.c.id, models.c.model_id, rank_column)
                .select_from(self._source(relation))
                .where(condition, is_it(models.c[relation.handle]))
            )
        return sa.union_all(*branches).subquery()

    def _page(self, filters: Filters) -> sa.Select[Any]:
        """Look up the rows of the union of all branches.

        Each branch is a range of one index and stops at the limit, so that the cost of a page
        does not depend on how many models there are.
        """
        models = self._tables.models
        union = self._union(filters)
        page = _cut(sa.select(union.c.id), union.c.id, filters).subquery()
        rows = sa.select(*self._representation()).join(page, models.c.id == page.c.id)
        return rows.order_by(_ordered(models.c.id, filters))

    def _facet(self, value: sa.Column[str], filters: Filters) -> sa.Select[Any]:
        """Count over the same union; within the covering indexes, where the value is in them."""
        of_models = value.table is self._tables.models
        union = self._union(filters, *([value] if of_models else []))
        counted = union.c[value.name] if of_models else value
        statement = sa.select(counted, sa.func.count()).select_from(union).group_by(counted)
        if of_models:
            return statement
        return statement.join(value.table, value.table.c.model_row_id == union.c.id)

    def _union(self, filters: Filters, *columns: sa.Column[Any]) -> sa.Subquery:
        """Return each model once, with its id and these columns."""
        branches = [
            self._branch(relation, condition, filters).add_columns(*columns)
            for relation, condition in self.access.relations(Action.USE)
            if filters.owned in {None, relation is OWNER}
        ]
        return sa.union(*(sa.select(branch.subquery()) for branch in branches)).subquery()

    def _branch(self, relation: Relation, condition: Condition, filters: Filters) -> sa.Select[Any]:
        models, grants = self._tables.models, self._tables.grants
        # The column of the index that the branch runs along.
        row_id = grants.c.model_row_id if relation.is_granted else models.c.id
        branch = sa.select(row_id.label("id")).select_from(self._source(relation)).where(condition)
        if relation.is_granted:
            branch = branch.distinct()  # granted to two of the actor's groups
        if filters.owned is False:
            branch = branch.where(sa.not_(OWNER.in_sql(self._tables)))
        after = sa.bindparam("after", type_=sa.BigInteger())
        branch = branch.where(row_id < after if filters.descending else row_id > after)
        branch = branch.where(*(CONDITIONS[name](self._tables) for name in filters.given))
        return _cut(branch, row_id, filters)

    def _source(self, relation: Relation) -> sa.FromClause:
        models, grants = self._tables.models, self._tables.grants
        if not relation.is_granted:
            return models
        return grants.join(models, models.c.id == grants.c.model_row_id)


def _choice(defaults: sa.Table) -> tuple[sa.Column[Any], sa.Column[Any]]:
    return defaults.c.config_type, defaults.c.model_row_id


def _ability_writers(abilities: sa.Table) -> tuple[sa.Insert, sa.Delete]:
    row_id: sa.BindParameter[int] = sa.bindparam("row_id")
    ability: sa.BindParameter[str] = sa.bindparam("the_ability")
    is_it = (abilities.c.model_row_id == row_id) & (abilities.c.ability == ability)
    values = {"model_row_id": row_id, "ability": ability}
    return sa.insert(abilities).values(values), sa.delete(abilities).where(is_it)


def _ordered(column: sa.ColumnElement[int], filters: Filters) -> sa.ColumnElement[int]:
    return column.desc() if filters.descending else column.asc()


def _cut(
    statement: sa.Select[Any], column: sa.ColumnElement[int], filters: Filters
) -> sa.Select[Any]:
    if filters.limit is None:
        return statement
    return statement.order_by(_ordered(column, filters)).limit(sa.bindparam("limit"))
