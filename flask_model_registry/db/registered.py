"""The base of the mapped classes of all of the registry's tables."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import declared_attr, foreign, object_session, relationship, validates

from ..errors import ConfigError
from .columns import ascii_text
from .session import Blob


@dataclass
class Referred:
    """What the models of one host refer to: its users and, once mapped, models and credentials."""

    users: type
    user_key: sa.Column[Any]
    credential_key: sa.Column[int] = field(init=False)
    model_key: sa.Column[int] = field(init=False)


class Registered:
    """Base of the models below; :func:`map_models` makes subclasses of them for one host."""

    __table__: ClassVar[Any]
    _refers_to: ClassVar[Referred]
    _written_by: ClassVar[str]  # the calls that write instead

    @classmethod
    def _hidden_columns(cls) -> dict[int, sa.Column[Any]]:
        """Return the columns that the table has and the class lacks, by their positions."""
        return {}

    # SQLAlchemy writes no relationship that is viewonly, so another value would be lost silently.
    @validates("owner", "user", "model")
    def _refuse_another(self, name: str, value: Any) -> Any:
        if value is not getattr(self, name):
            raise _refusal(self)
        return value


# Not mapped, so that no query of the host, and no dump of an object, loads an encrypted API key.
SECRET_COLUMNS = ["uuid", "ciphertext", "key_id"]


def secret_columns(position: int) -> dict[int, sa.Column[Any]]:
    """Return the columns of an encrypted key, at this position in the table."""
    return {
        # Random, never changed, never shown. Encrypted API keys are bound to it.
        1: sa.Column("uuid", ascii_text(32), nullable=False),
        position: sa.Column("ciphertext", Blob()),
        position + 1: sa.Column("key_id", ascii_text(255)),
    }


def _refusal(row: Registered) -> ConfigError:
    return ConfigError(
        f"registry.{type(row).__name__} is read-only: write with {row._written_by}, and pass "
        "viewonly=True to relationships"
    )


# On the plain class, because a listener on one host's classes would keep that host in memory.
@sa.event.listens_for(Registered, "before_insert", propagate=True)
@sa.event.listens_for(Registered, "before_delete", propagate=True)
def _refuse(_mapper: Any, _connection: Any, row: Registered) -> None:
    raise _refusal(row)


@sa.event.listens_for(Registered, "before_update", propagate=True)
def _refuse_change(_mapper: Any, _connection: Any, row: Registered) -> None:
    session = object_session(row)
    # SQLAlchemy announces an update of every touched object, changed or not.
    if session is None or session.is_modified(row):
        raise _refusal(row)


def to_user(name: str) -> Any:
    """Return a relationship to the user whom a column names."""
    # The join is a function, because the host's mappers are not configured yet.
    return declared_attr(
        lambda cls: relationship(
            cls._refers_to.users, primaryjoin=partial(_is_user, cls, name), viewonly=True
        )
    )


def _is_user(cls: type[Registered], name: str) -> sa.ColumnElement[bool]:
    key = cls._refers_to.user_key
    is_key: sa.ColumnElement[bool] = key == foreign(cls.__table__.c[name])
    mapper: sa.orm.Mapper[Any] = sa.inspect(cls._refers_to.users)
    if mapper.polymorphic_on is None or not any(
        each.concrete for each in mapper.self_and_descendants
    ):
        return is_key
    # Users of other tables may have this key too, and a polymorphic union finds them all.
    kinds = [
        each.polymorphic_identity
        for each in mapper.self_and_descendants
        if each.primary_key[0] is key
    ]
    return sa.and_(is_key, mapper.polymorphic_on.in_(kinds))
