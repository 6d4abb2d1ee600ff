"""Create, read, change and delete models. The caller commits the transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .. import signals
from ..db.access import parameters_of, paths_for
from ..db.columns import NOT_JSON, UnreadableList, readable
from ..db.representation import Model, changed_columns, rfc_3339, to_dict
from ..errors import NotFoundError, UnreadableCredentialError, ValidationError
from ..policy import Action, check_active, check_change, check_sharing, needs_defaults_cleared
from ..schemas.categories import problems
from ..schemas.fields import search_text
from ..schemas.filters import cursor_after, query_key
from ..schemas.limits import SEARCHED_DESCRIPTION_LENGTH
from .account_secrets import is_set, with_credential
from .rows import LockedModel

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import sqlalchemy as sa

    from .. import types
    from ..policy import Actor
    from ..providers.app_providers import Providers
    from ..schemas.filters import Filters
    from ..secret import Secret
    from .defaults import Defaults
    from .encryption import CredentialService
    from .resolved_model import ResolvedModel
    from .rows import ResourceRef, Rows

# The columns that are copied unchanged from a request's fields.
_COPIED = (
    "model_id category model_name base_url temperature dimension abilities description is_active "
    "parameters info"
).split()
_KEY = {"ciphertext", "credential_id"}
_UNANNOUNCED = {"shared_model_id", "search_text", "key_id", *_KEY}


class ModelService:
    """The models of one registry in one app."""

    def __init__(
        self,
        rows: Rows,
        credentials: CredentialService,
        defaults: Defaults,
        *,
        providers: Providers,
        clock: Callable[[], datetime],
        new_uuid: Callable[[], UUID],
    ) -> None:
        self._rows = rows
        self._queries = rows.queries
        self._credentials = credentials
        self._defaults = defaults
        self._providers = providers
        self._clock = clock
        self._new_uuid = new_uuid

    def create(self, actor: Actor, fields: Mapping[str, Any]) -> Model:
        """Register a model for the actor, from valid fields of the published request."""
        new = {
            "uuid": self._new_uuid().hex,
            "owner_id": actor.key,
            "is_active": True,
            "version": 1,
            "created_at": self._clock(),
            "updated_at": None,
        }
        row = self.merged(new, fields)
        destination = (row["model_provider"], row["base_url"])
        if found := [*problems(row), *self._providers.problems(*destination)]:
            raise ValidationError(found)
        if row["is_shared"]:
            check_sharing(actor)
        row |= self._credentials.encrypt(row, fields["api_key"])
        row["credential_updated_at"] = row["created_at"]
        with self._rows.write_transaction(actor.key) as connection:
            result = connection.execute(self._queries.insert, row)
            row["id"] = result.inserted_primary_key.id  # type: ignore[union-attr]  # one row
            self.write_abilities(connection, row["id"], (), row["abilities"] or ())
        self._rows.send_signal(signals.created, actor, row)
        if row["is_shared"]:
            self._rows.send_signal(signals.shared, actor, row)
        return LockedModel(connection, actor, row, (), self._queries.access).shown()

    def get(self, actor: Actor, ref: int | str) -> Model:
        """Return the model with this id or ``model_id``, if the actor may see it."""
        row = self._rows.find_model(self._queries.one, actor, ref)
        return Model(to_dict(row), row.version)

    def list(self, actor: Actor, filters: Filters) -> list[types.ModelRepresentation]:
        """Return the models that the actor may see."""
        return self.page(actor, filters, filters.limit)[0]

    def page(
        self, actor: Actor, filters: Filters, size: int | None
    ) -> tuple[builtins.list[types.ModelRepresentation], str | None]:
        """Return a page of models, and the cursor of the next page if there are more."""
        if filters.model_provider is not None:
            filters = self.canonical(filters)
        key, parameters = query_key(filters, size and size + 1)
        connection = self._rows.connect()
        group_paths, actor_parameters = paths_for(actor, connection.dialect, key)
        statement = self._queries.page(key, group_paths)
        parameters |= actor_parameters
        try:
            rows = connection.execute(statement, parameters).all()
        except NOT_JSON:
            rows = connection.execute(readable(statement), parameters).all()
        after = cursor_after(rows[size - 1], filters) if size and len(rows) > size else None
        return [*map(to_dict, rows[:size])], after

    def reachable(self, actor: Actor) -> Sequence[Mapping[Any, Any]]:
        """Return the active models that the actor can call by ``model_id``, ordered by id."""
        rows = self._rows.connect().execute(self._queries.reachable, parameters_of(actor))
        return rows.mappings().all()

    def get_reachable(self, actor: Actor, model_id: str) -> Mapping[Any, Any]:
        """Return the reachable model with this ``model_id``.

        Raises:
            NotFoundError: There is none.
        """
        found = self._rows.find_model(self._queries.secret, actor, model_id)
        row: Mapping[Any, Any] = found._mapping
        if row["credential_id"] is not None:
            row = with_credential(self._rows, row)
        if not (row["is_active"] and is_set(row.get("credential") or row)):
            raise NotFoundError
        return row

    def summary(self, actor: Actor, filters: Filters) -> types.Summary:
        """Count the models that :meth:`list` would return, all pages of them."""
        filters = replace(self.canonical(filters), after=None, after_value=None, sort="id")
        key, parameters = query_key(filters, None)
        counts: dict[str, Counter[str]] = {}
        connection = self._rows.connect()
        group_paths, actor_parameters = paths_for(actor, connection.dialect, key)
        parameters |= actor_parameters
        for names, statement in self._queries.facets(key, group_paths).items():
            counts |= {name: Counter() for name in names}
            for *values, count in connection.execute(statement, parameters):
                for name, value in zip(names, values, strict=True):
                    counts[name][value] += count
        total = counts["by_category"].total()
        sums = {name: dict(sorted(each.items())) for name, each in counts.items()}
        return cast("types.Summary", {"total": total, **sums})

    def resolve(self, actor: Actor, ref: int | str) -> ResolvedModel:
        """Return what is needed to call the model, if the actor may use it."""
        row = self._rows.find_model(self._queries.secret, actor, ref)._mapping
        check_active(row)
        if row["credential_id"] is not None:
            row = with_credential(self._rows, row)
        model = self._credentials.resolve(row)
        if signals.resolved.receivers:  # few apps have one, and this runs for each call to a model
            self._rows.send_signal(signals.resolved, actor, row)
        return model

    def credential(self, actor: Actor, ref: int | str) -> dict[str, Any]:
        """Return the state of a model's API key, never the API key itself."""
        row = self._rows.find_model(self._queries.secret, actor, ref)._mapping
        if row["credential_id"] is not None:
            row = with_credential(self._rows, row)
        account = row.get("credential") or {}
        updated_at = account.get("secret_updated_at", row["credential_updated_at"])
        try:
            self._credentials.secret(row)
            status = "readable"
        except UnreadableCredentialError:
            status = "unreadable"
        return {
            "is_set": is_set(account or row),
            "status": status,
            "updated_at": rfc_3339(updated_at),
            "credential": account.get("id") if row["is_owner"] else None,
            "expires_at": rfc_3339(account.get("expires_at")),
        }

    def update(self, actor: Actor, target: ResourceRef, fields: Mapping[str, Any]) -> Model:
        """Change the given fields, and write only what differs.

        Raises:
            ForbiddenError: Only the owner may change this, or it needs permission to share.
            ValidationError: The model would not be valid, or the API key would go to a new origin.
            ConflictError: The model is shared or a default, which does not allow this change.
        """
        with self._rows.lock_model(actor, target, Action.EDIT) as locked:
            new = self.merged(locked.row, fields)
            changed = changed_columns(locked.row, new)
            self._check_change(locked, new, fields, changed)
            if "api_key" in fields:
                changed |= self._new_key(locked, new, fields["api_key"])
            if changed:
                locked = self._write(locked, changed)
        if changed:
            names = {*changed} - _UNANNOUNCED | ({"api_key"} if changed.keys() & _KEY else set())
            self._rows.send_signal(signals.updated, actor, locked.row, changed=sorted(names))
            if "is_shared" in changed:
                signal = signals.shared if changed["is_shared"] else signals.unshared
                self._rows.send_signal(signal, actor, locked.row)
        return locked.shown()

    def _new_key(
        self, locked: LockedModel, new: Mapping[str, Any], api_key: Secret | None
    ) -> dict[str, Any]:
        """Return the columns of the API key that change."""
        changed: dict[str, Any] = {}
        encrypted = self._credentials.encrypt(new, api_key)
        if encrypted["ciphertext"] != locked.row["ciphertext"]:
            # Include an unchanged key id, because without row locks a rotation may change it.
            changed |= encrypted
        if locked.row["credential_id"] is not None:
            changed["credential_id"] = None
        return changed

    def delete(self, actor: Actor, target: ResourceRef) -> None:
        """Delete the model with its API key, grants and defaults."""
        with self._rows.lock_model(actor, target, Action.DELETE) as locked:
            self._defaults.check_not_own_default(locked)
            for statement in self._queries.deletions:
                locked.connection.execute(statement, {"row_id": locked.row["id"]})
        self._rows.send_signal(signals.deleted, actor, locked.row)

    def canonical(self, filters: Filters) -> Filters:
        """Return filters with the provider's id instead of an alias."""
        if filters.model_provider is None:
            return filters
        provider = self._providers.catalogue.canonical(filters.model_provider)
        return replace(filters, model_provider=provider)

    def merged(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with fields of a request."""
        new = dict(row)
        for name in _COPIED:
            if name in fields:
                new[name] = fields[name]
        # Unchanged values stay as stored, even if a new model would be saved in another form.
        if "model_provider" in fields and fields["model_provider"] != row.get("model_provider"):
            new["model_provider"] = self._providers.catalogue.canonical(fields["model_provider"])
        if new["base_url"] is not None and new["base_url"] != row.get("base_url"):
            new["base_url"] = self._providers.base_url_of(new["base_url"], new["model_provider"])
        if "share_with_users" in fields:
            new["is_shared"] = fields["share_with_users"]
        new["shared_model_id"] = new["model_id"] if new["is_shared"] else None
        description = (new["description"] or "")[:SEARCHED_DESCRIPTION_LENGTH]
        names = (new["model_id"], new["model_name"], new["model_provider"])
        new["search_text"] = search_text(*names, *(new["abilities"] or ()), description)
        return new

    def _check_change(
        self,
        locked: LockedModel,
        new: Mapping[str, Any],
        fields: Mapping[str, Any],
        changed: Collection[str],
    ) -> None:
        old = locked.row
        has_key = old["ciphertext"] is not None or old["credential_id"] is not None
        names = {*changed}
        if "api_key" in fields and (has_key or fields["api_key"] is not None):
            names.add("api_key")
        is_new_base_url = "model_provider" in changed or "base_url" in changed
        # A cloud credential needs no URL, but an API key may.
        needs_base_url = new["base_url"] is None and fields.get("api_key") is not None
        moved = is_new_base_url and self._providers.is_moved(old, new)
        check_change(locked.actor, locked.actions, old, new, changed=names, moved=moved)
        found = [*problems(new)]
        if is_new_base_url or needs_base_url:
            found += self._providers.problems(new["model_provider"], new["base_url"])
        if found:
            raise ValidationError(found)
        if moved and has_key and "api_key" not in fields:
            raise ValidationError(
                [("api_key", "Needed again for another provider, scheme, host or port.")]
            )
        if needs_defaults_cleared(old, new):
            self._defaults.check_not_own_default(locked)

    def _write(self, locked: LockedModel, changed: Mapping[str, Any]) -> LockedModel:
        old, connection = locked.row, locked.connection
        times = {"updated_at": self._clock()}
        if changed.keys() & _KEY:
            times["credential_updated_at"] = times["updated_at"]
        locked = locked.write({**changed, **times})
        if "abilities" in changed:
            if isinstance(old["abilities"], UnreadableList):  # its rows are unknown
                connection.execute(self._queries.deletions[0], {"row_id": old["id"]})
            self.write_abilities(
                connection, old["id"], old["abilities"] or (), changed["abilities"] or ()
            )
        if "model_id" in changed:
            renamed = {"row_id": old["id"], "the_model_id": changed["model_id"]}
            connection.execute(self._queries.rename_grants, renamed)
        if "category" in changed:
            self._defaults.clear_all(locked)
        if "is_shared" in changed:
            self._defaults.clear_invisible(locked)
        return locked

    def write_abilities(
        self, connection: sa.Connection, row_id: int, old: Iterable[str], new: Iterable[str]
    ) -> None:
        """Write the difference between the former abilities and the new ones."""
        # Row by row, because MariaDB locks the gaps where a wider DELETE finds no rows.
        changes = (
            (self._queries.delete_ability, {*old} - {*new}),
            (self._queries.insert_ability, {*new} - {*old}),
        )
        for statement, abilities in changes:
            if abilities:
                rows = []
                for each in sorted(abilities):
                    rows.append({"row_id": row_id, "the_ability": each})
                connection.execute(statement, rows)
