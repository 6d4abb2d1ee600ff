"""The statements that find the model an actor means, by its id or by its ``model_id``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .access import Action
from .branches import branches

if TYPE_CHECKING:
    from .access import Access
    from .branches import Branch, Places


class References:
    """Statements that return the same columns of one model."""

    def __init__(self, access: Access, columns: list[sa.ColumnElement[Any]]) -> None:
        self._access = access
        self._columns = columns
        is_it = access.tables.models.c.id == sa.bindparam("ref")
        self._by_id = sa.select(*columns).where(is_it, access.where(Action.USE))
        self._by_handle: dict[Places, sa.Select[Any]] = {}

    def statement(self, kind: type, places: Places) -> sa.Select[Any]:
        """Return the statement for a reference of this kind, and an actor with so many places."""
        if kind is int:
            return self._by_id
        if places not in self._by_handle:
            self._by_handle[places] = self._nearest(places)
        return self._by_handle[places]

    def _nearest(self, places: Places) -> sa.Select[Any]:
        """Let the nearest relation win: own before granted before shared with everybody.

        Each branch is one look into an index of whose it is, the ``model_id`` and the id.
        """
        models = self._access.tables.models
        parts = (self._first(branch) for branch in branches(self._access, places))
        union = sa.union_all(*parts).subquery()
        nearest = sa.select(union.c.id).order_by(union.c.rank, union.c.id).limit(1).subquery()
        return sa.select(*self._columns).join(nearest, models.c.id == nearest.c.id)

    @staticmethod
    def _first(branch: Branch) -> sa.Select[Any]:
        is_it = branch.handle == sa.bindparam("ref")
        columns: list[sa.ColumnElement[Any]] = [branch.id.label("id"), branch.nearness]
        return branch.cut(sa.select(*columns).where(branch.condition, is_it), limit=1)
