"""Grants: what owners let other users, and groups of users, do with a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import ConflictError, ForbiddenError, NotFoundError, ValidationError
from ..text import is_name
from . import signals
from .access import Action
from .users import Person, find_user
from .writing import upsert

if TYPE_CHECKING:
    from .access import Actor
    from .defaults import Defaults
    from .ports import Actors
    from .rows import Held, Rows, Target


class Grants:
    """The grants of one registry in one app; a grantee is a person, or the name of a group."""

    def __init__(self, rows: Rows, defaults: Defaults, actors: Actors) -> None:
        self._rows = rows
        self._defaults = defaults
        self._actors = actors
        self._access = rows.queries.access
        self._tables = rows.queries.access.tables

    def list(self, actor: Actor, ref: int | str) -> dict[str, Any]:
        """Return all grants of a model, to its owner."""
        model = self._rows.one(self._rows.queries.one, actor, ref)
        if not model.is_owner:
            raise ForbiddenError("Only the owner may do this.")
        grants = sa.select(self._tables.grants).filter_by(model_row_id=model.id)
        rows = self._rows.connect().execute(grants.order_by("id")).mappings().all()
        users = [_shown(row) for row in rows if row["group_name"] is None]
        return {"users": users, "groups": [_shown(row) for row in rows if row["user_id"] is None]}

    def put(
        self, actor: Actor, target: Target, grantee: Person | str, rights: dict[str, bool]
    ) -> tuple[dict[str, Any], bool]:
        """Grant a model, or change the grant; return it, and whether it is new."""
        with self._rows.held(actor, target, Action.OWN) as held:
            key = self._key(held, grantee)
            if key.get("user_id") == held.row["owner_id"]:
                raise ConflictError("The owner of a model needs no grant.")
            if "user_id" in key:
                self._actors.check_recipient(key["user_id"])
            # Only for the answer: on MariaDB this may not see what was written a moment ago.
            known = sa.select(self._tables.grants.c.id).filter_by(**key)
            is_new = held.connection.execute(known).first() is None
            values = {**rights, "model_id": held.row["model_id"]}
            upsert(held.connection, self._tables.grants, key, values)
        self._rows.announce(signals.granted, actor, held.row, **_named(key), **rights)
        return _shown({**key, **rights}), is_new

    def remove(self, actor: Actor, target: Target, grantee: Person | str) -> None:
        """Take a grant back, and the defaults that rest on it.

        Raises:
            NotFoundError: There is no such grant.
        """
        with self._rows.held(actor, target, Action.OWN) as held:
            key = self._key(held, grantee)
            grant = sa.delete(self._tables.grants).filter_by(**key)
            if not held.connection.execute(grant).rowcount:
                raise NotFoundError("There is no such grant.")
            self._defaults.forget_blind(held)
        self._rows.announce(signals.revoked, actor, held.row, **_named(key))

    def _key(self, held: Held, grantee: Person | str) -> dict[str, Any]:
        """Return the columns that identify the grant."""
        if isinstance(grantee, Person):
            user = find_user(held.connection, self._tables, grantee)
            return {"user_id": user, "model_row_id": held.row["id"]}
        if not self._access.has_groups:
            raise NotFoundError("This app has no groups.")
        if not is_name(grantee):
            raise ValidationError([("group", "Must be a name of 1 to 255 characters.")])
        return {"group_name": grantee, "model_row_id": held.row["id"]}


def _named(grant: Any) -> dict[str, Any]:
    """Return the grantee, under the name for its kind."""
    if grant.get("group_name") is not None:
        return {"group": grant["group_name"]}
    return {"user": grant["user_id"]}


def _shown(grant: Any) -> dict[str, Any]:
    ((kind, value),) = _named(grant).items()
    rights = {name: grant[name] for name in ("can_edit", "can_delete")}
    return {kind: str(value), **rights}
