"""Grants: what other users and groups may do with an owner's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import signals
from ..db.representation import ACCESS_FLAGS
from ..db.session import upsert
from ..db.users import Person, find_user
from ..errors import NotFoundError, ValidationError
from ..policy import Action, check_allowed, check_grantee, check_revocation
from ..text import is_name

if TYPE_CHECKING:
    from .. import types
    from ..policy import Actor
    from ..users import Users
    from .defaults import Defaults
    from .rows import LockedModel, ResourceRef, Rows


class Grants:
    """The grants of one registry in one app; a grantee is a person, or the name of a group."""

    def __init__(self, rows: Rows, defaults: Defaults, users: Users) -> None:
        self._rows = rows
        self._defaults = defaults
        self._users = users
        self._access = rows.queries.access
        self._tables = rows.queries.access.tables

    def list(self, actor: Actor, ref: int | str) -> types.Grants:
        """Return all grants of a model, to its owner."""
        model = self._rows.find_model(self._rows.queries.one, actor, ref)
        actions = {action for name, action in ACCESS_FLAGS.items() if getattr(model, name)}
        check_allowed(Action.SHARE, {Action.USE, *actions})
        grants = sa.select(self._tables.grants).filter_by(model_row_id=model.id)
        rows = self._rows.connect().execute(grants.order_by("id")).mappings().all()
        users = [_to_dict(row) for row in rows if row["group_name"] is None]
        return {"users": users, "groups": [_to_dict(row) for row in rows if row["user_id"] is None]}

    def set_grant(
        self, actor: Actor, target: ResourceRef, grantee: Person | str, rights: dict[str, bool]
    ) -> tuple[types.UserGrant | types.GroupGrant, bool]:
        """Grant a model, or change the grant; return it, and whether it is new."""
        with self._rows.lock_model(actor, target, Action.SHARE) as locked:
            key = self._key(locked, grantee)
            if "user_id" in key:
                check_grantee(locked.row, key["user_id"])
                self._users.check_recipient(key["user_id"], locked.row["owner_id"])
            else:
                self._users.check_group(key["group_name"], locked.row["owner_id"])
            # Only for the response, because on MariaDB this may miss a very recent write.
            known = sa.select(self._tables.grants.c.id).filter_by(**key)
            is_new = locked.connection.execute(known).first() is None
            values = {**rights, "model_id": locked.row["model_id"]}
            upsert(locked.connection, self._tables.grants, key, values)
        self._rows.send_signal(signals.granted, actor, locked.row, **_grantee(key), **rights)
        return _to_dict({**key, **rights}), is_new

    def revoke(self, actor: Actor, target: ResourceRef, grantee: Person | str) -> None:
        """Revoke a grant, or decline the actor's own, and remove the defaults that need it.

        Raises:
            NotFoundError: There is no such grant.
            ForbiddenError: The actor is neither the owner nor the grantee.
        """
        with self._rows.lock_model(actor, target, Action.USE) as locked:
            is_own = isinstance(grantee, Person) and grantee.has_key(actor.key)
            check_revocation(locked.actions, is_own=is_own)
            key = self._key_of_grant(locked, grantee)
            grant = sa.delete(self._tables.grants).filter_by(**key)
            if not locked.connection.execute(grant).rowcount:
                raise NotFoundError("There is no such grant.")
            if locked.is_owner:
                self._defaults.clear_invisible(locked)
            else:
                self._defaults.clear_declined(locked)
        self._rows.send_signal(signals.revoked, actor, locked.row, **_grantee(key))

    def _key_of_grant(self, locked: LockedModel, grantee: Person | str) -> dict[str, Any]:
        try:
            return self._key(locked, grantee)
        except NotFoundError:  # the same error, so that owners don't learn which users exist
            raise NotFoundError("There is no such grant.") from None

    def _key(self, locked: LockedModel, grantee: Person | str) -> dict[str, Any]:
        """Return the columns that identify the grant."""
        if isinstance(grantee, Person):
            user = locked.actor.key
            if not grantee.has_key(user):
                user = find_user(locked.connection, self._tables, grantee)
            return {"user_id": user, "model_row_id": locked.row["id"]}
        if not self._access.has_groups:
            raise NotFoundError("This app has no groups.")
        if not is_name(grantee):
            raise ValidationError([("group", "Must be a name of 1 to 255 characters.")])
        return {"group_name": grantee, "model_row_id": locked.row["id"]}


def _grantee(grant: Any) -> dict[str, Any]:
    """Return the grantee, under the key ``user`` or ``group``."""
    if grant.get("group_name") is not None:
        return {"group": grant["group_name"]}
    return {"user": grant["user_id"]}


def _to_dict(grant: Any) -> Any:
    rights = {"can_edit": grant["can_edit"], "can_delete": grant["can_delete"]}
    if grant.get("group_name") is not None:
        return {"group": grant["group_name"], **rights}
    return {"user": str(grant["user_id"]), **rights}
