"""The statements that find the model an actor means, by its id or by its ``model_id``."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..policy import Action
from .access_paths import branches

if TYPE_CHECKING:
    from collections.abc import Callable

    from .access import AccessConditions
    from .access_paths import AccessPath, Places


class Lookup(Enum):
    """Which of the models that a ``model_id`` leads to is found: the nearest of these."""

    ACTIVE = "active"
    ANY = "any"
    OTHER = "other"  # than the one whose id is the parameter ``besides``


class ModelLookup:
    """Statements that return the same columns of one model.

    Args:
        columns: Returns the columns, some of which may depend on who asks.
    """

    def __init__(
        self,
        access: AccessConditions,
        columns: Callable[[AccessConditions], list[sa.ColumnElement[Any]]],
    ) -> None:
        self._access = access
        self._columns = columns
        self._kept: dict[tuple[Lookup | None, bool | Places], sa.Select[Any]] = {}

    def statement(self, lookup: Lookup | None, places: Places) -> sa.Select[Any]:
        """Return the statement for a ``model_id``, and an actor with such places.

        Args:
            lookup: None for an id, which leads to one model only.
        """
        key = (lookup, bool(places) if lookup is None else places)
        statement = self._kept.get(key)
        if statement is None:
            # Most are in no group, and need not be asked for any.
            access = self._access if places else self._access.without_groups
            by_id = lookup is None
            statement = self._by_id(access) if by_id else self._by_handle(access, places, lookup)
            self._kept[key] = statement
        return statement

    def _by_id(self, access: AccessConditions) -> sa.Select[Any]:
        is_it = access.tables.models.c.id == sa.bindparam("ref")
        return sa.select(*self._columns(access)).where(is_it, access.where(Action.USE))

    def _by_handle(
        self, access: AccessConditions, places: Places, lookup: Lookup | None
    ) -> sa.Select[Any]:
        """Let the nearest relation win, in the order of the policy.

        Each ordered branch is one look into an index of whose it is, the ``model_id`` and the id.
        """
        parts = (self._first(branch, lookup) for branch in branches(access, places))
        union = sa.union_all(*parts).subquery()
        nearest = sa.select(union.c.id).order_by(union.c.rank, union.c.id).limit(1).subquery()
        models = access.tables.models
        return sa.select(*self._columns(access)).join(nearest, models.c.id == nearest.c.id)

    @staticmethod
    def _first(branch: AccessPath, lookup: Lookup | None) -> sa.Select[Any]:
        ref: sa.BindParameter[str] = sa.bindparam("ref")
        columns: list[sa.ColumnElement[Any]] = [branch.id.label("id"), branch.priority]
        # By the model's own too: a grant that was left behind must not lead to it, or hide others.
        is_it = (branch.handle == ref) & (branch.tables.models.c.model_id == ref)
        part = sa.select(*columns).select_from(branch.source).where(branch.condition, is_it)
        if lookup is Lookup.ACTIVE:
            part = part.where(branch.tables.models.c.is_active == sa.true())
        elif lookup is Lookup.OTHER:
            part = part.where(branch.id != sa.bindparam("besides", type_=sa.Integer()))
        return branch.cut(part, limit=1)
