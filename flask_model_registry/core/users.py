"""The host's users, named by the text of their keys."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from ..errors import NotFoundError
from .writing import enforces_foreign_keys, refuses_a_value

if TYPE_CHECKING:
    from .tables import Tables

_MAX_LENGTH = 255


@dataclass(frozen=True)
class Person:
    """A user of the host: by the key, or by the text of it that a client sent."""

    text: str = ""
    key: Any = None


def find_user(connection: sa.Connection, tables: Tables, person: Person) -> Any:
    """Return the key of a user, as the database has it.

    Raises:
        NotFoundError: There is no such user.
    """
    key = person.key
    if key is None:
        key = _looked_up(connection, tables.user_key, person.text)
    if key is None or is_gone(connection, tables, key):
        raise NotFoundError("There is no such user.")
    return key


def is_gone(connection: sa.Connection, tables: Tables, key: Any) -> bool:
    """Tell whether a user is gone, where no foreign key would: on SQLite, unless it enforces them.

    It may give the key to the next user, who would inherit what is written now.
    """
    if enforces_foreign_keys(connection):
        return False
    return connection.execute(tables.user_with_key, {"user": key}).first() is None


def _looked_up(connection: sa.Connection, column: sa.Column[Any], text: str) -> Any:
    """Return the key that has this text; databases find more, without regard to case or blanks."""
    try:
        key = _parsed(column.type, text)
        found = connection.execute(sa.select(column).where(column == key)).scalar()
    except sa.exc.StatementError as error:
        # What a type of the host's own refuses is no key either.
        if isinstance(error, sa.exc.DBAPIError) and not refuses_a_value(error):
            raise
        return None
    except (ValueError, OverflowError):
        return None
    texts = {text, text.lower()} if isinstance(found, UUID) else {text}
    return found if str(found) in texts else None


def _parsed(column_type: sa.types.TypeEngine[Any], text: str) -> Any:
    if len(text) > _MAX_LENGTH:
        raise ValueError("too long for a key")
    with suppress(NotImplementedError):
        if column_type.python_type in {int, UUID}:
            return column_type.python_type(text)
    return text
