"""Filters of a list of models, as calls from Python and queries over HTTP give them."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ..errors import ValidationError
from ..text import LINES
from .categories import CATEGORIES
from .limits import MAX_ID, MOST_SOUGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LINES = re.compile(LINES)


@dataclass(frozen=True)
class Filters:
    """What to list; ``None`` means that it does not matter.

    Attributes:
        q: Text that the id, the name or the first 512 characters of the description hold, in any
            case; up to 100 characters.
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
        problems = [
            (name, "Is not valid.")
            for name, is_valid in _VALID.items()
            if (value := getattr(self, name)) is not None and not is_valid(value)
        ]
        if problems:
            raise ValidationError(problems)


_NAMES = frozenset(each.name for each in fields(Filters))


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Return the filters that the host's code gives by name.

    Raises:
        ValidationError: There is none of this name, or its value is not valid.
    """
    if unknown := [(name, "Unknown field.") for name in given if name not in _NAMES]:
        raise ValidationError(unknown)
    return Filters(**given)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 256 and _LINES.match(value) is not None


def _is_sought(value: Any) -> bool:
    return _is_text(value) and len(value) <= MOST_SOUGHT


def _is_ascii(value: Any) -> bool:
    return _is_text(value) and value.isascii() and value.isprintable()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ID


# What the drivers would not take, or not all alike.
_VALID: Mapping[str, Callable[[Any], bool]] = {
    "category": CATEGORIES.__contains__,
    **dict.fromkeys(("model_provider", "ability"), _is_ascii),
    **dict.fromkeys(("is_active", "owned", "descending"), lambda value: isinstance(value, bool)),
    **dict.fromkeys(("after", "limit"), _is_count),
    "q": _is_sought,
}
