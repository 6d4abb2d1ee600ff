"""Credentials: accounts of users at providers, each with a secret that several models use.

Lock the credential first, then its models by id, because another order often deadlocks.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import signals
from ..db.columns import readable_columns
from ..db.representation import credential_tag, credential_to_dict
from ..db.user_deletion import detachment
from ..errors import ConflictError, NotFoundError, ValidationError
from ..policy import check_unused
from ..schemas.limits import MAX_ID
from .account_models import AccountModels, LockedCredential
from .account_secrets import (
    AccountSecret,
    encrypted_columns,
    encryption_row,
    merged_secret,
    merged_settings,
    secret_state,
    without_secret,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from .. import types
    from ..policy import Actor
    from ..providers.app_providers import Providers
    from .encryption import CredentialService
    from .rows import LockedModel, ResourceRef, Rows

_NOT_MERGED = "The secret is kept elsewhere, so it can't be changed in part. Replace it whole."


class AccountCredentials:
    """The credentials of one registry in one app, each of which only its owner sees."""

    def __init__(
        self,
        rows: Rows,
        credentials: CredentialService,
        *,
        providers: Providers,
        clock: Callable[[], datetime],
        new_uuid: Callable[[], UUID],
    ) -> None:
        self._rows = rows
        self._secrets = credentials
        self._providers = providers
        self._clock = clock
        self._new_uuid = new_uuid
        self._tables = tables = rows.queries.access.tables
        self._table = tables.credentials
        self._columns = readable_columns(tables.credentials)
        self._account_models = AccountModels(rows)

    def create(self, actor: Actor, fields: Mapping[str, Any]) -> Mapping[Any, Any]:
        """Create a credential for the actor, from valid fields, and return its row.

        Raises:
            ValidationError: The provider is unknown, the base URL is refused, or the
                ``secret_source`` gives no secret for a reference.
            CredentialNameTakenError: The actor has a credential with this name.
        """
        row = {**self._new_row(actor, fields), **self._destination(fields, fields["kind"])}
        self._check_reference(row, fields)
        row |= self._new_secret(row, fields)
        with self._rows.write_transaction(actor.key) as connection:
            row["id"] = self._insert(connection, row)
        self.send(signals.credential_created, actor, row)
        return row

    def list(
        self, actor: Actor, *, after: int = 0, limit: int | None = None
    ) -> Sequence[types.Credential]:
        """Return the actor's credentials, ordered by id."""
        condition = (self._table.c.owner_id == actor.key) & (self._table.c.id > after)
        shown = (each for each in self._columns if each.name != "ciphertext")  # may be long
        statement = sa.select(*shown).where(condition).order_by(self._table.c.id).limit(limit)
        rows = self._rows.connect().execute(statement).mappings()
        return [credential_to_dict(row) for row in rows]

    def get(self, actor: Actor, credential_id: int | str) -> Mapping[Any, Any]:
        """Return the row of one of the actor's credentials.

        Raises:
            NotFoundError: The actor has no credential with this id.
        """
        return self._find(self._rows.connect(), actor, credential_id)

    def update(
        self, actor: Actor, target: ResourceRef, fields: Mapping[str, Any]
    ) -> Mapping[Any, Any]:
        """Change some fields and return the row.

        Models at the old base URL get the new provider and base URL too.

        Raises:
            ValidationError: The provider or origin changes without the whole secret, or the
                ``secret_source`` returns no secret for a new reference.
            CredentialInUseError: The provider or origin changes, but some of the models are at
                another path.
            ForbiddenError: A model is shared with everyone, and the actor may not share.
        """
        has_secret = not {"secret", "reference"}.isdisjoint(fields)
        if "reference" in fields:
            self._check_reference(self._changed(self.get(actor, target.ref), fields), fields)
        with self.lock(actor, target) as locked:
            old = locked.row
            new = self._changed(old, fields)
            changed = {name: value for name, value in new.items() if value != old[name]}
            moved = self._providers.is_moved(old, new)
            if moved and not has_secret:
                missing = "secret" if old["reference"] is None else "reference"
                raise ValidationError([(missing, "Required for another provider or origin.")])
            if {"settings", "model_provider", "base_url"} & {*changed} or has_secret:
                self._account_models.check_shared(actor, locked)
            if has_secret:
                changed |= {**self._new_secret(new, fields), "secret_updated_at": self._clock()}
            address = sorted({"model_provider", "base_url"} & {*changed})
            models: Sequence[LockedModel] = ()
            if address:
                now = self._clock()
                models = self._account_models.move(actor, locked, new, moved=moved, now=now)
            new = self._write(locked, changed) if changed else dict(old)
            if "settings" in changed:
                self._account_models.clear_tests(locked)
        self._send_updated(actor, new, changed)
        for each in models:
            self._rows.send_signal(signals.updated, actor, each.row, changed=address)
        return new

    def delete(self, actor: Actor, target: ResourceRef, *, detach: bool = False) -> None:
        """Delete a credential.

        Args:
            detach: Whether models that use it are left without an API key.

        Raises:
            CredentialInUseError: Models use it, and ``detach`` is false.
            ForbiddenError: One is shared with everyone, and the actor may not share.
        """
        with self.lock(actor, target) as locked:
            models = self._account_models.lock(actor, locked)
            if not detach:
                check_unused([each.row for each in models])
            self._account_models.check_shared(actor, locked)
            now = self._clock()
            times = {"updated_at": now, "credential_updated_at": now}
            detached = [each.write({"credential_id": None, **times}) for each in models]
            is_credential = self._table.c.id == locked.row["id"]
            # A model that 0.1.0 or SQL gave to another owner may still refer to the credential.
            locked.connection.execute(detachment(self._tables, is_credential))
            locked.connection.execute(sa.delete(self._table).where(is_credential))
        for each in detached:
            self._rows.send_signal(signals.updated, actor, each.row, changed=["api_key"])
        self.send(signals.credential_deleted, actor, locked.row)

    def secret_state(self, actor: Actor, credential_id: int | str) -> types.SecretState:
        """Return whether a secret can be decrypted, and the names of its parts."""
        return secret_state(self._secrets, self.get(actor, credential_id))

    def set_secret(
        self, actor: Actor, target: ResourceRef, fields: Mapping[str, Any], *, merge: bool = False
    ) -> None:
        """Replace the secret of a credential, or change part of it.

        Args:
            merge: Whether omitted fields stay, and null removes headers.

        Raises:
            ForbiddenError: A model is shared with everyone, and the actor may not share.
            UnreadableCredentialError: For a merge, the present secret can't be decrypted.
            ValidationError: A field doesn't belong to the kind, a required one is missing, there
                would be too many headers, or the ``secret_source`` has no secret for a reference.
            ConflictError: For a merge, the secret is kept elsewhere.
        """
        if "reference" in fields:
            self._check_reference(self.get(actor, target.ref), fields)
        with self.lock(actor, target) as locked:
            self._account_models.check_shared(actor, locked)
            kind, given = locked.row["kind"], fields
            if merge and "reference" not in fields:
                if locked.row["reference"] is not None:
                    raise ConflictError(_NOT_MERGED)
                old = AccountSecret.of(self._secrets.decrypt(encryption_row(locked.row)), kind)
                given = {"secret": merged_secret(old, fields)}
            elif "reference" not in fields:
                given = {"secret": AccountSecret.from_fields(kind, fields)}
            changed = self._new_secret(locked.row, given) | {"secret_updated_at": self._clock()}
            new = self._write(locked, changed)
        self._send_updated(actor, new, changed)

    @contextmanager
    def lock(self, actor: Actor, target: ResourceRef) -> Iterator[LockedCredential]:
        """Lock one of the actor's credentials while the block writes.

        Raises:
            NotFoundError: The actor has no credential with this id.
            PreconditionFailedError: It is not in the state that the actor expects.
        """
        with self._rows.write_transaction(actor.key) as connection:
            row = self._find(connection, actor, target.ref, lock=True)
            if target.check is not None:
                target.check(credential_tag(row), "credential")
            yield LockedCredential(connection, row)

    def lock_row(
        self, connection: sa.Connection, actor: Actor, credential_id: int
    ) -> Mapping[Any, Any] | None:
        """Return the row of one of the actor's credentials, locked, if there is one."""
        with suppress(NotFoundError):
            return self._find(connection, actor, credential_id, lock=True)
        return None

    def insert_for(self, model: LockedModel, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Insert a credential from a model's own API key, for the same origin; return its row.

        Raises:
            UnreadableCredentialError: The model has no API key that can be decrypted.
        """
        secret = AccountSecret.of_key(self._secrets.decrypt(model.row))
        row = self._new_row(model.actor, fields)
        row |= {name: model.row[name] for name in ("model_provider", "base_url")}
        row |= encrypted_columns(self._secrets, row, secret)
        row["id"] = self._insert(model.connection, row)
        return row

    def _new_row(self, actor: Actor, fields: Mapping[str, Any]) -> dict[str, Any]:
        now = self._clock()
        return {
            "uuid": self._new_uuid().hex,
            "owner_id": actor.key,
            "name": fields["name"],
            "kind": fields["kind"],
            "settings": merged_settings(fields["kind"], {}, fields["settings"]),
            "expires_at": fields["expires_at"],
            "version": 1,
            "created_at": now,
            "updated_at": None,
            "secret_updated_at": now,
        }

    def _insert(self, connection: sa.Connection, row: Mapping[str, Any]) -> int:
        inserted = connection.execute(sa.insert(self._table), row).inserted_primary_key
        return int(inserted.id)  # type: ignore[union-attr]  # one row

    def _destination(self, fields: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """Return the columns that decide where a credential may be sent."""
        provider = self._providers.catalogue.canonical(fields["model_provider"])
        base_url = fields["base_url"] and self._providers.base_url_of(fields["base_url"], provider)
        if problems := [*self._providers.problems(provider, base_url, kind)]:
            raise ValidationError(problems)
        return {"model_provider": provider, "base_url": base_url}

    def _changed(self, row: Mapping[Any, Any], fields: Mapping[str, Any]) -> dict[Any, Any]:
        """Return a row with the fields of a change, except for the secret."""
        new = {**row, **{name: fields[name] for name in ("name", "expires_at") if name in fields}}
        if "settings" in fields:
            new["settings"] = merged_settings(row["kind"], row["settings"], fields["settings"])
        if "model_provider" in fields or "base_url" in fields:
            new |= self._destination({**row, **fields}, row["kind"])
        return new

    def _check_reference(self, row: Mapping[Any, Any], fields: Mapping[str, Any]) -> None:
        """Ask the host about a reference. Do so before taking a lock, because it may be slow."""
        if "reference" in fields:
            self._secrets.secret_source.check(row, fields["reference"])

    def _new_secret(self, row: Mapping[Any, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a new secret, or of a reference to one."""
        if "reference" in fields:
            return without_secret(fields["reference"])
        secret = fields.get("secret")
        if isinstance(secret, dict):
            secret = AccountSecret.from_fields(row["kind"], secret, "secret.")
        return encrypted_columns(self._secrets, row, secret)

    def _find(
        self, connection: sa.Connection, actor: Actor, ref: Any, *, lock: bool = False
    ) -> Mapping[Any, Any]:
        if not isinstance(ref, int) or isinstance(ref, bool) or not 0 < ref <= MAX_ID:
            raise NotFoundError
        condition = (self._table.c.id == ref) & (self._table.c.owner_id == actor.key)
        statement = sa.select(*self._columns).where(condition)
        row = connection.execute(statement).mappings().first()
        if lock and row is not None:
            # Only now, because on MariaDB other users would wait for the lock too, which reveals
            # that the credential exists.
            row = connection.execute(statement.with_for_update()).mappings().first()
        if row is None:
            raise NotFoundError
        return row

    def _write(self, locked: LockedCredential, changed: Mapping[str, Any]) -> dict[str, Any]:
        version = locked.row["version"]
        is_unchanged = (self._table.c.id == locked.row["id"]) & (self._table.c.version == version)
        values = {**changed, "version": version + 1, "updated_at": self._clock()}
        change = sa.update(self._table).where(is_unchanged)
        if locked.connection.execute(change, values).rowcount != 1:
            raise ConflictError("The credential was changed at the same time. Fetch it and retry.")
        return {**locked.row, **values}

    def _send_updated(
        self, actor: Actor, row: Mapping[Any, Any], changed: Mapping[str, Any]
    ) -> None:
        if changed:
            hidden = {"ciphertext", "key_id", "secret_names", "secret_updated_at", "reference"}
            names = {*changed} - hidden | ({"secret"} if "ciphertext" in changed else set())
            self.send(signals.credential_updated, actor, row, changed=sorted(names))

    def send(self, signal: Any, actor: Actor | None, row: Mapping[Any, Any], **facts: Any) -> None:
        """Send a signal about a credential."""
        facts |= {"credential": row["id"], "name": row["name"], "owner": row["owner_id"]}
        self._rows.send_signal(signal, actor, **facts)
