"""Filters in SQL: their conditions, and what statements depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from ..schemas.limits import MAX_ID
from .access import MOST_GROUPS
from .search import Holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..schemas.filters import Filters
    from .declare import Tables

_FEW_GROUPS = 8  # each takes 50 KiB of a statement


class QueryKey(NamedTuple):
    """What tells statements apart: filters with one key differ in parameters only.

    Attributes:
        given: The names of the conditions that narrow the list.
        is_cut: Whether there is a limit.
    """

    given: tuple[str, ...]
    owned: bool | None
    descending: bool
    is_cut: bool

    @classmethod
    def of(cls, filters: Filters, limit: int | None = None) -> tuple[QueryKey, dict[str, Any]]:
        """Return the key of the statement for these filters, and its bind parameters."""
        parameters = {}
        for name in CONDITIONS:
            value = getattr(filters, name)
            if value is not None:
                parameters[name] = value
        key = cls(tuple(parameters), filters.owned, filters.descending, limit is not None)
        first = MAX_ID + 1 if filters.descending else 0
        return key, {**parameters, "after": filters.after or first, "limit": limit}

    @property
    def most_groups(self) -> int:
        """For how many groups a statement may have a path each; there are many other keys."""
        if not self.is_cut:
            return 0
        return MOST_GROUPS if {*self.given} <= {"is_active"} else _FEW_GROUPS


def _has_ability(tables: Tables) -> sa.ColumnElement[bool]:
    abilities = tables.abilities.c
    same_model = abilities.model_row_id == tables.models.c.id
    return sa.exists().where(same_model, abilities.ability == sa.bindparam("ability"))


def _holds_text(tables: Tables) -> sa.ColumnElement[bool]:
    models, q = tables.models.c, sa.bindparam("q", type_=sa.Unicode())
    searched = (models.model_id, models.model_name, models.description)
    return sa.or_(*(Holds(column, q) for column in searched))


CONDITIONS: Mapping[str, Callable[[Tables], sa.ColumnElement[bool]]] = {
    "category": lambda tables: tables.models.c.category == sa.bindparam("category"),
    "model_provider": lambda tables: (
        tables.models.c.model_provider == sa.bindparam("model_provider")
    ),
    "is_active": lambda tables: tables.models.c.is_active == sa.bindparam("is_active"),
    "ability": _has_ability,
    "q": _holds_text,
}
