"""Who may do what: each relation to a model once in SQL and once in Python, and one policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from ..errors import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .tables import Tables

Condition: TypeAlias = sa.ColumnElement[bool]


class Action(Enum):
    """What somebody may do with a model."""

    USE = "use"  # see it, list it, resolve it
    EDIT = "edit"
    DELETE = "delete"
    OWN = "share"  # with everybody; grant it, give it away


@dataclass(frozen=True)
class Actor:
    """Who asks: the user's key value, their groups, and what tells if they may share."""

    key: Any
    groups: tuple[str, ...] = ()
    can_share: Callable[[], bool] = lambda: False

    def check_may_share(self) -> None:
        """Raise :exc:`ForbiddenError` unless the actor may share models with everybody."""
        if not self.can_share():
            raise ForbiddenError("This takes the right to share models with everybody.")

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the bind parameters in :class:`Access`'s conditions."""
        return {"actor": self.key, "actor_groups": self.groups}


@dataclass(frozen=True)
class Grant:
    """A model given to one user or to one group."""

    user_id: Any = None
    group_name: str | None = None
    can_edit: bool = False
    can_delete: bool = False


@dataclass(frozen=True)
class Facts:
    """What the policy looks at in one model."""

    owner_id: Any
    is_shared: bool
    grants: Sequence[Grant] = ()


@dataclass(frozen=True)
class Relation:
    """A way of having to do with a model.

    Attributes:
        name: How it is called.
        in_sql: The condition on a row of ``table``.
        in_python: The same for a :class:`Facts`, or a :class:`Grant` if ``table`` is the grants'.
        handle: The column that finds a model by its ``model_id`` within this relation.
    """

    name: str
    table: str
    in_sql: Callable[[Tables], Condition]
    in_python: Callable[[Actor, Any], bool]
    handle: str = "model_id"

    @property
    def is_granted(self) -> bool:
        """Whether a row of the grants' table says so."""
        return self.table == "grants"


OWNER = Relation(
    "owner",
    "models",
    lambda tables: tables.models.c.owner_id == _actor(tables),
    lambda actor, model: bool(model.owner_id == actor.key),
)
GRANTEE = Relation(
    "granted to the user",
    "grants",
    lambda tables: tables.grants.c.user_id == _actor(tables),
    lambda actor, grant: grant.user_id is not None and bool(grant.user_id == actor.key),
)
GROUP = Relation(
    "granted to a group of the user",
    "grants",
    lambda tables: tables.grants.c.group_name.in_(sa.bindparam("actor_groups", expanding=True)),
    lambda actor, grant: grant.group_name in actor.groups,
)
EVERYONE = Relation(
    "shared with everybody",
    "models",
    lambda tables: tables.models.c.is_shared == sa.true(),
    lambda _actor, model: model.is_shared,
    handle="shared_model_id",
)

ALWAYS, NEVER = None, ""
# For each action the relations that allow it, nearest first, and the flag a grant must carry.
POLICY: Mapping[Action, Mapping[Relation, str | None]] = {
    Action.USE: {OWNER: ALWAYS, GRANTEE: ALWAYS, GROUP: ALWAYS, EVERYONE: ALWAYS},
    Action.EDIT: {OWNER: ALWAYS, GRANTEE: "can_edit", GROUP: "can_edit"},
    Action.DELETE: {OWNER: ALWAYS, GRANTEE: "can_delete", GROUP: "can_delete"},
    Action.OWN: {OWNER: ALWAYS},
}


class Access:
    """The policy over one registry's tables. Its conditions take ``Actor.parameters``."""

    def __init__(self, tables: Tables, *, with_groups: bool = True) -> None:
        self.tables = tables
        self._absent = frozenset() if with_groups else frozenset({GROUP})

    @property
    def has_groups(self) -> bool:
        """Whether the host's users are in groups."""
        return GROUP not in self._absent

    @cached_property
    def without_groups(self) -> Access:
        """The same for actors who are in no group."""
        return Access(self.tables, with_groups=False)

    def relations(self, action: Action) -> list[tuple[Relation, Condition]]:
        """Return each relation that allows the action with its condition, nearest first."""
        return [
            (relation, self._condition(relation, flag))
            for relation, flag in POLICY[action].items()
            if relation not in self._absent
        ]

    def right(self, action: Action, relation: Relation) -> sa.ColumnElement[int]:
        """Return 1 if a row of the relation's table allows the action, or else 0."""
        flag = POLICY[action].get(relation, NEVER)
        if flag is ALWAYS:
            return sa.literal_column("1")
        return sa.cast(self.tables.grants.c[flag], sa.Integer) if flag else sa.literal_column("0")

    def where(self, action: Action) -> Condition:
        """Return the condition on a row of the models' table under which the action is allowed."""
        return sa.or_(*self.reasons(action).values())

    def reasons(self, action: Action) -> dict[str, Condition]:
        """Return for each relation's name the condition on a row of the models' table."""
        return {each.name: self._on_model(each, how) for each, how in self.relations(action)}

    def allows(self, action: Action, actor: Actor, model: Facts) -> bool:
        """Tell whether the action is allowed; the same answer as :meth:`where`."""
        return any(
            self._holds(relation, flag, actor, model)
            for relation, flag in POLICY[action].items()
            if relation not in self._absent
        )

    def _condition(self, relation: Relation, flag: str | None) -> Condition:
        condition = relation.in_sql(self.tables)
        return condition if flag is None else condition & (self.tables.grants.c[flag] == sa.true())

    def _on_model(self, relation: Relation, condition: Condition) -> Condition:
        if not relation.is_granted:
            return condition
        same_model = self.tables.grants.c.model_row_id == self.tables.models.c.id
        return sa.exists().where(same_model, condition)

    @staticmethod
    def _holds(relation: Relation, flag: str | None, actor: Actor, model: Facts) -> bool:
        if not relation.is_granted:
            return relation.in_python(actor, model)
        return any(
            relation.in_python(actor, grant) and (flag is None or getattr(grant, flag))
            for grant in model.grants
        )


def _actor(tables: Tables) -> sa.BindParameter[Any]:
    return sa.bindparam("actor", type_=tables.models.c.owner_id.type)
