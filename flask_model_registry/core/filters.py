"""What to list: filters for who asks in Python and over HTTP, and their conditions in SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from ..errors import ValidationError
from ..text import LINES
from .branches import MOST_PLACES
from .rules import CATEGORIES
from .tables import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .tables import Tables

_LINES = re.compile(LINES)
_FEW_PLACES = 8  # each takes 50 KiB of a statement


class Shape(NamedTuple):
    """What tells statements apart: filters of one shape differ in parameters only.

    Attributes:
        given: The names of the conditions that narrow the list.
        is_cut: Whether there is a limit.
    """

    given: tuple[str, ...]
    owned: bool | None
    descending: bool
    is_cut: bool

    @property
    def most_places(self) -> int:
        """For how many groups a statement may have a branch each; there are many other shapes."""
        if not self.is_cut:
            return 0
        return MOST_PLACES if {*self.given} <= {"is_active"} else _FEW_PLACES


@dataclass(frozen=True)
class Filters:
    """What to list; ``None`` means that it does not matter.

    Attributes:
        q: Text that the id, the name or the description holds, in any case.
        descending: Newest first.
        after: The id of the model before the first one wanted, in the order asked for.
        limit: At most so many; all by default.
    """

    category: str | None = None
    model_provider: str | None = None
    ability: str | None = None
    is_active: bool | None = True
    owned: bool | None = None
    q: str | None = None
    descending: bool = False
    after: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        faults = [(name, "Is not valid.") for name in _VALID if not self._is_valid(name)]
        if faults:
            raise ValidationError(faults)

    def _is_valid(self, name: str) -> bool:
        value = getattr(self, name)
        return value is None or _VALID[name](value)

    @property
    def shape(self) -> Shape:
        """What the statement depends on."""
        given = tuple(name for name in CONDITIONS if getattr(self, name) is not None)
        return Shape(given, self.owned, self.descending, self.limit is not None)

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of the bind parameters."""
        values = {name: getattr(self, name) for name in self.shape.given}
        if self.q is not None:
            values["q"] = f"%{_escaped(self.q)}%"
        first = MAX_ID + 1 if self.descending else 0
        return {**values, "after": self.after or first, "limit": self.limit}


def _escaped(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _has_ability(tables: Tables) -> sa.ColumnElement[bool]:
    abilities = tables.abilities.c
    same_model = abilities.model_row_id == tables.models.c.id
    return sa.exists().where(same_model, abilities.ability == sa.bindparam("ability"))


def _holds_text(tables: Tables) -> sa.ColumnElement[bool]:
    models, q = tables.models.c, sa.bindparam("q", type_=sa.Unicode())
    # MySQL does not compare ASCII columns with other text; a cast gives the connection's charset.
    searched = (sa.cast(models.model_id, sa.String()), models.model_name, models.description)
    return sa.or_(*(column.ilike(q, escape="/") for column in searched))


CONDITIONS: Mapping[str, Callable[[Tables], sa.ColumnElement[bool]]] = {
    "category": lambda tables: tables.models.c.category == sa.bindparam("category"),
    "model_provider": lambda tables: (
        tables.models.c.model_provider == sa.bindparam("model_provider")
    ),
    "is_active": lambda tables: tables.models.c.is_active == sa.bindparam("is_active"),
    "ability": _has_ability,
    "q": _holds_text,
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 256 and _LINES.match(value) is not None


def _is_ascii(value: Any) -> bool:
    return _is_text(value) and value.isascii() and value.isprintable()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 < value <= MAX_ID


# What the drivers would not take, or not all alike.
_VALID: Mapping[str, Callable[[Any], bool]] = {
    "category": CATEGORIES.__contains__,
    **dict.fromkeys(("model_provider", "ability"), _is_ascii),
    **dict.fromkeys(("is_active", "owned"), lambda value: isinstance(value, bool)),
    **dict.fromkeys(("after", "limit"), _is_count),
    "q": _is_text,
}
