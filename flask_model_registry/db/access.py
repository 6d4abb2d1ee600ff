"""The policy in SQL: the conditions under which each relation holds, and allows an action."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from ..policy import ALLOWED, Action, Relation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..policy import Actor
    from .declare import Tables

Condition: TypeAlias = sa.ColumnElement[bool]

ALWAYS, NEVER = None, ""


@dataclass(frozen=True)
class RelationCondition:
    """A relation in SQL.

    Attributes:
        table: The name of the table whose rows say so: that of the models or that of the grants.
        condition: The condition on a row of it.
        handle: The column that finds a model by its ``model_id`` within this relation.
    """

    table: str
    condition: Callable[[Tables], Condition]
    handle: str = "model_id"


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
    """The policy over one registry's tables. Its conditions take :func:`parameters_of` an actor."""

    def __init__(self, tables: Tables, *, with_groups: bool = True) -> None:
        self.tables = tables
        self._absent = frozenset() if with_groups else frozenset({Relation.GROUP})

    @property
    def has_groups(self) -> bool:
        """Whether the host's users are in groups."""
        return Relation.GROUP not in self._absent

    @cached_property
    def without_groups(self) -> AccessConditions:
        """The same for actors who are in no group."""
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
        """Return for each relation's name the condition on a row of the models' table."""
        return {each.value: self._on_model(each, how) for each, how in self.relations(action)}

    def _with_flag(self, relation: Relation, flag: str | None) -> Condition:
        condition = self.condition(relation)
        return condition if flag is None else condition & (self.tables.grants.c[flag] == sa.true())

    def _on_model(self, relation: Relation, condition: Condition) -> Condition:
        if not relation.is_granted:
            return condition
        same_model = self.tables.grants.c.model_row_id == self.tables.models.c.id
        return sa.exists().where(same_model, condition)
