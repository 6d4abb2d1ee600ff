"""Filters of a list of models, as calls from Python and queries over HTTP give them."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ..errors import ValidationError
from ..text import UNSAFE
from .categories import CATEGORIES
from .limits import MAX_ID, MOST_SOUGHT

if TYPE_CHECKING:
    from collections.abc import Mapping

# A type, or the pattern of a string: the drivers would not take other values, or not all alike.
_KINDS: Mapping[str, Any] = {
    "category": re.compile("|".join(CATEGORIES)),
    **dict.fromkeys(("model_provider", "ability"), re.compile("[ -~]{0,255}")),
    **dict.fromkeys(("is_active", "owned", "descending"), bool),
    **dict.fromkeys(("after", "limit"), int),
    "q": re.compile(rf"([\n\r\t]|[^{UNSAFE}]){{0,{MOST_SOUGHT}}}"),
}


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
        problems = []
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is None:
                continue
            if kind is bool:
                is_valid = isinstance(value, bool)
            elif kind is int:
                is_valid = isinstance(value, int) and not isinstance(value, bool)
                is_valid = is_valid and 0 < value <= MAX_ID
            else:
                is_valid = isinstance(value, str) and kind.fullmatch(value) is not None
            if not is_valid:
                problems.append((name, "Is not valid."))
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
