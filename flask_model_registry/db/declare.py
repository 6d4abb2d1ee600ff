"""The tables, declared on the host's own metadata with foreign keys to its users."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm.exc import UnmappedClassError

from ..errors import ConfigError
from .columns import NAME
from .models import Models, map_models

_NAMES = {
    f"{NAME}_{each}" for each in "models abilities grants defaults app_defaults credentials".split()
}


@dataclass(frozen=True)
class Tables:
    """The six tables of a registry, and the column that identifies the host's users."""

    user_key: sa.Column[Any]
    models: sa.Table
    abilities: sa.Table
    grants: sa.Table
    defaults: sa.Table
    app_defaults: sa.Table
    credentials: sa.Table

    @classmethod
    def of(cls, user_key: sa.Column[Any], models: Models) -> Tables:
        """Return the tables of mapped models."""
        mapped = (models.model, models.ability, models.grant, models.default, models.app_default)
        return cls(user_key, *(each.__table__ for each in (*mapped, models.credential)))

    @cached_property
    def user_with_key(self) -> sa.Select[Any]:
        """The statement that finds the user with this key."""
        key = self.user_key
        return sa.select(key).where(key == sa.bindparam("user", type_=key.type))

    @cached_property
    def change_of_model(self) -> sa.Update:
        """The statement that changes the model with this id, if it still has this version."""
        model = self.models.c
        return sa.update(self.models).where(
            model.id == sa.bindparam("row_id"), model.version == sa.bindparam("the_version")
        )

    def by_model(self) -> list[tuple[sa.Table, sa.Column[int]]]:
        """Return each table with the column that holds a model's id, the models' table last."""
        others = (self.abilities, self.grants, self.defaults, self.app_defaults)
        return [*((each, each.c.model_row_id) for each in others), (self.models, self.models.c.id)]

    def all(self) -> list[sa.Table]:
        """Return all tables, each before those that it refers to."""
        return [*(table for table, _ in self.by_model()), self.credentials]


def declare_tables(user_model: type) -> tuple[Tables, Models]:
    """Declare and map the tables on the users' metadata, or return what was declared before.

    Raises:
        ConfigError: The class is not mapped or has a primary key of several columns, or another
            class with the same metadata has a registry already.
    """
    user_key = _user_key(user_model)
    metadata = user_key.table.metadata
    if NAME not in metadata.info:
        _forget_reflected(metadata, user_key)
        models = map_models(user_model, user_key)
        metadata.info[NAME] = Tables.of(user_key, models), models
    declared: tuple[Tables, Models] = metadata.info[NAME]
    known_key = declared[0].user_key
    if known_key is not user_key:
        raise ConfigError(
            f"these tables already belong to the users of '{known_key.table.name}'; "
            "one metadata holds one registry"
        )
    return declared


def _user_key(user_model: type) -> sa.Column[Any]:
    # This inspection does not configure mappers, because the host may declare more classes.
    mapper: sa.orm.Mapper[Any] | None = None
    with suppress(UnmappedClassError):  # raised for an AbstractConcreteBase that isn't mapped yet
        mapper = sa.inspect(user_model, raiseerr=False)
    if mapper is None:
        hint = "pass the class of your users"
        if hasattr(user_model, "prepare"):  # as in DeferredReflection, automap or a concrete base
            hint = "it is mapped by prepare(), so call ModelRegistry after that"
        raise ConfigError(f"{user_model!r} is not a mapped class; {hint}")
    if isinstance(mapper.local_table, (sa.Subquery, sa.Alias, sa.CTE, sa.CompoundSelect)):
        raise ConfigError(
            f"{user_model.__name__} is mapped to a query, but foreign keys need a table; "
            "pass the class that is mapped to the table of your users"
        )
    key = mapper.primary_key
    # An AbstractConcreteBase has no table; several users of its union may have the same key.
    if len(key) != 1 or not isinstance(key[0], sa.Column) or not isinstance(key[0].table, sa.Table):
        raise ConfigError(f"{user_model.__name__} needs a primary key of one column")
    if isinstance(key[0].type, (sa.LargeBinary, sa.BINARY, sa.VARBINARY)):
        raise ConfigError(
            f"{key[0]} holds bytes, but URLs identify users by strings; give the column a type "
            "whose Python values are UUIDs, strings or integers, such as a TypeDecorator"
        )
    return key[0]


def _forget_reflected(metadata: sa.MetaData, user_key: sa.Column[Any]) -> None:
    """Remove tables from the metadata that ``reflect()`` or automap found in the database.

    Databases don't report everything about a table, so the registry declares its tables itself.
    """
    named = [each for each in metadata.tables.values() if each.name in _NAMES]
    ours = [each for each in named if each.schema == metadata.schema]
    if any(each.name == f"{NAME}_models" and "uuid" not in each.c for each in ours):
        raise ConfigError(f"your metadata has a table '{NAME}_models' of your own; rename it")
    users = f"{user_key.table.fullname}.{user_key.name}"
    for table in named:
        if table not in ours and any(key.target_fullname == users for key in table.foreign_keys):
            raise ConfigError(
                f"your metadata has reflected the registry's tables from the schema "
                f"{table.schema!r}, but that isn't the metadata's own schema; reflect into "
                f"MetaData(schema={table.schema!r})"
            )
    for table in ours:
        metadata.remove(table)
