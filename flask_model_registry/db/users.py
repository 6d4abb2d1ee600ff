"""The host's users, named by their primary keys as strings."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from ..errors import NotFoundError
from .failures import refuses_a_value
from .user_deletion import user_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from .declare import Tables

_MAX_LENGTH = 255
_READERS: dict[type, Callable[[str], Any]] = {
    int: int,
    UUID: UUID,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
}


@dataclass(frozen=True)
class Person:
    """A user of the host: by the key, or by the text of it that a client sent."""

    text: str = ""
    key: Any = None

    def has_key(self, key: Any) -> bool:
        """Return whether this is the user with that primary key."""
        if self.key is not None:
            return bool(self.key == key)
        return str(key) in {self.text, self.text.lower() if isinstance(key, UUID) else self.text}


def find_user(connection: sa.Connection, tables: Tables, person: Person) -> Any:
    """Return the key of a user, as the database has it.

    Raises:
        NotFoundError: There is no such user.
    """
    if person.key is None:
        key = _looked_up(connection, tables.user_key, person)
    else:
        key = None if user_missing(connection, tables, person.key) else person.key
    if key is None:
        raise NotFoundError("There is no such user.")
    return key


def _looked_up(connection: sa.Connection, column: sa.Column[Any], person: Person) -> Any:
    """Return the key that has this text; databases find more, without regard to case or blanks."""
    text = person.text
    if len(text) > _MAX_LENGTH:
        return None
    # With the column's type, because PostgreSQL compares a number or a date with no text.
    is_it = column == sa.bindparam("key", type_=column.type)
    for read in _readers(column.type):
        try:
            found = connection.execute(sa.select(column).where(is_it), {"key": read(text)}).scalar()
        except sa.exc.DBAPIError as error:
            if not refuses_a_value(error):
                raise
            return None
        except (sa.exc.StatementError, ValueError, OverflowError, LookupError):
            continue  # what the driver or a type of the host's own refuses is not a key either
        return found if found is not None and person.has_key(found) else None
    return None


def _readers(column_type: sa.types.TypeEngine[Any]) -> list[Callable[[str], Any]]:
    """Return what makes a key of its text, the likeliest first."""
    with suppress(NotImplementedError):
        kind = column_type.python_type
        if issubclass(kind, Enum):
            return [{str(each): each for each in kind}.__getitem__]
        if kind in _READERS:
            return [_READERS[kind]]
    # A type of the host's own may take only the UUIDs that it makes of bytes.
    return [str, UUID]
