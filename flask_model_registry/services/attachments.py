"""Register models with a credential, attach models to one, or create one from a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import signals
from ..errors import ConflictError, ModelIdTakenError, NotFoundError, ValidationError
from ..policy import Action, check_change, check_sharing
from ..schemas import MAX_ERRORS
from ..schemas.categories import problems
from .rows import LockedModel, ResourceRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from .. import types
    from ..policy import Actor
    from ..providers.app_providers import Providers
    from .account_credentials import AccountCredentials
    from .models import ModelService
    from .rows import Rows


class Attachments:
    """The links between models and credentials of one registry in one app."""

    def __init__(
        self,
        rows: Rows,
        accounts: AccountCredentials,
        models: ModelService,
        *,
        providers: Providers,
        clock: Callable[[], datetime],
        new_uuid: Callable[[], UUID],
    ) -> None:
        self._rows = rows
        self._accounts = accounts
        self._models = models
        self._providers = providers
        self._clock = clock
        self._new_uuid = new_uuid

    def attach(self, actor: Actor, target: ResourceRef, credential_id: int) -> None:
        """Make the actor's model use the actor's credential instead of an API key of its own.

        Raises:
            NotFoundError: The model isn't found, or the actor has no such credential.
            ForbiddenError: The actor doesn't own the model, or it is shared with everyone and the
                actor may not share.
            ValidationError: The credential is for another provider or origin.
        """
        with self._rows.write_transaction(actor.key) as connection:
            credential = self._accounts.lock_row(connection, actor, credential_id)
            with self._rows.lock_model(actor, target, Action.SHARE) as locked:
                if credential is None:  # only the model's owner gets this far
                    raise NotFoundError("You have no such credential.")
                if self._providers.is_moved(credential, locked.row):
                    raise ValidationError(
                        [("credential", "Is for another provider or origin than the model.")]
                    )
                row = locked.row
                if row["credential_id"] == credential["id"] and row["ciphertext"] is None:
                    return
                check_change(actor, locked.actions, row, row, changed={"api_key"}, moved=False)
                changed_model = self._use(locked, credential)
        self._rows.send_signal(signals.updated, actor, changed_model.row, changed=["api_key"])

    def create_from(self, actor: Actor, fields: Mapping[str, Any]) -> Mapping[Any, Any]:
        """Turn a model's own API key into a credential that it uses, and return the new row.

        Raises:
            NotFoundError: The model isn't found.
            ForbiddenError: The actor doesn't own it.
            ConflictError: It already uses a credential.
            UnreadableCredentialError: It has no API key that can be decrypted.
            CredentialNameTakenError: The actor has a credential with this name.
        """
        with self._rows.lock_model(
            actor, ResourceRef(fields["from_model"]), Action.SHARE
        ) as locked:
            if locked.row["credential_id"] is not None:
                raise ConflictError("The model already uses a credential.")
            # The locks are in the wrong order, but no other transaction can see the new credential.
            credential = self._accounts.insert_for(locked, fields)
            changed_model = self._use(locked, credential)
        self._accounts.send(signals.credential_created, actor, credential)
        self._rows.send_signal(signals.updated, actor, changed_model.row, changed=["api_key"])
        return credential

    def register(
        self, actor: Actor, target: ResourceRef, models: Sequence[Mapping[str, Any]]
    ) -> list[types.ModelRepresentation]:
        """Register models that use a credential, all or none.

        Raises:
            NotFoundError: The actor has no such credential.
            ValidationError: A model isn't valid, or its origin isn't the credential's.
            ForbiddenError: A model is to be shared with everyone, and the actor may not share.
            ModelIdTakenError: One of the actor's models, or a shared one, already has such a
                ``model_id``.
        """
        with self._accounts.lock(actor, target) as locked:
            rows = self._new_rows(actor, locked.row, models)
            if any(row["is_shared"] for row in rows):
                check_sharing(actor)
            connection = locked.connection
            self._check_not_taken(connection, actor, [row["model_id"] for row in rows])
            created = [self._insert(connection, actor, row) for row in rows]
        for each in created:
            self._rows.send_signal(signals.created, actor, each.row)
            if each.row["is_shared"]:
                self._rows.send_signal(signals.shared, actor, each.row)
        return [each.shown().representation for each in created]

    def _new_rows(
        self, actor: Actor, credential: Mapping[Any, Any], models: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the rows to insert, each checked."""
        destination = {name: credential[name] for name in ("model_provider", "base_url")}
        rows: list[dict[str, Any]] = []
        found: list[tuple[str, str]] = []
        for number, fields in enumerate(models):
            now = self._clock()
            new = {
                "uuid": self._new_uuid().hex,
                "owner_id": actor.key,
                "is_active": True,
                "version": 1,
                "created_at": now,
                "updated_at": None,
                "credential_id": credential["id"],
                "credential_updated_at": now,
            }
            rows.append(self._models.merged(new, {**destination, **fields}))
            problems = self._problems(credential, rows[-1])
            found += [(f"models.{number}.{name}", problem) for name, problem in problems]
        if found:
            raise ValidationError(found[:MAX_ERRORS])
        return rows

    def _problems(
        self, credential: Mapping[Any, Any], row: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        yield from problems(row)
        destination = (row["model_provider"], row["base_url"])
        yield from self._providers.problems(*destination, credential["kind"])
        if self._providers.is_moved(credential, row):
            yield "base_url", "Must be at the origin of the credential."

    def _check_not_taken(
        self, connection: sa.Connection, actor: Actor, model_ids: Sequence[str]
    ) -> None:
        """Name all taken ids in one error, because the constraint alone would not name them."""
        models = self._rows.queries.access.tables.models.c
        is_taken = (models.owner_id == actor.key) & models.model_id.in_(model_ids)
        if names := sorted(connection.scalars(sa.select(models.model_id).where(is_taken))):
            raise ModelIdTakenError(f"You already have models called: {', '.join(names)}.")

    def _insert(self, connection: sa.Connection, actor: Actor, row: dict[str, Any]) -> LockedModel:
        queries = self._rows.queries
        result = connection.execute(queries.insert, row)
        row["id"] = result.inserted_primary_key.id  # type: ignore[union-attr]  # one row
        self._models.write_abilities(connection, row["id"], (), row["abilities"] or ())
        return LockedModel(connection, actor, row, (), queries.access)

    def _use(self, locked: LockedModel, credential: Mapping[Any, Any]) -> LockedModel:
        now = self._clock()
        key = {"ciphertext": None, "key_id": None, "credential_id": credential["id"]}
        return locked.write({**key, "updated_at": now, "credential_updated_at": now})
