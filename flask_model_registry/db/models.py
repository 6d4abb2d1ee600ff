"""SQLAlchemy models of the registry's tables, mapped for each host beside its users.

They stand on the metadata of the users, so that ``db.create_all()`` and Alembic see the tables, and
in a class registry of their own, so that a host may have a ``Model`` too. Objects are read-only:
writes go through the registry, which keeps the rules and the signals.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    declared_attr,
    foreign,
    mapped_column,
    object_session,
    relationship,
    validates,
)

from ..errors import ConfigError
from .columns import (
    NAME,
    Blob,
    UtcDateTime,
    ascii_text,
    check,
    final,
    foreign_key,
    index,
    options_like,
    text,
    unique,
)


@dataclass
class Referred:
    """What the models of one host refer to: its users and, once that is mapped, its model."""

    users: type
    user_key: sa.Column[Any]
    model_key: sa.Column[int] = field(init=False)


class Registered:
    """Base of the models below, of which :func:`map_models` makes those of one host."""

    __table__: ClassVar[Any]
    _refers_to: ClassVar[Referred]
    _written_by: ClassVar[str]  # the calls that do

    @classmethod
    def _hidden_columns(cls) -> dict[int, sa.Column[Any]]:
        """Return the columns that the table has and the class does not, by their places."""
        return {}

    # SQLAlchemy writes no relationship that is viewonly, so another value would be lost silently.
    @validates("owner", "user", "model")
    def _refuse_another(self, name: str, value: Any) -> Any:
        if value is not getattr(self, name):
            raise _refusal(self)
        return value


def _refusal(row: Registered) -> ConfigError:
    return ConfigError(
        f"registry.{type(row).__name__} is read-only: write with {row._written_by}, and pass "
        "viewonly=True to relationships"
    )


# On the plain class, because a listener for the classes of one host would keep that host for ever.
@sa.event.listens_for(Registered, "before_insert", propagate=True)
@sa.event.listens_for(Registered, "before_delete", propagate=True)
def _refuse(_mapper: Any, _connection: Any, row: Registered) -> None:
    raise _refusal(row)


@sa.event.listens_for(Registered, "before_update", propagate=True)
def _refuse_change(_mapper: Any, _connection: Any, row: Registered) -> None:
    session = object_session(row)
    # SQLAlchemy announces an update of all that was touched, changed or not.
    if session is None or session.is_modified(row):
        raise _refusal(row)


def _to_user(name: str) -> Any:
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


def _to_model() -> Any:
    return declared_attr(lambda _cls: relationship("Model", viewonly=True))


class Model(Registered):
    """An AI model that a user has registered."""

    __tablename__ = f"{NAME}_models"
    _written_by = "registry.create(), update(), transfer() and delete()"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    owner_id: Mapped[Any] = mapped_column(nullable=False)
    model_id: Mapped[str] = mapped_column(ascii_text(255))
    category: Mapped[str] = mapped_column(ascii_text(16))
    model_provider: Mapped[str] = mapped_column(ascii_text(64))
    model_name: Mapped[str] = mapped_column(text(255))
    base_url: Mapped[str | None] = mapped_column(ascii_text(2048))
    temperature: Mapped[float | None] = mapped_column(sa.Double())
    dimension: Mapped[int | None]
    abilities: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True))
    description: Mapped[str | None] = mapped_column(text(4096))
    is_active: Mapped[bool]
    is_shared: Mapped[bool]
    # The model_id while shared with everyone, and unique then: MariaDB has no partial indexes, and
    # Alembic warns of computed columns.
    shared_model_id: Mapped[str | None] = mapped_column(ascii_text(255))
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    credential_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    owner: Mapped[Any] = _to_user("owner_id")

    # So that no query of a host, and nothing that shows all of an object, loads a sealed key.
    __mapper_args__: ClassVar = {"exclude_properties": ["uuid", "ciphertext", "key_id"]}

    @classmethod
    def _hidden_columns(cls) -> dict[int, sa.Column[Any]]:
        """Return what belongs to the API key."""
        return {
            # Random, never changed, never shown: what a sealed key is bound to.
            1: sa.Column("uuid", ascii_text(32), nullable=False),
            18: sa.Column("ciphertext", Blob()),
            19: sa.Column("key_id", ascii_text(255)),
        }

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        # The literal of the queries, or SQLite does not see that the index serves them.
        is_shared = sa.column("is_shared", sa.Boolean()) == sa.true()
        # With these, an index alone is enough to count.
        counted = ("id", "is_active", "category", "model_provider")
        return (
            foreign_key("models_owner", "owner_id", cls._refers_to.user_key),
            # A row that is copied behind our back would take its API key along.
            unique("models_uuid", "uuid"),
            unique("models_owner_model_id", "owner_id", "model_id"),
            unique("models_shared_model_id", "shared_model_id"),
            check(
                "models_shared_model_id",
                "(is_shared AND shared_model_id IS NOT NULL AND shared_model_id = model_id)"
                " OR (NOT is_shared AND shared_model_id IS NULL)",
            ),
            # What each branch of a list runs along, in the order of ids.
            index("models_owner", "owner_id", *counted),
            index("models_shared", "is_shared", *counted, where=is_shared),
            index("models_key", "key_id", "id"),
            {"sqlite_autoincrement": True},  # an id is never used again
        )


class Ability(Registered):
    """An ability of a model, in a table of its own to filter by."""

    __tablename__ = f"{NAME}_abilities"
    _written_by = "registry.update(abilities=...)"

    model_row_id: Mapped[int] = mapped_column(primary_key=True)
    ability: Mapped[str] = mapped_column(ascii_text(64), primary_key=True)

    model: Mapped[Model] = _to_model()

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (
            foreign_key("abilities_model", "model_row_id", cls._refers_to.model_key),
            index("abilities_ability", "ability", "model_row_id"),
        )


class Grant(Registered):
    """A model granted to one user or to one group."""

    __tablename__ = f"{NAME}_grants"
    _written_by = "registry.grant() and revoke()"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model_row_id: Mapped[int]
    user_id: Mapped[Any] = mapped_column(nullable=True)
    group_name: Mapped[str | None] = mapped_column(text(255))
    # The model's own, so that it is found among any number of grants: written with the grant, and
    # when the model is renamed.
    model_id: Mapped[str] = mapped_column(ascii_text(255))
    can_edit: Mapped[bool]
    can_delete: Mapped[bool]

    model: Mapped[Model] = _to_model()
    user: Mapped[Any] = _to_user("user_id")

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (
            foreign_key("grants_model", "model_row_id", cls._refers_to.model_key),
            foreign_key("grants_user", "user_id", cls._refers_to.user_key),
            check("grants_one_grantee", "(user_id IS NULL) <> (group_name IS NULL)"),
            unique("grants_user_model", "user_id", "model_row_id"),
            unique("grants_group_model", "group_name", "model_row_id"),
            index("grants_model", "model_row_id"),
            # The model_id first, or databases take these for lists, which they cannot order.
            index("grants_model_id_user", "model_id", "user_id", "model_row_id"),
            index("grants_model_id_group", "model_id", "group_name", "model_row_id"),
            {"sqlite_autoincrement": True},
        )


class Default(Registered):
    """The model that a user has chosen for a kind of work."""

    __tablename__ = f"{NAME}_defaults"
    _written_by = "registry.set_default()"

    user_id: Mapped[Any] = mapped_column(primary_key=True)
    config_type: Mapped[str] = mapped_column(ascii_text(32), primary_key=True)
    model_row_id: Mapped[int]

    model: Mapped[Model] = _to_model()
    user: Mapped[Any] = _to_user("user_id")

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (
            foreign_key("defaults_user", "user_id", cls._refers_to.user_key),
            foreign_key("defaults_model", "model_row_id", cls._refers_to.model_key),
            index("defaults_model", "model_row_id"),
        )


class AppDefault(Registered):
    """The model that the app has chosen for a kind of work.

    It has a table of its own, so that each kind of default has a primary key without NULL.
    """

    __tablename__ = f"{NAME}_app_defaults"
    _written_by = 'registry.set_default(..., scope="app")'

    config_type: Mapped[str] = mapped_column(ascii_text(32), primary_key=True)
    model_row_id: Mapped[int]

    model: Mapped[Model] = _to_model()

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (
            foreign_key("app_defaults_model", "model_row_id", cls._refers_to.model_key),
            index("app_defaults_model", "model_row_id"),
        )


@dataclass(frozen=True)
class Models:
    """The models, mapped for one host."""

    model: type[Model]
    ability: type[Ability]
    grant: type[Grant]
    default: type[Default]
    app_default: type[AppDefault]


def map_models(users: type, key: sa.Column[Any]) -> Models:
    """Map the models beside a host's users; does not configure the host's mappers.

    Args:
        key: The primary key of the users.
    """

    class Base(Registered, DeclarativeBase):
        metadata = key.table.metadata
        type_annotation_map: ClassVar = {Any: sa.types.NullType()}  # foreign keys give the type
        _refers_to = Referred(users, key)

        @classmethod
        def __table_cls__(
            cls, name: str, metadata: sa.MetaData, *items: Any, **options: Any
        ) -> sa.Table:
            columns_and_more = [*items]
            for place, column in cls._hidden_columns().items():
                columns_and_more.insert(place, column)
            primary = sa.PrimaryKeyConstraint(name=final(f"pk_{name.removeprefix(f'{NAME}_')}"))
            options |= options_like(key.table)
            return sa.Table(name, metadata, *columns_and_more, primary, **options)

    def mapped(model: Any) -> Any:
        return type(model.__name__, (model, Base), {"__doc__": model.__doc__})

    model = mapped(Model)
    Base._refers_to.model_key = model.__table__.c.id
    return Models(model, *map(mapped, (Ability, Grant, Default, AppDefault)))
