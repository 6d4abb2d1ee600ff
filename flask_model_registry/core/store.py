"""Create, read and resolve models; nothing here commits, whoever owns the transaction does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ..errors import (
    ConflictError,
    InactiveModelError,
    ModelIdTakenError,
    NoAddressError,
    NotFoundError,
    UnreadableCredentialError,
    ValidationError,
)
from . import rules
from .access import Actor, Facts
from .representation import FIELDS, FLAGS, Model, represented
from .resolver import ResolvedModel, Secret
from .secretbox import CannotOpenError
from .tables import MAX_ID
from .writing import savepoint, violated_constraint

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from .ports import Endpoints
    from .queries import Filters, Queries
    from .secretbox import SecretBox

# The columns that take a field of the request as it is.
_PLAIN = "model_id category model_name base_url temperature dimension abilities description".split()


class Store:
    """The models of one registry in one app."""

    def __init__(
        self,
        queries: Queries,
        session: Any,
        *,
        secret_box: SecretBox,
        endpoints: Endpoints,
        clock: Callable[[], datetime],
        new_uuid: Callable[[], UUID],
    ) -> None:
        self.session = session
        self._queries = queries
        self._access = queries.access
        self._tables = queries.access.tables
        self._secret_box = secret_box
        self._endpoints = endpoints
        self._clock = clock
        self._new_uuid = new_uuid

    @property
    def connection(self) -> sa.Connection:
        """The connection of the host's session, to the database that holds its users."""
        if self.session.autoflush:
            self.session.flush()  # as every query of the session would
        bind = {"clause": self._tables.models}
        connection: sa.Connection = self.session.connection(bind_arguments=bind)
        return connection

    def create(self, actor: Actor, fields: dict[str, Any]) -> Model:
        """Register a model for the actor, from valid fields of the published request."""
        row = self._new_row(actor, fields)
        self._check(row)
        if row["is_shared"]:
            actor.check_may_share()
        row |= self._sealed(row, fields["api_key"])
        connection = self.connection  # flushes; what fails then is the host's
        try:
            row["id"] = self._write(connection, row)
        except sa.exc.IntegrityError as error:
            raise self._conflict(error) from None
        return self._created(actor, row)

    def get(self, actor: Actor, ref: int | str) -> Model:
        """Return the model with this id or ``model_id``, if the actor may see it."""
        row = self._one(self._queries.one, actor, ref)
        return Model(represented(row), row.version)

    def list(self, actor: Actor, filters: Filters) -> list[dict[str, Any]]:
        """Return the models that the actor may see, ordered by id."""
        if filters.model_provider is not None:
            provider = self._endpoints.canonical(filters.model_provider)
            filters = replace(filters, model_provider=provider)
        parameters = {**filters.parameters, **actor.parameters}
        rows = self.connection.execute(self._queries.page(filters), parameters)
        return [represented(row) for row in rows]

    def resolve(self, actor: Actor, ref: int | str) -> ResolvedModel:
        """Return what is needed to call the model, if the actor may use it."""
        row = self._one(self._queries.secret, actor, ref)
        if not row.is_active:
            raise InactiveModelError
        base_url = self._endpoints.address(row.model_provider, row.base_url)
        if base_url is None:
            raise NoAddressError("The provider is not known any more; give the model a base_url.")
        return ResolvedModel(
            id=row.id,
            model_id=row.model_id,
            category=row.category,
            model_provider=row.model_provider,
            model_name=row.model_name,
            base_url=base_url,
            temperature=row.temperature,
            dimension=row.dimension,
            abilities=tuple(row.abilities or ()),
            api_key=self._opened(row),
        )

    def _one(
        self, statements: dict[type, sa.Select[Any]], actor: Actor, ref: int | str
    ) -> sa.Row[Any]:
        parameters = {"ref": ref, **actor.parameters}
        statement = statements[_kind_of_ref(ref)]
        row = self.connection.execute(statement, parameters).first()
        if row is None:
            raise NotFoundError
        return row

    def _new_row(self, actor: Actor, fields: dict[str, Any]) -> dict[str, Any]:
        now = self._clock()
        return {
            **{name: fields[name] for name in _PLAIN},
            "uuid": self._new_uuid(),
            "owner_id": actor.key,
            "model_provider": self._endpoints.canonical(fields["model_provider"]),
            "is_active": True,
            "is_shared": fields["share_with_users"],
            "shared_model_id": fields["model_id"] if fields["share_with_users"] else None,
            "version": 1,
            "created_at": now,
            "updated_at": None,
            "credential_updated_at": now,
        }

    def _check(self, row: dict[str, Any]) -> None:
        where = self._endpoints.faults(row["model_provider"], row["base_url"])
        faults = [*rules.faults(row), *where]
        if faults:
            raise ValidationError(faults)

    def _sealed(self, row: dict[str, Any], api_key: Secret) -> dict[str, Any]:
        # Before the driver sees the key: its errors, and SQLAlchemy's, print parameters.
        box = self._secret_box
        context = self._context(row["uuid"], row["model_provider"], row["base_url"])
        ciphertext = box.seal(api_key.reveal(), context)
        return {"ciphertext": ciphertext, "key_id": getattr(box, "key_id", None)}

    def _opened(self, row: sa.Row[Any]) -> Secret:
        if row.ciphertext is None:
            raise UnreadableCredentialError("The model has no API key; set a new one.")
        context = self._context(row.uuid, row.model_provider, row.base_url)
        try:
            return Secret(self._secret_box.open(row.ciphertext, context))
        except CannotOpenError as error:
            raise UnreadableCredentialError(
                f"The stored API key does not open: {error}. Restore that, or set a new API key."
            ) from None

    def _context(self, uuid: UUID, provider: str, base_url: str | None) -> str:
        return f"{uuid.hex} {self._endpoints.origin(provider, base_url)}"

    def _write(self, connection: sa.Connection, row: dict[str, Any]) -> int:
        with savepoint(connection):
            result = connection.execute(self._queries.insert, row)
            row_id: int = result.inserted_primary_key.id  # type: ignore[union-attr]  # one row
            abilities = [
                {"model_row_id": row_id, "ability": each} for each in row["abilities"] or ()
            ]
            if abilities:
                connection.execute(self._queries.insert_ability, abilities)
        return row_id

    def _conflict(self, error: sa.exc.IntegrityError) -> ConflictError:
        constraint = violated_constraint(error, self._tables.models) or ""
        if constraint.endswith("owner_model_id"):
            return ModelIdTakenError("You already have a model with this model_id.")
        if constraint:
            return ModelIdTakenError("A model with this model_id is already shared with everybody.")
        return ConflictError("The database refused the model; its owner may be gone.")

    def _created(self, actor: Actor, row: dict[str, Any]) -> Model:
        facts = Facts(row["owner_id"], row["is_shared"])
        flags = {name: self._access.allows(action, actor, facts) for name, action in FLAGS.items()}
        whole = {**row, **flags}
        return Model(represented(whole[name] for name in FIELDS), row["version"])


def _kind_of_ref(ref: int | str) -> type:
    """Tell the two kinds of reference apart; what no model can have is not looked up."""
    if isinstance(ref, int) and not isinstance(ref, bool) and 0 < ref <= MAX_ID:
        return int
    if isinstance(ref, str) and rules.MODEL_ID.fullmatch(ref):
        return str
    raise NotFoundError
