"""The rows of models: found for whoever asks, and held against other writers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import (
    ConflictError,
    ForbiddenError,
    ModelIdTakenError,
    NotFoundError,
    PreconditionFailedError,
)
from . import signals
from .access import Access, Action, Actor, Facts, Grant
from .branches import parameters_for, places_for
from .representation import FIELDS, FLAGS, Model, represented
from .rules import MODEL_ID
from .tables import MAX_ID
from .users import is_gone
from .writing import all_or_nothing, violated_constraint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from blinker import NamedSignal

    from .keys import Keys
    from .queries import Queries
    from .references import References

_REFUSED = "The database refused the model; its owner may be gone."
_TAKES = {
    Action.EDIT: "Only the owner, and grants with can_edit, may do this.",
    Action.DELETE: "Only the owner, and grants with can_delete, may do this.",
    Action.OWN: "Only the owner may do this.",
}


@dataclass(frozen=True)
class Target:
    """The model that is meant, and the state of it: a condition on its entity tag."""

    ref: int | str
    is_expected: Callable[[str], bool] = lambda _tag: True


@dataclass(frozen=True)
class Held:
    """A model's row, locked till the end of the transaction, as it has to do with the actor."""

    connection: sa.Connection
    actor: Actor
    row: Mapping[Any, Any]
    grants: tuple[Grant, ...]
    access: Access

    @property
    def is_owner(self) -> bool:
        """Whether the actor owns the model."""
        return self.may(Action.OWN)

    def may(self, action: Action) -> bool:
        """Tell whether the actor may do this."""
        facts = Facts(self.row["owner_id"], self.row["is_shared"], self.grants)
        return self.access.allows(action, self.actor, facts)

    def shown(self) -> Model:
        """Return the model as the actor sees it."""
        flags = {name: self.may(action) for name, action in FLAGS.items()}
        whole = {**self.row, **flags}
        return Model(represented(whole[name] for name in FIELDS), whole["version"])

    def write(self, columns: Mapping[str, Any]) -> Held:
        """Change the row, and return it as it is then."""
        models = self.access.tables.models
        version = self.row["version"]
        # The lock may be gone, on a connection that commits by itself.
        is_still = (models.c.id == self.row["id"]) & (models.c.version == version)
        values = {**columns, "version": version + 1}
        if self.connection.execute(sa.update(models).where(is_still), values).rowcount != 1:
            raise ConflictError("The model was changed at the same time; try again.")
        return replace(self, row={**self.row, **values})


class Rows:
    """The models' rows of one registry in one app.

    Args:
        sender: The sender of signals.
        keys: Checked when the database is first asked for something.
    """

    def __init__(self, queries: Queries, session: Any, sender: Any, keys: Keys) -> None:
        self.queries = queries
        self.session = session
        self._access = queries.access
        self._sender = sender
        self._keys = keys

    def connect(self) -> sa.Connection:
        """Return the connection of the host's session, to the database that holds its users.

        Raises:
            ConfigError: Stored API keys are sealed with encryption keys that are not configured.
        """
        connection = self._connection()
        self._keys.check_once(connection)
        return connection

    def check_keys(self) -> None:
        """Check the encryption keys, whether that was done before or not."""
        self._keys.check(self._connection())

    def engine(self) -> sa.Engine:
        """Return the engine of the database that holds the host's users."""
        bind = self.session.get_bind(clause=self._access.tables.models)
        engine: sa.Engine = bind.engine  # of a connection too
        return engine

    def one(self, references: References, actor: Actor, ref: int | str) -> Any:
        """Return the row of the model that the actor means.

        Raises:
            NotFoundError: There is none that the actor may see.
        """
        kind, connection = kind_of_ref(ref), self.connect()
        places = places_for(actor, connection.dialect)
        parameters = {"ref": ref, **parameters_for(actor, places)}
        row = connection.execute(references.statement(kind, places), parameters).first()
        if row is None:
            raise NotFoundError
        return row

    @contextmanager
    def writing(self, user: Any = None) -> Iterator[sa.Connection]:
        """Write all of the block or nothing; what will belong to the user.

        Raises:
            ConflictError: The database refused what the block wrote, or the user is gone.
        """
        connection = self.connect()  # flushes; what fails then is the host's
        try:
            with all_or_nothing(connection):
                if user is not None and is_gone(connection, self._access.tables, user):
                    raise ConflictError(_REFUSED)
                yield connection
        except sa.exc.IntegrityError as error:
            raise self._conflict(error) from None

    @contextmanager
    def held(
        self, actor: Actor, target: Target, action: Action, *, shared: bool = False
    ) -> Iterator[Held]:
        """Hold a model while the block writes; with ``shared``, others may hold it so too.

        Raises:
            NotFoundError: There is none that the actor may see.
            ForbiddenError: The actor may see it, but not do this.
            PreconditionFailedError: It is not in the state that the actor expects.
        """
        # Whoever cannot see the model does not wait for its lock: that would tell of it.
        row_id = self.one(self.queries.visible, actor, target.ref).id
        with self.writing(actor.key) as connection:
            held = self._locked(connection, actor, row_id, self.queries.locked[shared])
            if isinstance(target.ref, str) and held.row["model_id"] != target.ref:
                raise NotFoundError
            if not held.may(action):
                raise ForbiddenError(_TAKES[action])
            if not target.is_expected(held.shown().tag):
                raise PreconditionFailedError("The tag is not that of the model now; get it again.")
            yield held

    def announce(
        self,
        signal: NamedSignal,
        actor: Actor | None,
        row: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        """Send a signal, about a model or none in particular."""
        if row is not None:
            facts |= {"id": row["id"], "model_id": row["model_id"], "owner": row["owner_id"]}
        signals.announce(signal, self._sender, actor=actor and actor.key, **facts)

    def _connection(self) -> sa.Connection:
        if self.session.autoflush:
            self.session.flush()  # as every query of the session would
        bind = {"clause": self._access.tables.models}
        connection: sa.Connection = self.session.connection(bind_arguments=bind)
        return connection

    def _locked(
        self, connection: sa.Connection, actor: Actor, row_id: int, statement: sa.Select[Any]
    ) -> Held:
        row = connection.execute(statement, {"ref": row_id}).mappings().first()
        if row is None:
            raise NotFoundError
        held = Held(connection, actor, row, (), self._access)
        if not held.is_owner:
            parameters = {"ref": row_id, **actor.parameters}
            grants = connection.execute(self.queries.grants_of_actor, parameters)
            held = replace(held, grants=tuple(Grant(*grant) for grant in grants))
        if not held.may(Action.USE):
            raise NotFoundError
        return held

    def _conflict(self, error: sa.exc.IntegrityError) -> ConflictError:
        constraint = violated_constraint(error, self._access.tables.models) or ""
        if constraint.endswith("owner_model_id"):
            return ModelIdTakenError("The owner already has a model with this model_id.")
        if constraint:
            return ModelIdTakenError("A model with this model_id is already shared with everybody.")
        return ConflictError(_REFUSED)


def kind_of_ref(ref: int | str) -> type:
    """Tell the two kinds of reference apart; what no model can have is not looked up."""
    if isinstance(ref, int) and not isinstance(ref, bool) and 0 < ref <= MAX_ID:
        return int
    if isinstance(ref, str) and MODEL_ID.fullmatch(ref):
        return str
    raise NotFoundError
