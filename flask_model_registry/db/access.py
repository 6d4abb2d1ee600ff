"""The policy in SQL: the conditions under which a relation allows an action, and access paths.

An access path leads to the models that an actor may use because of one relation. It is a range of
one index, in the order of the models' ids. The grants to one group are such a range, but those to
several groups are not. So on PostgreSQL, a part of the statement runs for each group in an array.
On other databases, the statement has a part for each group, unless there are too many.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from ..policy import ALLOWED, Action, Relation
from .ranges import GrantRange, Range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..policy import Actor
    from ..schemas.filters import QueryKey
    from .declare import Tables

Condition: TypeAlias = sa.ColumnElement[bool]

ALWAYS, NEVER = None, ""


@dataclass(frozen=True)
class RelationCondition:
    """A relation in SQL.

    Attributes:
        table: The name of the table whose rows have the relation: the models' or the grants'.
        condition: The condition on a row of that table.
        model_id: The column that finds a model by its ``model_id`` within this relation.
    """

    table: str
    condition: Callable[[Tables], Condition]
    model_id: str = "model_id"


def _is_owner(tables: Tables) -> Condition:
    return tables.models.c.owner_id == _actor(tables)


def _is_shared(tables: Tables) -> Condition:
    return tables.models.c.is_shared == sa.true()


def _is_to_actor(tables: Tables) -> Condition:
    return tables.grants.c.user_id == _actor(tables)


def _is_to_group(tables: Tables) -> Condition:
    return tables.grants.c.group_name.in_(sa.bindparam("actor_groups", expanding=True))


def _actor(tables: Tables) -> sa.BindParameter[Any]:
    return sa.bindparam("actor", type_=tables.models.c.owner_id.type)


RELATION_CONDITIONS: Mapping[Relation, RelationCondition] = {
    Relation.OWNER: RelationCondition("models", _is_owner),
    Relation.EVERYONE: RelationCondition("models", _is_shared, "shared_model_id"),
    Relation.GRANTEE: RelationCondition("grants", _is_to_actor),
    Relation.GROUP: RelationCondition("grants", _is_to_group),
}


def parameters_of(actor: Actor) -> dict[str, Any]:
    """Return the values of the bind parameters in the conditions of :class:`AccessConditions`."""
    return {"actor": actor.key, "actor_groups": actor.groups}


class AccessConditions:
    """The policy as conditions on one registry's tables. They take :func:`parameters_of` actors."""

    def __init__(self, tables: Tables, *, with_groups: bool = True) -> None:
        self.tables = tables
        self._absent = frozenset() if with_groups else frozenset({Relation.GROUP})

    @property
    def has_groups(self) -> bool:
        """Whether the host's users are in groups."""
        return Relation.GROUP not in self._absent

    @cached_property
    def without_groups(self) -> AccessConditions:
        """The conditions for actors who are in no group."""
        return AccessConditions(self.tables, with_groups=False)

    def condition(self, relation: Relation) -> Condition:
        """Return the condition on a row of the relation's table."""
        return RELATION_CONDITIONS[relation].condition(self.tables)

    def relations(self, action: Action) -> list[tuple[Relation, Condition]]:
        """Return each relation that allows the action with its condition, nearest first."""
        return [
            (relation, self._with_flag(relation, flag))
            for relation, flag in ALLOWED[action].items()
            if relation not in self._absent
        ]

    def right(self, action: Action, relation: Relation) -> sa.ColumnElement[int]:
        """Return 1 if a row of the relation's table allows the action, or else 0."""
        flag = ALLOWED[action].get(relation, NEVER)
        if flag is ALWAYS:
            return sa.literal_column("1")
        return sa.cast(self.tables.grants.c[flag], sa.Integer) if flag else sa.literal_column("0")

    def where(self, action: Action) -> Condition:
        """Return the condition on a row of the models' table under which the action is allowed."""
        return sa.or_(*self.reasons(action).values())

    def reasons(self, action: Action) -> dict[str, Condition]:
        """Return the relations' conditions on a row of the models' table, by relation name."""
        return {each.value: self._on_model(each, how) for each, how in self.relations(action)}

    def _with_flag(self, relation: Relation, flag: str | None) -> Condition:
        condition = self.condition(relation)
        return condition if flag is None else condition & (self.tables.grants.c[flag] == sa.true())

    def _on_model(self, relation: Relation, condition: Condition) -> Condition:
        if not relation.is_granted:
            return condition
        same_model = self.tables.grants.c.model_row_id == self.tables.models.c.id
        return sa.exists().where(same_model, condition)


class Groups(Enum):
    """How a statement finds the grants to an actor's groups, if it has no path for each group."""

    EACH = "each"  # LATERAL
    TOGETHER = "together"  # in no order


# A number is how many paths the statement has, each to the grants of one group.
GroupPaths: TypeAlias = int | Groups
MAX_GROUPS = 64
_FEW_GROUPS = 8  # each path adds 50 KiB to a statement
_GROUP_PARAMETERS = tuple(f"actor_group_{number}" for number in range(MAX_GROUPS))


def paths_for(
    actor: Actor, dialect: sa.Dialect, key: QueryKey | None = None
) -> tuple[GroupPaths, dict[str, Any]]:
    """Return the paths to what is granted to the actor's groups, and all bind parameters.

    The number of paths is rounded up, so that few different statements are compiled.

    Args:
        key: The key of the statement for a page. Without it, the statement looks up one model.
    """
    count = len(actor.groups)
    parameters = {"actor": actor.key, "actor_groups": actor.groups}
    if count == 0:
        return 0, parameters
    # Without LATERAL, the grants to more groups than this are looked for together.
    max_paths = MAX_GROUPS
    if key is not None and not (key.has_limit and key.sort == "id"):
        max_paths = 0
    elif key is not None and not {*key.given} <= {"is_active"}:
        max_paths = _FEW_GROUPS  # because other filters make many more statements
    if dialect.name == "postgresql" and max_paths:
        return Groups.EACH, {**parameters, "actor_group_array": [*actor.groups]}
    if count > max_paths:
        return Groups.TOGETHER, parameters
    paths = 1 << (count - 1).bit_length()
    return paths, {**parameters, **dict(zip_longest(_GROUP_PARAMETERS[:paths], actor.groups))}


def access_paths(
    access: AccessConditions, group_paths: GroupPaths = Groups.TOGETHER
) -> Iterator[AccessPath]:
    """Yield the access paths, nearest first, with these paths to the grants of groups."""
    tables = access.tables
    for rank, (relation, condition) in enumerate(access.relations(Action.USE)):
        if relation is not Relation.GROUP:
            yield AccessPath(tables, relation, rank, condition)
        elif group_paths is Groups.TOGETHER:
            yield AccessPath(tables, relation, rank, condition, is_ordered=False)
        elif group_paths is Groups.EACH:
            each = _each_group()
            in_group = tables.grants.c.group_name == each.c.name
            yield AccessPath(tables, relation, rank, in_group, each)
        else:
            name = tables.grants.c.group_name
            for parameter in _GROUP_PARAMETERS[:group_paths]:
                in_group = name == sa.bindparam(parameter, type_=name.type)
                yield AccessPath(tables, relation, rank, in_group)


def _each_group() -> sa.TableValuedAlias:
    # The SELECT hides from the planner how many groups there are. If it expected hundreds, it would
    # compile the statement, which takes longer than running it.
    array = sa.bindparam("actor_group_array", type_=sa.ARRAY(sa.String()))
    names = sa.select(array).scalar_subquery()
    return sa.func.unnest(names).table_valued(sa.column("name", sa.String())).render_derived()


@dataclass(frozen=True)
class AccessPath:
    """Rows of one table that an actor may use because of one relation.

    Attributes:
        rank: How near the relation is; 0 is the nearest.
        condition: Which rows of the relation's table these are.
        each: A table; the path is taken once for each of its rows.
        is_ordered: Whether the rows are a range of an index; if not, a model may appear twice.
    """

    tables: Tables
    relation: Relation
    rank: int
    condition: Condition
    each: sa.TableValuedAlias | None = None
    is_ordered: bool = True

    @property
    def id(self) -> sa.Column[int]:
        """The column that holds the id of the model."""
        is_granted = self.relation.is_granted
        return self.tables.grants.c.model_row_id if is_granted else self.tables.models.c.id

    @property
    def model_id(self) -> sa.Column[str]:
        """The column to find a ``model_id`` in. It is in one index with the condition's column."""
        condition = RELATION_CONDITIONS[self.relation]
        table: sa.Table = getattr(self.tables, condition.table)
        return table.c[condition.model_id]

    @property
    def finds_one(self) -> bool:
        """Whether a ``model_id`` finds at most one model, by a unique index.

        If it does, this path's part of the statement must not be sorted or limited. Otherwise, to
        find the first model with a common name, PostgreSQL would read the owner's models, or the
        whole table, in the order of ids.
        """
        return not self.relation.is_granted

    @property
    def source(self) -> sa.FromClause:
        """The models, or the grants joined with their models.

        The sum keeps SQLite from reversing the join. Once ANALYZE has seen large groups, SQLite
        would read all models in order, and look each up among the grants.
        """
        if not self.relation.is_granted:
            return self.tables.models
        is_model = self.tables.models.c.id == self.id + sa.literal_column("0")
        return self.tables.grants.join(self.tables.models, is_model)

    def after(self, is_beyond: Condition) -> Condition:
        """Return the condition on rows beyond an id."""
        if not self.is_ordered:
            return self.condition & is_beyond
        range_type = GrantRange if self.relation.is_granted else Range
        return range_type(self.condition, is_beyond)

    def leads_to(self, *conditions: Condition) -> Condition:
        """Return the condition that the model of a row meets these conditions.

        The model of a grant is looked up in a subquery, because a database may reverse a join. It
        would then read all models in order, until it has found enough that are granted.
        """
        if not self.relation.is_granted:
            return sa.and_(sa.true(), *conditions)
        models = self.tables.models
        met = sa.select(sa.and_(sa.true(), *conditions)).where(models.c.id == self.id)
        return met.select_from(models).correlate(self.tables.grants).scalar_subquery()

    @property
    def priority(self) -> sa.Label[int]:
        """The rank, as a column."""
        return sa.literal_column(str(self.rank), sa.Integer()).label("rank")

    def limited(
        self,
        part: sa.Select[Any],
        limit: sa.ColumnElement[int],
        *,
        descending: bool = False,
    ) -> sa.Select[Any]:
        """Return the first rows of a part of a statement that selects along this path."""
        # All columns of the range's index, because servers don't see that the first is constant.
        columns = [self.condition.left, self.id] if self.is_ordered else [self.id]
        part = part.order_by(*(each.desc() if descending else each for each in columns))
        part = part.limit(limit)
        if self.each is None:
            return sa.select(part.subquery())
        lateral = part.lateral()
        return sa.select(lateral).select_from(self.each.join(lateral, sa.true()))
