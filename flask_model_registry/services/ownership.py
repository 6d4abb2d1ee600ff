"""Transfer models to other users, and transfer or delete what a user leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import signals
from ..db.columns import readable_columns
from ..db.user_deletion import detachment
from ..db.users import find_user
from ..errors import (
    CredentialInUseError,
    CredentialNameTakenError,
    ModelIdTakenError,
    ValidationError,
)
from ..policy import Action, Actor, transfer_changes
from .rows import LockedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ..db.users import Person
    from ..users import Users
    from .defaults import Defaults
    from .rows import ResourceRef, Rows

_NO_KEY = {"ciphertext": None, "key_id": None, "credential_id": None}


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
            sa.select(*readable_columns(self._tables.models))
            .where(self._tables.models.c.owner_id == gone)
            .order_by(self._tables.models.c.id)
            .with_for_update()
        )
        credentials = self._tables.credentials.c
        self._credentials = (
            sa.select(credentials.id)
            .where(credentials.owner_id == gone)
            .order_by(credentials.id)
            .with_for_update()
        )

    def transfer(
        self,
        actor: Actor,
        target: ResourceRef,
        to: Person,
        *,
        keep_grants: bool = False,
        keep_active: bool = False,
        without_key: bool = False,
    ) -> None:
        """Give a model away. It loses its grants and is switched off, but stays shared.

        Args:
            without_key: Whether it arrives without an API key.

        Raises:
            NotFoundError: There is no such model or user.
            CredentialInUseError: It uses a credential, which stays with its owner, and
                ``without_key`` is false.
            ModelIdTakenError: The user has a model with this ``model_id``.
        """
        with self._rows.lock_model(actor, target, Action.SHARE) as locked:
            key = find_user(locked.connection, self._tables, to)
            if key == locked.row["owner_id"]:
                return
            self._users.check_recipient(key, locked.row["owner_id"])
            if locked.row["credential_id"] is not None and not without_key:
                raise CredentialInUseError(
                    "The model uses your credential, which stays with you. Give the model "
                    "an API key of its own, or transfer it with without_key."
                )
            changes = transfer_changes(key, keep_active=keep_active)
            if without_key:
                changes |= {**_NO_KEY, "credential_updated_at": self._clock()}
            transferred = self._give(locked, changes, keep_grants=keep_grants)
        former_owner = locked.row["owner_id"]
        self._rows.send_signal(
            signals.transferred, actor, transferred.row, former_owner=former_owner
        )

    def user_left(
        self,
        user: Any,
        new_owner: Any = None,
        *,
        keep_grants: bool = False,
        keep_active: bool = False,
    ) -> None:
        """Give a user's models and credentials to a new owner, or delete them.

        Grants to the user, and the user's defaults, are deleted in either case.

        Raises:
            NotFoundError: The new owner is not active.
            ModelIdTakenError: The new owner already uses the ``model_id`` of one of the models.
            CredentialNameTakenError: The new owner already uses the name of one of the credentials.
            ValidationError: The new owner is the user, or something is to be kept without a new
                owner.
        """
        if user == new_owner:
            raise ValidationError([("transfer_to", "A user cannot inherit from themselves.")])
        if new_owner is None and (keep_grants or keep_active):
            raise ValidationError([("transfer_to", "Required with keep_grants or keep_active.")])
        with self._rows.write_transaction(new_owner) as connection:
            credentials = connection.scalars(self._credentials, {"gone": user}).all()
            rows = connection.execute(self._owned, {"gone": user}).mappings().all()
            owned = [LockedModel(connection, Actor(user), row, (), self._access) for row in rows]
            for table in (self._tables.grants, self._tables.defaults):
                connection.execute(sa.delete(table).filter_by(user_id=user))
            if new_owner is None:
                self._delete(connection, owned, credentials)
            else:
                self._users.check_recipient(new_owner, user)
                self._check_new_owner(connection, user, new_owner)
                changes = transfer_changes(new_owner, keep_active=keep_active)
                owned = [self._give(each, changes, keep_grants=keep_grants) for each in owned]
                change = sa.update(self._tables.credentials).filter_by(owner_id=user)
                connection.execute(change.values(owner_id=new_owner))
        facts = {} if new_owner is None else {"former_owner": user}
        for locked in owned:
            signal = signals.deleted if new_owner is None else signals.transferred
            self._rows.send_signal(signal, None, locked.row, **facts)

    def _delete(
        self, connection: sa.Connection, owned: list[LockedModel], credentials: Sequence[int]
    ) -> None:
        # One by one, because MariaDB would lock whole tables to find the rows of all of them.
        for statement in self._rows.queries.deletions if owned else ():
            connection.execute(statement, [{"row_id": locked.row["id"]} for locked in owned])
        is_credential = self._tables.credentials.c.id == sa.bindparam("row_id")
        for change in (
            detachment(self._tables, is_credential),
            sa.delete(self._tables.credentials).where(is_credential),
        ):
            for row_id in credentials:
                connection.execute(change, {"row_id": row_id})

    def _check_new_owner(self, connection: sa.Connection, user: Any, new_owner: Any) -> None:
        """Name all conflicts in one error. Constraints alone would already prevent a loss."""
        models, credentials = self._tables.models, self._tables.credentials
        model_ids = self._names_of_both(connection, models, "model_id", (user, new_owner))
        names = self._names_of_both(connection, credentials, "name", (user, new_owner))
        problems = [
            f"Both users have {what} called: {', '.join(each)}."
            for what, each in (("models", model_ids), ("credentials", names))
            if each
        ]
        if problems:
            error = ModelIdTakenError if model_ids else CredentialNameTakenError
            raise error(" ".join(problems))

    @staticmethod
    def _names_of_both(
        connection: sa.Connection, table: sa.Table, name: str, users: tuple[Any, Any]
    ) -> list[str]:
        """Return the names that both users use, sorted."""
        other = table.alias()
        is_same = (table.c.owner_id == users[0]) & (table.c[name] == other.c[name])
        return sorted(
            connection.scalars(
                sa.select(table.c[name]).where(is_same, other.c.owner_id == users[1])
            )
        )

    def _give(
        self, locked: LockedModel, changes: dict[str, Any], *, keep_grants: bool
    ) -> LockedModel:
        transferred = locked.write({**changes, "updated_at": self._clock()})
        to = {"user_id": changes["owner_id"]} if keep_grants else {}
        dropped = {"model_row_id": locked.row["id"], **to}
        locked.connection.execute(sa.delete(self._tables.grants).filter_by(**dropped))
        self._defaults.clear_invisible(transferred)
        return transferred
