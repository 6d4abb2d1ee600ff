"""Who owns a model: giving one away, and what happens when a user leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import ModelIdTakenError
from . import signals
from .access import Action, Actor
from .rows import Held
from .users import find_user

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from .defaults import Defaults
    from .ports import Actors
    from .rows import Rows, Target
    from .users import Person


class Ownership:
    """The owners of one registry's models in one app."""

    def __init__(
        self, rows: Rows, defaults: Defaults, actors: Actors, clock: Callable[[], datetime]
    ) -> None:
        self._rows = rows
        self._defaults = defaults
        self._actors = actors
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

    def transfer(self, actor: Actor, target: Target, to: Person) -> None:
        """Give a model away; its grants stay, and so does its being shared.

        Raises:
            NotFoundError: There is no such model or user.
            ModelIdTakenError: The user has a model with this ``model_id``.
        """
        with self._rows.held(actor, target, Action.OWN) as held:
            key = find_user(held.connection, self._tables, to)
            if key == held.row["owner_id"]:
                return
            self._actors.check_recipient(key)
            given = self._given(held, key)
        former_owner = held.row["owner_id"]
        self._rows.announce(signals.transferred, actor, given.row, former_owner=former_owner)

    def end(self, user: Any, heir: Any = None) -> None:
        """Give a user's models to an heir, or delete them; delete all else of the user's.

        Raises:
            ModelIdTakenError: The heir has a model with the ``model_id`` of one of them.
        """
        if user == heir:
            raise ValueError("a user cannot inherit from themselves")
        with self._rows.writing(heir) as connection:
            rows = connection.execute(self._owned, {"gone": user}).mappings().all()
            owned = [Held(connection, Actor(user), row, (), self._access) for row in rows]
            for table in (self._tables.grants, self._tables.defaults):
                connection.execute(sa.delete(table).filter_by(user_id=user))
            if heir is None:
                self._delete(connection, owned)
            else:
                self._check_heir(connection, user, heir)
                owned = [self._given(held, heir) for held in owned]
        facts = {} if heir is None else {"former_owner": user}
        for held in owned:
            signal = signals.deleted if heir is None else signals.transferred
            self._rows.announce(signal, None, held.row, **facts)

    def _delete(self, connection: sa.Connection, owned: list[Held]) -> None:
        # One by one: MariaDB would lock whole tables to find the rows of them all.
        for statement in self._rows.queries.deletions if owned else ():
            connection.execute(statement, [{"row_id": held.row["id"]} for held in owned])

    def _check_heir(self, connection: sa.Connection, user: Any, heir: Any) -> None:
        """Name the models in the way; it is the constraint that keeps them from being lost."""
        models, inherited = self._tables.models, self._tables.models.alias()
        both = sa.select(models.c.model_id).where(
            models.c.owner_id == heir,
            models.c.model_id == inherited.c.model_id,
            inherited.c.owner_id == user,
        )
        if names := sorted(connection.scalars(both)):
            raise ModelIdTakenError(f"Both users have models called: {', '.join(names)}.")

    def _given(self, held: Held, key: Any) -> Held:
        given = held.write({"owner_id": key, "updated_at": self._clock()})
        needless = sa.delete(self._tables.grants)
        held.connection.execute(needless.filter_by(model_row_id=held.row["id"], user_id=key))
        self._defaults.forget_blind(given)
        return given
