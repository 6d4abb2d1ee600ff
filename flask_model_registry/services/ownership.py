"""Who owns a model: giving one away, and what happens when a user leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import signals
from ..db.users import find_user
from ..errors import ModelIdTakenError, ValidationError
from ..policy import Action, Actor, gift
from .rows import LockedModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ..db.users import Person
    from ..users import Users
    from .defaults import Defaults
    from .rows import ModelRef, Rows


class Ownership:
    """The owners of one registry's models in one app."""

    def __init__(
        self, rows: Rows, defaults: Defaults, users: Users, clock: Callable[[], datetime]
    ) -> None:
        self._rows = rows
        self._defaults = defaults
        self._users = users
        self._clock = clock
        self._access = rows.queries.access
        self._tables = rows.queries.access.tables
        gone = sa.bindparam("gone", type_=self._tables.user_key.type)
        self._owned = (
            sa.select(self._tables.models)
            .where(self._tables.models.c.owner_id == gone)
            .order_by(self._tables.models.c.id)
            .with_for_update()
        )

    def transfer(
        self,
        actor: Actor,
        target: ModelRef,
        to: Person,
        *,
        keep_grants: bool = False,
        keep_active: bool = False,
    ) -> None:
        """Give a model away: without its grants, and switched off; it stays shared.

        Raises:
            NotFoundError: There is no such model or user.
            ModelIdTakenError: The user has a model with this ``model_id``.
        """
        with self._rows.lock_model(actor, target, Action.SHARE) as locked:
            key = find_user(locked.connection, self._tables, to)
            if key == locked.row["owner_id"]:
                return
            self._users.check_recipient(key, locked.row["owner_id"])
            given = self._given(locked, key, keep_grants=keep_grants, keep_active=keep_active)
        former_owner = locked.row["owner_id"]
        self._rows.send_signal(signals.transferred, actor, given.row, former_owner=former_owner)

    def user_left(
        self,
        user: Any,
        new_owner: Any = None,
        *,
        keep_grants: bool = False,
        keep_active: bool = False,
    ) -> None:
        """Give a user's models to a new owner, or delete them; delete the rest of the user's rows.

        Raises:
            NotFoundError: The new owner is not active.
            ModelIdTakenError: The new owner has a model with the ``model_id`` of one of them.
            ValidationError: The new owner is the user, or there is none for what is to be kept.
        """
        if user == new_owner:
            raise ValidationError([("transfer_to", "A user cannot inherit from themselves.")])
        if new_owner is None and (keep_grants or keep_active):
            raise ValidationError([("transfer_to", "Required to keep grants or active models.")])
        with self._rows.write_transaction(new_owner) as connection:
            rows = connection.execute(self._owned, {"gone": user}).mappings().all()
            owned = [LockedModel(connection, Actor(user), row, (), self._access) for row in rows]
            for table in (self._tables.grants, self._tables.defaults):
                connection.execute(sa.delete(table).filter_by(user_id=user))
            if new_owner is None:
                self._delete(connection, owned)
            else:
                self._users.check_recipient(new_owner, user)
                self._check_new_owner(connection, user, new_owner)
                owned = [
                    self._given(locked, new_owner, keep_grants=keep_grants, keep_active=keep_active)
                    for locked in owned
                ]
        facts = {} if new_owner is None else {"former_owner": user}
        for locked in owned:
            signal = signals.deleted if new_owner is None else signals.transferred
            self._rows.send_signal(signal, None, locked.row, **facts)

    def _delete(self, connection: sa.Connection, owned: list[LockedModel]) -> None:
        # One by one: MariaDB would lock whole tables to find the rows of them all.
        for statement in self._rows.queries.deletions if owned else ():
            connection.execute(statement, [{"row_id": locked.row["id"]} for locked in owned])

    def _check_new_owner(self, connection: sa.Connection, user: Any, new_owner: Any) -> None:
        """Name the models in the way; it is the constraint that keeps them from being lost."""
        models, inherited = self._tables.models, self._tables.models.alias()
        both = sa.select(models.c.model_id).where(
            models.c.owner_id == new_owner,
            models.c.model_id == inherited.c.model_id,
            inherited.c.owner_id == user,
        )
        if names := sorted(connection.scalars(both)):
            raise ModelIdTakenError(f"Both users have models called: {', '.join(names)}.")

    def _given(
        self, locked: LockedModel, key: Any, *, keep_grants: bool, keep_active: bool
    ) -> LockedModel:
        given = locked.write({**gift(key, keep_active=keep_active), "updated_at": self._clock()})
        dropped = {"model_row_id": locked.row["id"], **({"user_id": key} if keep_grants else {})}
        locked.connection.execute(sa.delete(self._tables.grants).filter_by(**dropped))
        self._defaults.clear_invisible(given)
        return given
