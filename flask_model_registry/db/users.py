"""Find the host's users by their primary keys, or by strings that clients send for them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from ..errors import NotFoundError
from .failures import is_bad_value
from .session import user_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from .declare import Tables


_MAX_DIGITS = 1000  # PostgreSQL's limit; other databases have lower ones


def _decimal(text: str) -> Decimal:
    """Parse a decimal, but refuse one that is too large, because drivers write out all digits."""
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS:
        raise ValueError("no decimal column holds this")
    return number


_PARSERS: dict[type, Callable[[str], Any]] = {
    str: str,
    UUID: UUID,
    int: int,
    Decimal: _decimal,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
    bool: {str(each): each for each in (True, False)}.__getitem__,
}


@dataclass(frozen=True)
class Person:
    """A user of the host, by the primary key or by the string that a client sent for it."""

    text: str = ""
    key: Any = None

    def has_key(self, key: Any) -> bool:
        """Return whether this is the user with that primary key."""
        if self.key is not None:
            return bool(self.key == key)
        # Clients may write the letters of a UUID in either case.
        return str(key) == (self.text.lower() if isinstance(key, UUID) else self.text)


def find_user(connection: sa.Connection, tables: Tables, person: Person) -> Any:
    """Return a user's primary key, as the database stores it.

    Raises:
        NotFoundError: There is no such user.
    """
    if person.key is None:
        key = _find_key(connection, tables.user_key, person)
    else:
        key = None if user_missing(connection, tables, person.key) else person.key
    if key is None:
        raise NotFoundError("There is no such user.")
    return key


def _find_key(connection: sa.Connection, column: sa.Column[Any], person: Person) -> Any:
    """Return the primary key that is exactly this text. Databases may ignore case or blanks."""
    text = person.text
    for column_type, parse in _comparisons(column.type):
        # With a type, because PostgreSQL doesn't compare numbers or dates with text.
        key = sa.bindparam("key", type_=column_type)
        statement = sa.select(column).where(sa.type_coerce(column, column_type) == key)
        try:
            found = connection.execute(statement, {"key": parse(text)}).scalar()
        except sa.exc.DBAPIError as error:
            if not is_bad_value(error):
                raise
            return None
        except (sa.exc.StatementError, TypeError, ValueError, ArithmeticError, LookupError):
            continue  # what the driver or the host's own type refuses isn't a key either
        return found if found is not None and person.has_key(found) else None
    return None


def _comparisons(
    column_type: sa.types.TypeEngine[Any],
) -> list[tuple[sa.types.TypeEngine[Any], Callable[[str], Any]]]:
    """Return types to compare a column as, each with a function that turns a string into a key.

    The likeliest comes first. The host's own type may only accept what it returns itself, such as
    UUIDs for bytes, dates for integers, or objects of the host's classes. The type that it is
    stored as comes last.
    """
    parsers = [*_PARSERS.values()]
    with suppress(NotImplementedError):
        kind = column_type.python_type
        if issubclass(kind, Enum):
            parsers = [{str(each): each for each in kind}.__getitem__]
        elif kind in _PARSERS:
            parsers = [_PARSERS[kind]]
    comparisons = [(column_type, parse) for parse in parsers]
    if isinstance(column_type, sa.TypeDecorator):
        comparisons += _comparisons(column_type.impl_instance)
    return comparisons
