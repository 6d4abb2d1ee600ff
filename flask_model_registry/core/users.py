"""The host's users, named by the text of their keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import NotFoundError
from .writing import refuses_a_value

if TYPE_CHECKING:
    from .tables import Tables

_MAX_LENGTH = 255


@dataclass(frozen=True)
class Person:
    """A user of the host: by the key, or by the text of it that a client sent."""

    text: str = ""
    key: Any = None


def find_user(connection: sa.Connection, tables: Tables, person: Person) -> Any:
    """Return the key of a user.

    Raises:
        NotFoundError: There is no such user.
    """
    key = person.key
    if key is None:
        key = _looked_up(connection, tables.user_key, person.text)
    if key is None:
        raise NotFoundError("There is no such user.")
    return key


def _looked_up(connection: sa.Connection, column: sa.Column[Any], text: str) -> Any:
    try:
        key = _parsed(column.type, text)
        # As the database has it: some compare text without regard to case.
        return connection.execute(sa.select(column).where(column == key)).scalar()
    except sa.exc.StatementError as error:
        # What a type of the host's own refuses is no key either.
        if isinstance(error, sa.exc.DBAPIError) and not refuses_a_value(error):
            raise
    except (ValueError, ArithmeticError, TypeError):
        pass
    return None


def _parsed(column_type: sa.types.TypeEngine[Any], text: str) -> Any:
    try:
        kind = column_type.python_type
    except NotImplementedError:
        kind = str
    if len(text) > _MAX_LENGTH:
        raise ValueError("too long for a key")
    key = kind(text)
    if str(key) not in {text, text.lower()}:
        raise ValueError("not the usual form of such a key")
    return key
