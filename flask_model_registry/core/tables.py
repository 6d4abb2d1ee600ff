"""The tables, declared on the host's own metadata with foreign keys to its users."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import conv

from ..errors import ConfigError

_NAME = "model_registry"
MAX_ID = 2**31 - 1


@dataclass(frozen=True)
class Tables:
    """The five tables of a registry, and the column that identifies the host's users."""

    user_key: sa.Column[Any]
    models: sa.Table
    abilities: sa.Table
    grants: sa.Table
    defaults: sa.Table
    app_defaults: sa.Table

    @cached_property
    def user_with_key(self) -> sa.Select[Any]:
        """The statement that finds the user with this key."""
        key = self.user_key
        return sa.select(key).where(key == sa.bindparam("user", type_=key.type))

    def by_model(self) -> list[tuple[sa.Table, sa.Column[int]]]:
        """Return each table with the column that holds a model's id; the models' own last."""
        others = (self.abilities, self.grants, self.defaults, self.app_defaults)
        return [*((each, each.c.model_row_id) for each in others), (self.models, self.models.c.id)]


def declare_tables(user_model: type) -> Tables:
    """Declare the tables beside the user's, or return those declared before.

    Raises:
        ConfigError: The class is not mapped, has a key of several columns, or another class
            with the same metadata has a registry already.
    """
    user_key = _user_key(user_model)
    metadata = user_key.table.metadata
    known: Tables | None = metadata.info.get(_NAME)
    if known is None:
        known = metadata.info[_NAME] = _Declaration(user_key).tables()
    if known.user_key is not user_key:
        raise ConfigError(
            f"these tables already belong to the users of '{known.user_key.table.name}'; "
            "one metadata holds one registry"
        )
    return known


def _user_key(user_model: type) -> sa.Column[Any]:
    # This inspection does not configure mappers: the host may declare more classes yet.
    mapper: sa.orm.Mapper[Any] | None = sa.inspect(user_model, raiseerr=False)
    if mapper is None:
        raise ConfigError(f"{user_model!r} is no mapped class; give the class of your users")
    key = mapper.primary_key
    if len(key) != 1 or not isinstance(key[0], sa.Column):
        raise ConfigError(f"{user_model.__name__} needs a primary key of one column")
    return key[0]


# MySQL and MariaDB compare without regard to case, accents and trailing blanks unless told not to.
def _ascii(length: int) -> sa.types.TypeEngine[str]:
    binary = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def _text(length: int) -> sa.types.TypeEngine[str]:
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def _moment() -> sa.types.TypeEngine[Any]:
    """UTC without a zone, to the microsecond: the one form all three databases keep alike."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


class _Blob(sa.types.TypeDecorator[bytes]):
    """Bytes. SQLite keeps values of any type in any column; what is no blob is no sealed key."""

    impl = sa.LargeBinary
    cache_ok = True
    # By this and its repr, Alembic writes sa.LargeBinary(): it imports no types but SQLAlchemy's.
    __module__ = sa.LargeBinary.__module__
    # SQLAlchemy 2.0.35 would make one at run time, which cannot be pickled.
    comparator_factory = sa.types.TypeDecorator.Comparator

    def __repr__(self) -> str:
        return "LargeBinary()"

    def __reduce__(self) -> Any:  # pickle would look for the class in that module
        return _blob, ()

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:  # noqa: ARG002
        """Return what makes bytes of what the driver returns."""

        def process(value: Any) -> bytes | None:
            is_blob = isinstance(value, (bytes, bytearray, memoryview))
            return bytes(value) if is_blob else None if value is None else b""

        return process


def _blob() -> sa.types.TypeEngine[bytes]:
    return _Blob()


class _Declaration:
    """Declares each table, every constraint and index with its full name.

    The host's naming convention does not apply to names marked as final with ``conv``.
    """

    def __init__(self, user_key: sa.Column[Any]) -> None:
        self.user_key = user_key
        self.metadata = user_key.table.metadata
        # A foreign key to text needs the same engine, charset and collation on MySQL.
        options = ("engine", "charset", "default_charset", "collate")
        self.options: dict[str, Any] = {
            name: value
            for name, value in user_key.table.kwargs.items()
            if name.partition("_")[0] in {"mysql", "mariadb"} and name.partition("_")[2] in options
        }

    def tables(self) -> Tables:
        models = self.models()
        return Tables(
            self.user_key,
            models,
            self.abilities(models),
            self.grants(models),
            self.defaults(models),
            self.app_defaults(models),
        )

    def models(self) -> sa.Table:
        return self._table(
            "models",
            self._id(),
            # Random, never changed, never shown: what a sealed key is bound to.
            sa.Column("uuid", _ascii(32), nullable=False),
            self._user("owner_id", "models_owner", nullable=False),
            sa.Column("model_id", _ascii(255), nullable=False),
            sa.Column("category", _ascii(16), nullable=False),
            sa.Column("model_provider", _ascii(64), nullable=False),
            sa.Column("model_name", _text(255), nullable=False),
            sa.Column("base_url", _ascii(2048)),
            sa.Column("temperature", sa.Double()),
            sa.Column("dimension", sa.Integer()),
            sa.Column("abilities", sa.JSON(none_as_null=True)),
            sa.Column("description", _text(4096)),
            sa.Column("is_active", sa.Boolean(), nullable=False),
            sa.Column("is_shared", sa.Boolean(), nullable=False),
            # The model_id while shared with everybody, and unique then: MariaDB has no partial
            # indexes, and Alembic warns of computed columns.
            sa.Column("shared_model_id", _ascii(255)),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.Column("created_at", _moment(), nullable=False),
            sa.Column("updated_at", _moment()),
            sa.Column("ciphertext", _blob()),
            sa.Column("key_id", _ascii(255)),
            sa.Column("credential_updated_at", _moment()),
            *_model_constraints(),
            *_model_indexes(),
            sqlite_autoincrement=True,  # an id is never used again
        )

    def abilities(self, models: sa.Table) -> sa.Table:
        return self._table(
            "abilities",
            self._model(models, "abilities", primary_key=True),
            sa.Column("ability", _ascii(64), primary_key=True),
            _index("abilities_ability", "ability", "model_row_id"),
        )

    def grants(self, models: sa.Table) -> sa.Table:
        """Declare grants to one user or to one group each."""
        return self._table(
            "grants",
            self._id(),
            self._model(models, "grants"),
            self._user("user_id", "grants_user"),
            sa.Column("group_name", _text(255)),
            # The model's own, so that it is found among any number of grants: written with the
            # grant, and when the model is renamed.
            sa.Column("model_id", _ascii(255), nullable=False),
            sa.Column("can_edit", sa.Boolean(), nullable=False),
            sa.Column("can_delete", sa.Boolean(), nullable=False),
            _check("grants_one_grantee", "(user_id IS NULL) <> (group_name IS NULL)"),
            _unique("grants_user_model", "user_id", "model_row_id"),
            _unique("grants_group_model", "group_name", "model_row_id"),
            _index("grants_model", "model_row_id"),
            # The model_id first, or databases take these for lists, which they cannot order.
            _index("grants_model_id_user", "model_id", "user_id", "model_row_id"),
            _index("grants_model_id_group", "model_id", "group_name", "model_row_id"),
            sqlite_autoincrement=True,
        )

    def defaults(self, models: sa.Table) -> sa.Table:
        return self._table(
            "defaults",
            self._user("user_id", "defaults_user", primary_key=True),
            sa.Column("config_type", _ascii(32), primary_key=True),
            self._model(models, "defaults"),
            _index("defaults_model", "model_row_id"),
        )

    def app_defaults(self, models: sa.Table) -> sa.Table:
        """Declare a table of its own, so that each kind of default has a key without NULL."""
        return self._table(
            "app_defaults",
            sa.Column("config_type", _ascii(32), primary_key=True),
            self._model(models, "app_defaults"),
            _index("app_defaults_model", "model_row_id"),
        )

    def _table(self, name: str, *items: sa.schema.SchemaItem, **options: Any) -> sa.Table:
        primary = sa.PrimaryKeyConstraint(name=conv(f"{_NAME}_pk_{name}"))
        return sa.Table(
            f"{_NAME}_{name}", self.metadata, *items, primary, **self.options, **options
        )

    def _id(self) -> sa.Column[int]:
        return sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True)

    def _user(self, name: str, key: str, **options: Any) -> sa.Column[Any]:
        return sa.Column(name, _foreign_key(self.user_key, key), **options)

    def _model(self, models: sa.Table, key: str, **options: Any) -> sa.Column[int]:
        options.setdefault("nullable", False)
        return sa.Column("model_row_id", _foreign_key(models.c.id, f"{key}_model"), **options)


def _foreign_key(column: sa.Column[Any], name: str) -> sa.ForeignKey:
    return sa.ForeignKey(column, name=conv(f"{_NAME}_fk_{name}"), ondelete="CASCADE")


def _unique(name: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=conv(f"{_NAME}_uq_{name}"))


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=conv(f"{_NAME}_ck_{name}"))


def _index(name: str, *columns: str, **options: Any) -> sa.Index:
    return sa.Index(conv(f"{_NAME}_ix_{name}"), *columns, **options)


def _model_constraints() -> list[sa.Constraint]:
    return [
        _unique("models_owner_model_id", "owner_id", "model_id"),
        _unique("models_shared_model_id", "shared_model_id"),
        _check(
            "models_shared_model_id",
            "(is_shared AND shared_model_id IS NOT NULL AND shared_model_id = model_id)"
            " OR (NOT is_shared AND shared_model_id IS NULL)",
        ),
    ]


def _model_indexes() -> list[sa.Index]:
    """Return the indexes that each list branch runs along, in the order of ids.

    The other columns let counts be answered from the index alone.
    """
    counted = ("id", "is_active", "category", "model_provider")
    # The literal must be the one the queries use, or SQLite does not see that they match.
    only_shared = sa.column("is_shared", sa.Boolean()) == sa.true()
    return [
        _index("models_owner", "owner_id", *counted),
        _index(
            "models_shared",
            "is_shared",
            *counted,
            postgresql_where=only_shared,
            sqlite_where=only_shared,
        ),
        _index("models_key", "key_id", "id"),
    ]
