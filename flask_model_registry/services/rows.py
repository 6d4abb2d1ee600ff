"""The rows of models: found for the actor, and locked against other writers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import sqlalchemy as sa

from ..db.access import parameters_of, paths_for
from ..db.columns import NOT_JSON, readable
from ..db.conflicts import REFUSED_BY_DATABASE, conflict_of
from ..db.failures import is_constraint_violation
from ..db.queries import Lookup
from ..db.registered import Registered
from ..db.representation import ACCESS_FLAGS, PUBLIC_FIELDS, Model, to_dict
from ..db.session import savepoint, trigger_state, user_missing
from ..db.user_deletion import TemporaryTriggers
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
# A connection test depends on these columns, so a change of one of them clears the last test.
# Only a billed test depends on category and parameters, but the row doesn't record that.
_TESTED_COLUMNS = frozenset(
    "owner_id model_provider base_url model_name category parameters ciphertext "
    "credential_id".split()
)
#: The columns of a model without a last test.
UNTESTED = dict.fromkeys(("test_result", "test_latency_ms", "tested_at"))


@dataclass(frozen=True)
class ResourceRef:
    """The model, or the credential, that a request is about.

    Attributes:
        check: Gets the entity tag of an object and the object's kind, and raises
            PreconditionFailedError if the tag isn't the expected one. None if the request has no
            condition.
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
        version = self.row["version"]
        values = {**columns, "version": version + 1}
        if not _TESTED_COLUMNS.isdisjoint(columns):
            values |= UNTESTED
        # Compare the version, because on a connection in autocommit the lock may be gone.
        sent = {**values, "row_id": self.row["id"], "the_version": version}
        if self.connection.execute(self.access.tables.change_of_model, sent).rowcount != 1:
            raise ConflictError("The model was changed at the same time. Fetch it and retry.")
        return replace(self, row={**self.row, **values})


class Rows:
    """The models' rows of one registry in one app.

    Args:
        sender: Returns the sender of signals.
        keys: Checked before the first query.
    """

    def __init__(
        self, queries: Queries, session: Any, sender: Callable[[], Any], keys: EncryptionKeys
    ) -> None:
        self.queries = queries
        self.session = session
        self._access = queries.access
        self._sender = sender
        self._keys = keys
        self._temporary_triggers = TemporaryTriggers(queries.access.tables)
        # A statement that a session with read replicas sends to the primary.
        self._change = sa.update(queries.access.tables.models)
        self._writing: WeakSet[Any] = WeakSet()  # the transactions of sessions that write

    def connect(self, *, to_write: bool = False, check_keys: bool = True) -> sa.Connection:
        """Return the connection of the host's session, to the database that holds its users.

        Args:
            to_write: Connect to the primary for the rest of the transaction, if the session routes
                reads to a replica, because a write must not depend on old rows.
            check_keys: Check the encryption keys, unless a check succeeded before in this process.

        Raises:
            ConfigError: Stored API keys are encrypted with encryption keys that are not configured.
        """
        session = self.session()
        if session.autoflush:
            session.flush()  # like every query of the session
        to_write = to_write or session.get_transaction() in self._writing
        bind = {"clause": self._change if to_write else self._access.tables.models}
        connection: sa.Connection = session.connection(bind_arguments=bind)
        if to_write:
            self._writing.add(session.get_transaction())
        if check_keys and not self._keys.are_checked:
            self._keys.check(connection)
            self._keys.are_checked = True
        if connection.dialect.name == "sqlite":
            has_triggers, has_tables = trigger_state(connection, self._access.tables)
            if has_triggers != has_tables or self._access.tables.models.schema is not None:
                self._temporary_triggers.create(connection)
        return connection

    def check_keys(self) -> None:
        """Check the encryption keys, even if they were checked before."""
        self._keys.check(self.connect(check_keys=False))

    def engine(self) -> sa.Engine:
        """Return the engine of the database that holds the host's users."""
        bind = self.session.get_bind(clause=self._change)
        engine: sa.Engine = bind.engine  # connections have one, too
        return engine

    def find_model(
        self,
        references: ModelLookup,
        actor: Actor,
        ref: int | str,
        connection: sa.Connection | None = None,
    ) -> Any:
        """Return the row of the model that a reference leads the actor to.

        A ``model_id`` only leads to an inactive model if it doesn't lead to an active one.

        Raises:
            NotFoundError: The model doesn't exist, or the actor can't see it.
        """
        lookups = (None,) if kind_of_ref(ref) is int else (Lookup.ACTIVE, Lookup.ANY)
        connection = connection or self.connect()
        for lookup in lookups:
            row = _find_row(connection, references, actor, ref, lookup=lookup)
            if row is not None:
                return row
        raise NotFoundError

    def _model_to_change(self, connection: sa.Connection, actor: Actor, ref: int | str) -> Any:
        """Return the row of the model that the actor wants to change.

        That is the nearest model, if it is active or the only one. A change by ``model_id`` must
        not hit another model when the first is switched off or given away.

        Raises:
            NotFoundError: The model doesn't exist, or the actor can't see it.
            ConflictError: The nearest of several models with this ``model_id`` is inactive.
        """
        visible = self.queries.visible
        if isinstance(ref, int):
            return self.find_model(visible, actor, ref, connection)
        kind_of_ref(ref)  # raises NotFoundError if no model can have it
        row = _find_row(connection, visible, actor, ref, lookup=Lookup.ANY)
        if row is None:
            raise NotFoundError
        if not row.is_active and _find_row(
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
        """Write everything in the block, or nothing. ``user`` will own what the block writes.

        Raises:
            ConflictError: The database refused what the block wrote, or the user is gone.
        """
        # This flushes, and is outside the try because an error here is about the host's changes.
        connection = connection or self.connect(to_write=True)
        try:
            with savepoint(connection):
                if user is not None and user_missing(connection, self._access.tables, user):
                    raise ConflictError(REFUSED_BY_DATABASE)
                yield connection
        except sa.exc.DBAPIError as error:
            if not is_constraint_violation(error):
                raise
            raise conflict_of(error, self._access.tables) from None
        # The host may have loaded a row that has changed now. Rows that the host changed itself
        # aren't expired, so that the flush refuses them.
        session = self.session()
        for row in session.identity_map.values():
            if isinstance(row, Registered):
                state = sa.inspect(row)
                if not (state.expired or state.modified):
                    session.expire(row)

    @contextmanager
    def lock_model(
        self, actor: Actor, target: ResourceRef, action: Action, *, shared: bool = False
    ) -> Iterator[LockedModel]:
        """Lock a model while the block writes. With ``shared``, others may hold a shared lock too.

        Raises:
            NotFoundError: The model doesn't exist, or the actor can't see it.
            ForbiddenError: The actor may see the model, but not do this.
            ConflictError: The nearest of several models with this ``model_id`` is inactive.
            PreconditionFailedError: It is not in the state that the actor expects.
        """
        connection = self.connect(to_write=True)
        # A user who cannot see the model does not wait for its lock, which would reveal it.
        if shared:  # the model itself doesn't change, so find it as a call does
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
        """Send a signal, or put it into the outbox. With a row, it is about that model."""
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
        ref = {"ref": row_id}
        try:
            row = connection.execute(statement, ref).mappings().first()
            found = row and row["abilities"]
            if found is not None and (type(found) is not list or {*map(type, found)} - {str}):
                raise TypeError
        except NOT_JSON:
            row = connection.execute(readable(statement), ref).mappings().first()
        if row is None:
            raise NotFoundError
        locked = LockedModel(connection, actor, row, (), self._access)
        if Action.SHARE not in locked.actions:
            actor_parameters = {**ref, **parameters_of(actor)}
            grants = connection.execute(self.queries.grants_of_actor, actor_parameters)
            locked = replace(locked, grants=tuple(grants.mappings()))
        return locked


def _find_row(
    connection: sa.Connection,
    references: ModelLookup,
    actor: Actor,
    ref: int | str,
    *,
    lookup: Lookup | None,
    **parameters: Any,
) -> Any:
    group_paths, actor_parameters = paths_for(actor, connection.dialect)
    parameters |= {"ref": ref, **actor_parameters}
    statement = references.statement(lookup, group_paths)
    try:
        return connection.execute(statement, parameters).first()
    except NOT_JSON:
        return connection.execute(readable(statement), parameters).first()


def kind_of_ref(ref: int | str) -> type:
    """Return ``int`` for an id or ``str`` for a ``model_id``, or raise if no model can have it."""
    if isinstance(ref, int) and not isinstance(ref, bool) and 0 < ref <= MAX_ID:
        return int
    if isinstance(ref, str) and MODEL_ID.fullmatch(ref):
        return str
    raise NotFoundError
