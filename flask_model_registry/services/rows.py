"""The rows of models: found for the user who asks, and locked against other writers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import sqlalchemy as sa

from ..db.access import parameters_of, paths_for
from ..db.conflicts import REFUSED, conflict_of
from ..db.failures import breaks_a_constraint
from ..db.queries import Lookup
from ..db.registered import Registered
from ..db.representation import ACCESS_FLAGS, PUBLIC_FIELDS, Model, to_dict
from ..db.session import savepoint, trigger_state, user_missing
from ..db.user_deletion import Departures
from ..errors import ConflictError, NotFoundError
from ..policy import Action, allowed_actions, check_allowed
from ..schemas.limits import MAX_ID, MODEL_ID
from ..signals import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from blinker import NamedSignal

    from ..db.access import AccessConditions
    from ..db.queries import ModelLookup, Queries
    from ..policy import Actor
    from .key_check import EncryptionKeys

_public_values = itemgetter(*PUBLIC_FIELDS)
# A connection test is of these columns, so that a change of one of them forgets the last test.
# Only a billed one is of the category and parameters, but the row doesn't keep if it was billed.
_TESTED = frozenset(
    "owner_id model_provider base_url model_name category parameters ciphertext "
    "credential_id".split()
)
_UNTESTED = dict.fromkeys(("test_result", "test_latency_ms", "tested_at"))


@dataclass(frozen=True)
class ModelRef:
    """The model that a request is about.

    Attributes:
        check: Raises PreconditionFailedError unless the entity tag is as expected; gets the tag,
            and the kind of thing that it is of. None without a condition.
    """

    ref: int | str
    check: Callable[[str, str], None] | None = None


@dataclass(frozen=True)
class LockedModel:
    """A model's row, locked until the transaction ends, and how it is related to the actor."""

    connection: sa.Connection
    actor: Actor
    row: Mapping[Any, Any]
    grants: tuple[Mapping[Any, Any], ...]
    access: AccessConditions

    @cached_property
    def actions(self) -> frozenset[Action]:
        """What the actor may do."""
        return allowed_actions(self.actor, self.row, self.grants)

    @property
    def is_owner(self) -> bool:
        """Whether the actor owns the model."""
        return Action.SHARE in self.actions

    def shown(self) -> Model:
        """Return the model as the actor sees it."""
        whole = dict(self.row)
        for name, action in ACCESS_FLAGS.items():
            whole[name] = action in self.actions
        return Model(to_dict(_public_values(whole)), whole["version"])

    def write(self, columns: Mapping[str, Any]) -> LockedModel:
        """Change the row, and return it with the changes."""
        models = self.access.tables.models
        version = self.row["version"]
        # The lock may be gone, on a connection that commits by itself.
        is_still = (models.c.id == self.row["id"]) & (models.c.version == version)
        values = {**columns, "version": version + 1}
        if not _TESTED.isdisjoint(columns):
            values |= _UNTESTED
        if self.connection.execute(sa.update(models).where(is_still), values).rowcount != 1:
            raise ConflictError("The model was changed at the same time. Fetch it and retry.")
        return replace(self, row={**self.row, **values})


class Rows:
    """The models' rows of one registry in one app.

    Args:
        sender: Returns the sender of signals.
        keys: Checked when the database is first asked for something.
    """

    def __init__(
        self, queries: Queries, session: Any, sender: Callable[[], Any], keys: EncryptionKeys
    ) -> None:
        self.queries = queries
        self.session = session
        self._access = queries.access
        self._sender = sender
        self._keys = keys
        self._departures = Departures(queries.access.tables)
        # A statement that a session with read replicas sends to the primary.
        self._change = sa.update(queries.access.tables.models)
        self._writing: WeakSet[Any] = WeakSet()  # transactions of sessions

    def connect(self, *, to_write: bool = False, check_keys: bool = True) -> sa.Connection:
        """Return the connection of the host's session, to the database that holds its users.

        Args:
            to_write: Connect to the primary if the session routes reads to a replica, and so for
                the rest of the transaction: what is written must not depend on old rows.
            check_keys: Check the encryption keys, if that did not go well before in this process.

        Raises:
            ConfigError: Stored API keys are sealed with encryption keys that are not configured.
        """
        session = self.session()
        if session.autoflush:
            session.flush()  # as every query of the session would
        to_write = to_write or session.get_transaction() in self._writing
        bind = {"clause": self._change if to_write else self._access.tables.models}
        connection: sa.Connection = session.connection(bind_arguments=bind)
        if to_write:
            self._writing.add(session.get_transaction())
        if check_keys and not self._keys.are_checked:
            self._keys.check(connection)
            self._keys.are_checked = True
        if connection.dialect.name == "sqlite":
            is_followed, has_tables = trigger_state(connection, self._access.tables)
            if is_followed != has_tables or self._access.tables.models.schema is not None:
                self._departures.follow(connection)
        return connection

    def check_keys(self) -> None:
        """Check the encryption keys, whether that was done before or not."""
        self._keys.check(self.connect(check_keys=False))

    def engine(self) -> sa.Engine:
        """Return the engine of the database that holds the host's users."""
        bind = self.session.get_bind(clause=self._change)
        engine: sa.Engine = bind.engine  # of a connection too
        return engine

    def find_model(
        self,
        references: ModelLookup,
        actor: Actor,
        ref: int | str,
        connection: sa.Connection | None = None,
    ) -> Any:
        """Return the row of the model that a reference leads the actor to.

        A ``model_id`` passes over inactive models as long as it leads to an active one.

        Raises:
            NotFoundError: The actor sees no such model.
        """
        lookups = (None,) if kind_of_ref(ref) is int else (Lookup.ACTIVE, Lookup.ANY)
        connection = connection or self.connect()
        for lookup in lookups:
            row = _found(connection, references, actor, ref, lookup=lookup)
            if row is not None:
                return row
        raise NotFoundError

    def _model_to_change(self, connection: sa.Connection, actor: Actor, ref: int | str) -> Any:
        """Return the row of the model that the actor wants to change.

        That is the nearest, if it is active or the only one. Otherwise a ``model_id`` would lead
        from one model to another as soon as the first is switched off, or given away.

        Raises:
            NotFoundError: The actor sees no such model.
            ConflictError: The ``model_id`` may mean several.
        """
        visible = self.queries.visible
        if isinstance(ref, int):
            return self.find_model(visible, actor, ref, connection)
        kind_of_ref(ref)  # or there is none
        row = _found(connection, visible, actor, ref, lookup=Lookup.ANY)
        if row is None:
            raise NotFoundError
        if not row.is_active and _found(
            connection, visible, actor, ref, lookup=Lookup.OTHER, besides=row.id
        ):
            raise ConflictError(
                f"You see several models with this model_id, and the nearest, {row.id}, is "
                "inactive. Name the one you mean by its id."
            )
        return row

    @contextmanager
    def write_transaction(
        self, user: Any = None, connection: sa.Connection | None = None
    ) -> Iterator[sa.Connection]:
        """Write all of the block or nothing. The user will own what it writes.

        Raises:
            ConflictError: The database refused what the block wrote, or the user is gone.
        """
        # This flushes; what fails then is the host's.
        connection = connection or self.connect(to_write=True)
        try:
            with savepoint(connection):
                if user is not None and user_missing(connection, self._access.tables, user):
                    raise ConflictError(REFUSED)
                yield connection
        except sa.exc.DBAPIError as error:
            if not breaks_a_constraint(error):
                raise
            raise conflict_of(error, self._access.tables) from None
        # The host may have loaded what has changed. What it has changed itself stays so, and is
        # refused at flush.
        session = self.session()
        for row in session.identity_map.values():
            if isinstance(row, Registered):
                state = sa.inspect(row)
                if not (state.expired or state.modified):
                    session.expire(row)

    @contextmanager
    def lock_model(
        self, actor: Actor, target: ModelRef, action: Action, *, shared: bool = False
    ) -> Iterator[LockedModel]:
        """Lock a model while the block writes. With ``shared``, others may lock it so too.

        Raises:
            NotFoundError: The actor sees no such model.
            ForbiddenError: The actor may see it, but not do this.
            ConflictError: The ``model_id`` may mean several models.
            PreconditionFailedError: It is not in the state that the actor expects.
        """
        connection = self.connect(to_write=True)
        # A user who cannot see the model does not wait for its lock, which would reveal it.
        if shared:  # so it does not change, and is chosen as for a call
            row = self.find_model(self.queries.visible, actor, target.ref, connection)
        else:
            row = self._model_to_change(connection, actor, target.ref)
        with self.write_transaction(actor.key, connection):
            locked = self._locked(connection, actor, row.id, self.queries.locked[shared])
            if isinstance(target.ref, str) and locked.row["model_id"] != target.ref:
                raise NotFoundError
            check_allowed(action, locked.actions)
            if target.check is not None:
                target.check(locked.shown().tag, "model")
            yield locked

    def send_signal(
        self,
        signal: NamedSignal,
        actor: Actor | None,
        row: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        """Send a signal, about a model or none in particular, or put it into the outbox."""
        facts |= {"event": signal.name, "actor": actor and actor.key}
        if row is not None:
            facts |= {"id": row["id"], "model_id": row["model_id"], "owner": row["owner_id"]}
        sender, waiting = self._sender(), outbox.get()
        if waiting is None:
            signal.send(sender, **facts)
            return
        # One by one, so that a receiver that fails does not keep it from the others.
        for receiver in signal.receivers_for(sender):
            waiting.append(partial(receiver, sender, **facts))

    def _locked(
        self, connection: sa.Connection, actor: Actor, row_id: int, statement: sa.Select[Any]
    ) -> LockedModel:
        row = connection.execute(statement, {"ref": row_id}).mappings().first()
        if row is None:
            raise NotFoundError
        locked = LockedModel(connection, actor, row, (), self._access)
        if Action.SHARE not in locked.actions:
            parameters = {"ref": row_id, **parameters_of(actor)}
            grants = connection.execute(self.queries.grants_of_actor, parameters)
            locked = replace(locked, grants=tuple(grants.mappings()))
        return locked


def _found(
    connection: sa.Connection,
    references: ModelLookup,
    actor: Actor,
    ref: int | str,
    *,
    lookup: Lookup | None,
    **parameters: Any,
) -> Any:
    group_paths, of_actor = paths_for(actor, connection.dialect)
    parameters |= {"ref": ref, **of_actor}
    return connection.execute(references.statement(lookup, group_paths), parameters).first()


def utc_now() -> datetime:
    """Return the time as the tables hold it: in UTC, without a time zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def kind_of_ref(ref: int | str) -> type:
    """Tell the two kinds of reference apart, without looking up impossible ones."""
    if isinstance(ref, int) and not isinstance(ref, bool) and 0 < ref <= MAX_ID:
        return int
    if isinstance(ref, str) and MODEL_ID.fullmatch(ref):
        return str
    raise NotFoundError
