"""Who owns a model: giving one away, and what happens when a user leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import ConflictError, ModelIdTakenError
from . import signals
from .access import Action, Actor
from .departure import deletions
from .rows import Held
from .users import find_user

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from .defaults import Defaults
    from .rows import Rows, Target

# One answer to both: the other one would tell what that user has.
_REFUSED = "There is no such user, or they have a model with this model_id."


class Ownership:
    """The owners of one registry's models in one app."""

    def __init__(self, rows: Rows, defaults: Defaults, clock: Callable[[], datetime]) -> None:
        self._rows = rows
        self._defaults = defaults
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
        self._deletions = deletions(self._tables, gone)

    def transfer(self, actor: Actor, target: Target, user: str) -> None:
        """Give a model away; its grants stay, and so does its being shared.

        Raises:
            ConflictError: There is no such user, or they have a model with this ``model_id``.
        """
        try:
            with self._rows.held(actor, target, Action.OWN) as held:
                key = find_user(held.connection, self._tables, user)
                if key is None:
                    raise ConflictError(_REFUSED)
                if key == held.row["owner_id"]:
                    return
                given = self._given(held, key)
        except ModelIdTakenError:
            raise ConflictError(_REFUSED) from None
        self._announce_gift(actor, given, held)

    def end(self, user: Any, heir: Any = None) -> None:
        """Give a user's models to an heir, or delete them; delete all else of the user's.

        Raises:
            ModelIdTakenError: The heir has a model with the ``model_id`` of one of them.
        """
        if user == heir:
            raise ValueError("a user cannot inherit from themselves")
        with self._rows.writing() as connection:
            rows = connection.execute(self._owned, {"gone": user}).mappings().all()
            self._check_heir(connection, heir, {row["model_id"] for row in rows})
            owned = [Held(connection, Actor(user), row, (), self._access) for row in rows]
            given = [] if heir is None else [self._given(held, heir) for held in owned]
            for statement in self._deletions:
                connection.execute(statement, {"gone": user})
        for held in owned[len(given) :]:
            self._rows.announce(signals.deleted, None, held.row)
        for held, then in zip(given, owned, strict=False):
            self._announce_gift(None, held, then)

    def _check_heir(self, connection: sa.Connection, heir: Any, inherited: set[str]) -> None:
        own = sa.select(self._tables.models.c.model_id).filter_by(owner_id=heir)
        if both := sorted(inherited.intersection(connection.scalars(own))):
            raise ModelIdTakenError(f"Both users have models called: {', '.join(both)}.")

    def _given(self, held: Held, key: Any) -> Held:
        given = held.write({"owner_id": key, "updated_at": self._clock()})
        needless = sa.delete(self._tables.grants)
        held.connection.execute(needless.filter_by(model_row_id=held.row["id"], user_id=key))
        self._defaults.forget_blind(given)
        return given

    def _announce_gift(self, actor: Actor | None, given: Held, then: Held) -> None:
        former_owner = then.row["owner_id"]
        self._rows.announce(signals.transferred, actor, given.row, former_owner=former_owner)
