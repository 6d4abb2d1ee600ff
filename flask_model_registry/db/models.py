"""SQLAlchemy models of the registry's tables, mapped for each host along with its users.

They are on the users' metadata, so that ``db.create_all()`` and Alembic see the tables. They have
their own class registry, so that a host may have a ``Model`` too. Objects are read-only, because
writes go through the registry, which checks the rules and sends the signals.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    declared_attr,
    mapped_column,
    relationship,
)

from ..schemas.limits import MAX_SEARCH_TEXT_LENGTH
from .columns import (
    NAME,
    UtcDateTime,
    ascii_text,
    check,
    clearing_key,
    final,
    foreign_key,
    index,
    options_like,
    text,
    unique,
)
from .registered import SECRET_COLUMNS, Referred, Registered, secret_columns, to_user


def _to_model() -> Any:
    return declared_attr(lambda _cls: relationship("Model", viewonly=True))


class Credential(Registered):
    """An account at a provider, which several models of its owner may use."""

    __tablename__ = f"{NAME}_credentials"
    _written_by = "registry.create_credential(), update_credential() and delete_credential()"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    owner_id: Mapped[Any] = mapped_column(nullable=False)
    name: Mapped[str] = mapped_column(text(100))
    model_provider: Mapped[str] = mapped_column(ascii_text(64))
    base_url: Mapped[str | None] = mapped_column(ascii_text(2048))
    kind: Mapped[str] = mapped_column(ascii_text(16))
    settings: Mapped[dict[str, str]] = mapped_column(sa.JSON())
    # The names in the encrypted secret, which can be shown without decrypting it.
    secret_names: Mapped[dict[str, list[str]]] = mapped_column(sa.JSON())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    secret_updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # The name of the secret for the host's secret_source. Then no secret is stored here.
    reference: Mapped[str | None] = mapped_column(text(255))

    owner: Mapped[Any] = to_user("owner_id")

    __mapper_args__: ClassVar = {"exclude_properties": SECRET_COLUMNS}

    @classmethod
    def _hidden_columns(cls) -> dict[int, sa.Column[Any]]:
        """Return the columns of the secret."""
        return secret_columns(9)

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (
            foreign_key("credentials_owner", "owner_id", cls._refers_to.user_key),
            unique("credentials_uuid", "uuid"),
            unique("credentials_owner_name", "owner_id", "name"),
            check("credentials_one_secret", "ciphertext IS NULL OR reference IS NULL"),
            index("credentials_owner", "owner_id", "id"),
            index("credentials_key", "key_id", "id"),
            {"sqlite_autoincrement": True},  # an id is never used again
        )


class Model(Registered):
    """An AI model that a user has registered."""

    __tablename__ = f"{NAME}_models"
    _written_by = "registry.create(), update(), transfer() and delete()"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    owner_id: Mapped[Any] = mapped_column(nullable=False)
    model_id: Mapped[str] = mapped_column(text(255))
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
    # The model_id while the model is shared with everyone, or else NULL, so that it can be unique.
    # MariaDB has no partial indexes, and Alembic warns about computed columns.
    shared_model_id: Mapped[str | None] = mapped_column(text(255))
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    credential_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The owner's credential that the model is called with, if it has no API key of its own. No
    # CHECK ensures that, because MariaDB refuses one with ON DELETE SET NULL (error 1901).
    credential_id: Mapped[int | None]
    # Parameters for the body of each call, and facts that are never sent.
    parameters: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    info: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    # The last test of the model in its present state.
    test_result: Mapped[str | None] = mapped_column(ascii_text(32))
    test_latency_ms: Mapped[int | None]
    tested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    owner: Mapped[Any] = to_user("owner_id")

    __mapper_args__: ClassVar = {"exclude_properties": [*SECRET_COLUMNS, "search_text"]}

    @classmethod
    def _hidden_columns(cls) -> dict[int, sa.Column[Any]]:
        """Return the columns of the API key, and those that only a search reads."""
        # Like the abilities, this is derived from other columns. NULL in rows of 0.1.0.
        search_text = sa.Column("search_text", text(MAX_SEARCH_TEXT_LENGTH))
        return {**secret_columns(18), 27: search_text}

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        # The same literal as in the queries, or SQLite doesn't see that it can use the index.
        is_shared = sa.column("is_shared", sa.Boolean()) == sa.true()
        # With these, an index alone is enough to count.
        counted = ("id", "is_active", "category", "model_provider")
        return (
            foreign_key("models_owner", "owner_id", cls._refers_to.user_key),
            clearing_key("models_credential", "credential_id", cls._refers_to.credential_key),
            # So that a row copied in SQL can't keep its API key.
            unique("models_uuid", "uuid"),
            unique("models_owner_model_id", "owner_id", "model_id"),
            unique("models_shared_model_id", "shared_model_id"),
            check(
                "models_shared_model_id",
                "(is_shared AND shared_model_id IS NOT NULL AND shared_model_id = model_id)"
                " OR (NOT is_shared AND shared_model_id IS NULL)",
            ),
            # Each branch of a list reads one of these, in the order of ids.
            index("models_owner", "owner_id", *counted),
            index("models_shared", "is_shared", *counted, where=is_shared),
            index("models_key", "key_id", "id"),
            index("models_credential", "credential_id", "id"),
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
    # A copy of the model's own, by which a lookup finds one among any number of grants. It is
    # written with the grant, and when the model is renamed.
    model_id: Mapped[str] = mapped_column(text(255))
    can_edit: Mapped[bool]
    can_delete: Mapped[bool]

    model: Mapped[Model] = _to_model()
    user: Mapped[Any] = to_user("user_id")

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805
        return (
            foreign_key("grants_model", "model_row_id", cls._refers_to.model_key),
            foreign_key("grants_user", "user_id", cls._refers_to.user_key),
            check("grants_one_grantee", "(user_id IS NULL) <> (group_name IS NULL)"),
            unique("grants_user_model", "user_id", "model_row_id"),
            unique("grants_group_model", "group_name", "model_row_id"),
            index("grants_model", "model_row_id"),
            # The model_id comes first. Otherwise databases would use these indexes for lists, which
            # aren't in this order.
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
    user: Mapped[Any] = to_user("user_id")

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
    credential: type[Credential]


def map_models(users: type, key: sa.Column[Any]) -> Models:
    """Map the models for a host, without configuring the host's mappers.

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

    # In this order, because each class refers to those before it.
    credential = mapped(Credential)
    Base._refers_to.credential_key = credential.__table__.c.id
    model = mapped(Model)
    Base._refers_to.model_key = model.__table__.c.id
    ability, grant, default, app_default = map(mapped, (Ability, Grant, Default, AppDefault))
    return Models(model, ability, grant, default, app_default, credential)
