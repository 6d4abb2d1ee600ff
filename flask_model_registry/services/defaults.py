"""Defaults: the model that a user, or the whole app, has chosen for a kind of work."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import signals
from ..db.access import parameters_of
from ..db.columns import readable
from ..db.representation import to_dict
from ..db.session import upsert
from ..errors import ConflictError, NotFoundError, ValidationError
from ..policy import Action, allowed_actions, check_default, check_defaults_cleared, check_sharing
from ..schemas.categories import CONFIG_TYPES
from .account_secrets import with_credential

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..policy import Actor
    from .encryption import CredentialService
    from .resolved_model import ResolvedModel
    from .rows import LockedModel, ResourceRef, Rows

_SOURCES = ("user", "app")  # the nearer one first


@dataclass(frozen=True)
class Default:
    """A default of a user or of the app, and what is needed to call its model."""

    config_type: str
    source: str
    row: Mapping[Any, Any]
    resolved: ResolvedModel

    def shown(self) -> dict[str, Any]:
        """Return the default as plain data."""
        model = to_dict(self.row.values())
        return {"config_type": self.config_type, "source": self.source, "model": model}


class Defaults:
    """The defaults of one registry in one app."""

    def __init__(self, rows: Rows, credentials: CredentialService) -> None:
        self._rows = rows
        self._credentials = credentials
        self._tables = rows.queries.access.tables
        self._statement = readable(rows.queries.defaults())

    def list(self, actor: Actor, *, scope: str) -> list[dict[str, Any]]:
        """Return the defaults that apply to the actor. Scope ``app`` leaves out the actor's own."""
        return [default.shown() for default in self._effective(actor, tuple(CONFIG_TYPES), scope)]

    def get(self, actor: Actor, config_type: str, *, scope: str) -> dict[str, Any]:
        """Return the default that applies to the actor; scope ``app`` leaves out their own."""
        return self._find(actor, config_type, scope).shown()

    def resolve(self, actor: Actor, config_type: str) -> ResolvedModel:
        """Return what is needed to call the default model."""
        default = self._find(actor, config_type, "user")
        self._rows.send_signal(signals.resolved, actor, default.row)
        return default.resolved

    def set(
        self, actor: Actor, config_type: str, target: ResourceRef, *, scope: str
    ) -> dict[str, Any]:
        """Choose a model for the actor or, with scope ``app``, for all users."""
        table, owner = self._table_and_owner(actor, config_type, scope)
        # Locked, so that no other request deletes or un-shares it in the meantime.
        with self._rows.lock_model(actor, target, Action.USE, shared=True) as locked:
            check_default(locked.row, category=CONFIG_TYPES[config_type], scope=scope)
            key = {**owner, "config_type": config_type}
            upsert(locked.connection, table, key, {"model_row_id": locked.row["id"]})
        self._rows.send_signal(
            signals.default_changed, actor, locked.row, config_type=config_type, scope=scope
        )
        model = locked.shown().representation
        return {"config_type": config_type, "source": scope, "model": model}

    def clear(self, actor: Actor, config_type: str, *, scope: str) -> None:
        """Clear a default.

        Raises:
            NotFoundError: No default was set.
        """
        table, owner = self._table_and_owner(actor, config_type, scope)
        key = {**owner, "config_type": config_type}
        with self._rows.write_transaction(actor.key) as connection:
            if not connection.execute(sa.delete(table).filter_by(**key)).rowcount:
                raise NotFoundError
        self._rows.send_signal(signals.default_changed, actor, config_type=config_type, scope=scope)

    def check_not_own_default(self, locked: LockedModel) -> None:
        """Refuse to remove a model that its owner has chosen as a default."""
        defaults = self._tables.defaults.c
        chosen = sa.select(defaults.config_type).where(
            defaults.model_row_id == locked.row["id"], defaults.user_id == locked.actor.key
        )
        if locked.is_owner:
            types = locked.connection.scalars(chosen.with_for_update(read=True)).all()
            check_defaults_cleared(locked.actions, types)

    def clear_all(self, locked: LockedModel) -> None:
        """Remove all defaults that point to this model."""
        for table in (self._tables.defaults, self._tables.app_defaults):
            locked.connection.execute(sa.delete(table).filter_by(model_row_id=locked.row["id"]))

    def clear_declined(self, locked: LockedModel) -> None:
        """Remove the actor's defaults that point to this model, unless the actor still sees it."""
        others = [grant for grant in locked.grants if grant["user_id"] is None]
        if Action.USE in allowed_actions(locked.actor, locked.row, others):
            return
        own = {"model_row_id": locked.row["id"], "user_id": locked.actor.key}
        locked.connection.execute(sa.delete(self._tables.defaults).filter_by(**own))

    def clear_invisible(self, locked: LockedModel) -> None:
        """Remove this model from the defaults of users who no longer see it."""
        if locked.row["is_shared"]:
            return
        row_id, connection = locked.row["id"], locked.connection
        connection.execute(sa.delete(self._tables.app_defaults).filter_by(model_row_id=row_id))
        defaults, grants = self._tables.defaults, self._tables.grants.c
        # Only the host knows who is in which group. While the model is granted to groups, users'
        # defaults stay, but are skipped if they no longer apply.
        may_see = sa.exists().where(
            grants.model_row_id == row_id,
            grants.group_name.is_not(None) | (grants.user_id == defaults.c.user_id),
        )
        is_owner = defaults.c.user_id == locked.row["owner_id"]
        stale = sa.delete(defaults).filter_by(model_row_id=row_id).where(~is_owner, ~may_see)
        connection.execute(stale)

    def _find(self, actor: Actor, config_type: str, scope: str) -> Default:
        _check_config_type(config_type)
        for default in self._effective(actor, (config_type,), scope):
            return default
        raise NotFoundError("There is no default of this kind that you can use.")

    def _effective(
        self, actor: Actor, config_types: Iterable[str], scope: str
    ) -> Iterator[Default]:
        """Yield the nearest default of each type whose model can be called."""
        parameters = {**parameters_of(actor), "config_types": [*config_types]}
        rows = self._rows.connect().execute(self._statement, parameters).mappings().all()
        for config_type, candidates in groupby(rows, lambda row: row["config_type"]):
            usable = (
                self._usable(config_type, row)
                for row in candidates
                if row["rank"] >= _SOURCES.index(scope)
            )
            default = next(filter(None, usable), None)
            if default:
                yield default

    def _usable(self, config_type: str, row: Mapping[Any, Any]) -> Default | None:
        try:
            if row["credential_id"] is not None:
                row = with_credential(self._rows, row)
            resolved = self._credentials.resolve(row)
        except ConflictError:
            return None
        return Default(config_type, _SOURCES[row["rank"]], row, resolved)

    def _table_and_owner(
        self, actor: Actor, config_type: str, scope: str
    ) -> tuple[sa.Table, dict[str, Any]]:
        _check_config_type(config_type)
        if scope not in _SOURCES:
            raise ValidationError([("scope", f"Must be one of: {', '.join(_SOURCES)}.")])
        if scope == "user":
            return self._tables.defaults, {"user_id": actor.key}
        check_sharing(actor)
        return self._tables.app_defaults, {}


def _check_config_type(config_type: str) -> None:
    if config_type not in tuple(CONFIG_TYPES):  # it may be of any type, even unhashable
        raise NotFoundError(f"Unknown config_type. It must be one of: {', '.join(CONFIG_TYPES)}.")
