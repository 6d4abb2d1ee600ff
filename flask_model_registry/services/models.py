"""Create, read, change and delete models; the caller's transaction commits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .. import signals
from ..db.access import parameters_of, paths_for
from ..db.filters import QueryKey
from ..db.representation import RFC_3339, Model, to_dict
from ..errors import NotFoundError, UnreadableCredentialError, ValidationError
from ..policy import Action, check_active, check_change, check_sharing, needs_release
from ..schemas.categories import problems
from .rows import LockedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import sqlalchemy as sa

    from .. import types
    from ..policy import Actor
    from ..providers.known_providers import Providers
    from ..schemas.filters import Filters
    from .credentials import CredentialService
    from .defaults import Defaults
    from .resolved_model import ResolvedModel
    from .rows import ModelRef, Rows

# The columns that take a field of the request unchanged.
_PLAIN = (
    "model_id category model_name base_url temperature dimension abilities description is_active"
).split()
_SILENT = {"shared_model_id", "ciphertext", "key_id"}


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
        row = self._merged(new, fields)
        self._check(row, is_new_base_url=True)
        if row["is_shared"]:
            check_sharing(actor)
        row |= self._credentials.seal(row, fields["api_key"])
        row["credential_updated_at"] = row["created_at"]
        with self._rows.write_transaction(actor.key) as connection:
            result = connection.execute(self._queries.insert, row)
            row["id"] = result.inserted_primary_key.id  # type: ignore[union-attr]  # one row
            self._write_abilities(connection, row["id"], (), row["abilities"] or ())
        self._rows.send_signal(signals.created, actor, row)
        if row["is_shared"]:
            self._rows.send_signal(signals.shared, actor, row)
        return LockedModel(connection, actor, row, (), self._queries.access).shown()

    def get(self, actor: Actor, ref: int | str) -> Model:
        """Return the model with this id or ``model_id``, if the actor may see it."""
        row = self._rows.find_model(self._queries.one, actor, ref)
        return Model(to_dict(row), row.version)

    def list(
        self, actor: Actor, filters: Filters, *, limit: int | None = None
    ) -> list[types.ModelRepresentation]:
        """Return the models that the actor may see, ordered by id.

        Args:
            limit: At most so many, whatever the filters say.
        """
        key, parameters = QueryKey.of(self._canonical(filters), limit or filters.limit)
        connection = self._rows.connect()
        group_paths, of_actor = paths_for(actor, connection.dialect, key.most_groups)
        statement = self._queries.page(key, group_paths)
        rows = connection.execute(statement, {**parameters, **of_actor}).all()
        return [to_dict(row) for row in rows]

    def reachable(self, actor: Actor) -> Sequence[Mapping[Any, Any]]:
        """Return the active models with a key that a ``model_id`` leads the actor to, by id."""
        rows = self._rows.connect().execute(self._queries.reachable, parameters_of(actor))
        return rows.mappings().all()

    def reached(self, actor: Actor, model_id: str) -> Mapping[Any, Any]:
        """Return the one of these with this ``model_id``.

        Raises:
            NotFoundError: There is none.
        """
        found = self._rows.find_model(self._queries.secret, actor, model_id)
        row: Mapping[Any, Any] = found._mapping
        if not row["is_active"] or row["ciphertext"] is None:
            raise NotFoundError
        return row

    def summary(self, actor: Actor, filters: Filters) -> types.Summary:
        """Count the models that :meth:`list` would return, all pages of them."""
        key, parameters = QueryKey.of(replace(self._canonical(filters), after=None))
        parameters |= parameters_of(actor)
        counts: dict[str, Counter[str]] = {}
        for names, statement in self._queries.facets(key).items():
            counts |= {name: Counter() for name in names}
            for *values, count in self._rows.connect().execute(statement, parameters):
                for name, value in zip(names, values, strict=True):
                    counts[name][value] += count
        total = counts["by_category"].total()
        sums = {name: dict(sorted(each.items())) for name, each in counts.items()}
        return cast("types.Summary", {"total": total, **sums})

    def resolve(self, actor: Actor, ref: int | str) -> ResolvedModel:
        """Return what is needed to call the model, if the actor may use it."""
        row = self._rows.find_model(self._queries.secret, actor, ref)._mapping
        check_active(row)
        model = self._credentials.resolved(row)
        self._rows.send_signal(signals.resolved, actor, row)
        return model

    def credential(self, actor: Actor, ref: int | str) -> dict[str, Any]:
        """Return the state of a model's API key, never the API key itself."""
        row = self._rows.find_model(self._queries.secret, actor, ref)._mapping
        updated_at = row["credential_updated_at"]
        try:
            self._credentials.open(row)
            status = "readable"
        except UnreadableCredentialError:
            status = "unreadable"
        return {
            "is_set": row["ciphertext"] is not None,
            "status": status,
            "updated_at": None if updated_at is None else updated_at.strftime(RFC_3339),
        }

    def update(self, actor: Actor, target: ModelRef, fields: Mapping[str, Any]) -> Model:
        """Change the fields that are given; what they do not change is not written.

        Raises:
            ForbiddenError: Only the owner may change this; or it takes the right to share.
            ValidationError: The model would not be valid, or the API key would go to a new origin.
            ConflictError: The model is shared, or a default, and cannot change so.
        """
        with self._rows.lock_model(actor, target, Action.EDIT) as locked:
            new = self._merged(locked.row, fields)
            changed = {name: value for name, value in new.items() if value != locked.row[name]}
            self._check_change(locked, new, fields, changed)
            if "api_key" in fields:
                sealed = self._credentials.seal(new, fields["api_key"])
                if sealed["ciphertext"] != locked.row["ciphertext"]:
                    # With the key id in any case, as rotation may come between where nothing locks.
                    changed |= sealed
            if changed:
                locked = self._write(locked, changed)
        if changed:
            names = {*changed} - _SILENT | ({"api_key"} if "ciphertext" in changed else set())
            self._rows.send_signal(signals.updated, actor, locked.row, changed=sorted(names))
            if "is_shared" in changed:
                signal = signals.shared if changed["is_shared"] else signals.unshared
                self._rows.send_signal(signal, actor, locked.row)
        return locked.shown()

    def delete(self, actor: Actor, target: ModelRef) -> None:
        """Delete the model with its key, grants and defaults."""
        with self._rows.lock_model(actor, target, Action.DELETE) as locked:
            self._defaults.check_not_own_default(locked)
            for statement in self._queries.deletions:
                locked.connection.execute(statement, {"row_id": locked.row["id"]})
        self._rows.send_signal(signals.deleted, actor, locked.row)

    def _canonical(self, filters: Filters) -> Filters:
        if filters.model_provider is None:
            return filters
        provider = self._providers.catalogue.canonical(filters.model_provider)
        return replace(filters, model_provider=provider)

    def _merged(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        new = dict(row)
        for name in _PLAIN:
            if name in fields:
                new[name] = fields[name]
        if "model_provider" in fields:
            new["model_provider"] = self._providers.catalogue.canonical(fields["model_provider"])
        if "share_with_users" in fields:
            new["is_shared"] = fields["share_with_users"]
        new["shared_model_id"] = new["model_id"] if new["is_shared"] else None
        return new

    def _check(self, row: Mapping[str, Any], *, is_new_base_url: bool) -> None:
        found = [*problems(row)]
        if is_new_base_url:
            found += self._providers.problems(row["model_provider"], row["base_url"])
        if found:
            raise ValidationError(found)

    def _check_change(
        self,
        locked: LockedModel,
        new: Mapping[str, Any],
        fields: Mapping[str, Any],
        changed: Collection[str],
    ) -> None:
        old, has_key = locked.row, locked.row["ciphertext"] is not None
        names = {*changed}
        if "api_key" in fields and (has_key or fields["api_key"] is not None):
            names.add("api_key")
        is_new_base_url = "model_provider" in changed or "base_url" in changed
        moved = is_new_base_url and self._providers.is_moved(old, new)
        check_change(locked.actor, locked.actions, old, new, changed=names, moved=moved)
        self._check(new, is_new_base_url=is_new_base_url)
        if moved and has_key and "api_key" not in fields:
            raise ValidationError([("api_key", "Needed again for another provider or address.")])
        if needs_release(old, new):
            self._defaults.check_not_own_default(locked)

    def _write(self, locked: LockedModel, changed: Mapping[str, Any]) -> LockedModel:
        old, connection = locked.row, locked.connection
        moments = {"updated_at": self._clock()}
        if "ciphertext" in changed:
            moments["credential_updated_at"] = moments["updated_at"]
        locked = locked.write({**changed, **moments})
        if "abilities" in changed:
            self._write_abilities(
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

    def _write_abilities(
        self, connection: sa.Connection, row_id: int, old: Iterable[str], new: Iterable[str]
    ) -> None:
        # Row by row, as MariaDB locks the gaps between rows that a wider DELETE does not find.
        changes = (
            (self._queries.delete_ability, {*old} - {*new}),
            (self._queries.insert_ability, {*new} - {*old}),
        )
        for statement, abilities in changes:
            if abilities:
                rows = [{"row_id": row_id, "the_ability": each} for each in sorted(abilities)]
                connection.execute(statement, rows)
