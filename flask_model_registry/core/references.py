"""The statements that find the model an actor means, by its id or by its ``model_id``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .access import Action
from .branches import branches

if TYPE_CHECKING:
    from collections.abc import Callable

    from .access import Access
    from .branches import Branch, Places


class References:
    """Statements that return the same columns of one model.

    Args:
        columns: Returns the columns, some of which may depend on who asks.
    """

    def __init__(
        self, access: Access, columns: Callable[[Access], list[sa.ColumnElement[Any]]]
    ) -> None:
        self._access = access
        self._columns = columns
        self._kept: dict[tuple[type, bool | Places], sa.Select[Any]] = {}

    def statement(self, kind: type, places: Places) -> sa.Select[Any]:
        """Return the statement for a reference of this kind, and an actor with such places."""
        key = (kind, bool(places) if kind is int else places)
        statement = self._kept.get(key)
        if statement is None:
            # Most are in no group, and need not be asked for any.
            access = self._access if places else self._access.without_groups
            by_id = kind is int
            statement = self._by_id(access) if by_id else self._by_handle(access, places)
            self._kept[key] = statement
        return statement

    def _by_id(self, access: Access) -> sa.Select[Any]:
        is_it = access.tables.models.c.id == sa.bindparam("ref")
        return sa.select(*self._columns(access)).where(is_it, access.where(Action.USE))

    def _by_handle(self, access: Access, places: Places) -> sa.Select[Any]:
        """Let the nearest relation win: own before granted before shared with everybody.

        Each ordered branch is one look into an index of whose it is, the ``model_id`` and the id.
        """
        parts = (self._first(branch) for branch in branches(access, places))
        union = sa.union_all(*parts).subquery()
        nearest = sa.select(union.c.id).order_by(union.c.rank, union.c.id).limit(1).subquery()
        models = access.tables.models
        return sa.select(*self._columns(access)).join(nearest, models.c.id == nearest.c.id)

    @staticmethod
    def _first(branch: Branch) -> sa.Select[Any]:
        ref: sa.BindParameter[str] = sa.bindparam("ref")
        columns: list[sa.ColumnElement[Any]] = [branch.id.label("id"), branch.nearness]
        # By the model's own too: a grant that was left behind must not lead to it, or hide others.
        is_it = (branch.handle == ref) & (branch.tables.models.c.model_id == ref)
        part = sa.select(*columns).select_from(branch.source).where(branch.condition, is_it)
        return branch.cut(part, limit=1)
