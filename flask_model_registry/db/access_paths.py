"""The ways to what an actor may use: each a range of one index, in the order of the models' ids.

What is granted to one group is such a range, what is granted to several is not. So PostgreSQL does
a part of a statement for each element of an array, and others have a part for each group, unless
these are too many.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from ..policy import Action, Relation
from .access import RELATION_CONDITIONS, parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..policy import Actor
    from .access import AccessConditions, Condition
    from .declare import Tables


class Groups(Enum):
    """How a statement looks for the grants to the groups of an actor, if not place by place."""

    EACH = "each"  # LATERAL
    TOGETHER = "together"  # in no order


# A place is a branch of its own for one group, with a bind parameter for its name.
Places: TypeAlias = int | Groups
MOST_PLACES = 64


def places_for(actor: Actor, dialect: sa.Dialect, most: int = MOST_PLACES) -> Places:
    """Return the places that the actor's groups take: few numbers of them, for few statements.

    Args:
        most: If they take more, and the database has no LATERAL, they are looked at together.
    """
    count = len(actor.groups)
    if count == 0:
        return 0
    if dialect.name == "postgresql" and most:
        return Groups.EACH
    return Groups.TOGETHER if count > most else 1 << (count - 1).bit_length()


def parameters_for(actor: Actor, places: Places) -> dict[str, Any]:
    """Return the values of the bind parameters in the conditions of branches."""
    if places is Groups.TOGETHER or places == 0:
        return parameters_of(actor)
    if places is Groups.EACH:
        return {**parameters_of(actor), "actor_group_array": list(actor.groups)}
    at_each = dict.fromkeys(map(_place, range(places)))
    return {**parameters_of(actor), **at_each, **dict(zip(at_each, actor.groups, strict=False))}


def branches(access: AccessConditions, places: Places = Groups.TOGETHER) -> Iterator[AccessPath]:
    """Yield the branches for actors whose groups take such places, nearest first."""
    tables = access.tables
    for rank, (relation, condition) in enumerate(access.relations(Action.USE)):
        if relation is not Relation.GROUP:
            yield AccessPath(tables, relation, rank, condition)
        elif places is Groups.TOGETHER:
            yield AccessPath(tables, relation, rank, condition, is_ordered=False)
        elif places is Groups.EACH:
            each = _each_group()
            yield AccessPath(
                tables, relation, rank, tables.grants.c.group_name == each.c.name, each
            )
        else:
            for number in range(places):
                in_group = _in_group_at(number, tables.grants.c.group_name)
                yield AccessPath(tables, relation, rank, in_group)


def _each_group() -> sa.TableValuedAlias:
    names = sa.bindparam("actor_group_array", type_=sa.ARRAY(sa.String()))
    return sa.func.unnest(names).table_valued(sa.column("name", sa.String())).render_derived()


def _in_group_at(number: int, name: sa.Column[str]) -> Condition:
    return name == sa.bindparam(_place(number), type_=name.type)


def _place(number: int) -> str:
    return f"actor_group_{number}"


_GRANTEES = {Relation.GRANTEE: "user_id", Relation.GROUP: "group_name"}


@dataclass(frozen=True)
class AccessPath:
    """Rows of one table that an actor may use by one relation.

    Attributes:
        rank: How near the relation is; 0 is the nearest.
        condition: Which rows of the relation's table these are.
        each: What the branch is done for each row of, if it is.
        is_ordered: Whether they are a range of an index; if not, a model may be there twice.
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
    def handle(self) -> sa.Column[str]:
        """The column that finds the ``model_id``, in an index with that of the condition."""
        in_sql = RELATION_CONDITIONS[self.relation]
        table: sa.Table = getattr(self.tables, in_sql.table)
        return table.c[in_sql.handle]

    @property
    def source(self) -> sa.FromClause:
        """The models, or the grants joined with theirs."""
        if not self.relation.is_granted:
            return self.tables.models
        return self.tables.grants.join(self.tables.models, self.tables.models.c.id == self.id)

    @property
    def index(self) -> str | None:
        """The name of the index that grants stand in, if that is what the branch is a range of."""
        column = _GRANTEES.get(self.relation, "")
        for constraint in self.tables.grants.constraints if self.is_ordered else ():
            if isinstance(constraint, sa.UniqueConstraint) and column in constraint.columns:
                return str(constraint.name)
        return None

    @property
    def priority(self) -> sa.Label[int]:
        """The rank, as a column."""
        return sa.literal_column(str(self.rank), sa.Integer()).label("rank")

    def cut(
        self, part: sa.Select[Any], limit: int | sa.BindParameter[int], *, descending: bool = False
    ) -> sa.Select[Any]:
        """Return the first rows of a part that selects from this branch."""
        part = part.order_by(self.id.desc() if descending else self.id).limit(limit)
        if self.each is None:
            return sa.select(part.subquery())
        lateral = part.lateral()
        return sa.select(lateral).select_from(self.each.join(lateral, sa.true()))
