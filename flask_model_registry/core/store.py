"""Create, read, change and delete models; whoever owns the transaction commits, not this."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import (
    ConflictError,
    ForbiddenError,
    InactiveModelError,
    UnreadableCredentialError,
    ValidationError,
)
from . import rules, signals
from .access import Action
from .branches import parameters_for, places_for
from .representation import Model, in_text, represented
from .rows import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import sqlalchemy as sa

    from .access import Actor
    from .defaults import Defaults
    from .filters import Filters
    from .ports import Endpoints
    from .resolver import ResolvedModel
    from .rows import Rows, Target
    from .vault import Vault

# The columns that take a field of the request as it is.
_PLAIN = (
    "model_id category model_name base_url temperature dimension abilities description is_active"
).split()
_ADDRESS = ("model_provider", "base_url")
# What a model that is shared keeps until it is not.
_PROMISED = ("category", "abilities")
_SILENT = {"shared_model_id", "ciphertext", "key_id"}


class Store:
    """The models of one registry in one app."""

    def __init__(
        self,
        rows: Rows,
        vault: Vault,
        defaults: Defaults,
        *,
        endpoints: Endpoints,
        clock: Callable[[], datetime],
        new_uuid: Callable[[], UUID],
    ) -> None:
        self._rows = rows
        self._queries = rows.queries
        self._vault = vault
        self._defaults = defaults
        self._endpoints = endpoints
        self._clock = clock
        self._new_uuid = new_uuid

    def create(self, actor: Actor, fields: Mapping[str, Any]) -> Model:
        """Register a model for the actor, from valid fields of the published request."""
        row = self._merged(self._new_row(actor), fields)
        self._check(row, _ADDRESS)
        if row["is_shared"]:
            actor.check_may_share()
        row |= self._vault.sealed(row, fields["api_key"])
        row["credential_updated_at"] = row["created_at"]
        with self._rows.writing(actor.key) as connection:
            result = connection.execute(self._queries.insert, row)
            row["id"] = result.inserted_primary_key.id  # type: ignore[union-attr]  # one row
            self._write_abilities(connection, row["id"], (), row["abilities"] or ())
        self._rows.announce(signals.created, actor, row)
        if row["is_shared"]:
            self._rows.announce(signals.shared, actor, row)
        return Held(connection, actor, row, (), self._queries.access).shown()

    def get(self, actor: Actor, ref: int | str) -> Model:
        """Return the model with this id or ``model_id``, if the actor may see it."""
        row = self._rows.one(self._queries.one, actor, ref)
        return Model(represented(row), row.version)

    def list(self, actor: Actor, filters: Filters) -> list[dict[str, Any]]:
        """Return the models that the actor may see, ordered by id."""
        filters = self._canonical(filters)
        connection = self._rows.connect()
        places = places_for(actor, connection.dialect, filters.shape.most_places)
        parameters = {**filters.parameters, **parameters_for(actor, places)}
        rows = connection.execute(self._queries.page(filters.shape, places), parameters).all()
        return [represented(row) for row in rows]

    def reachable(self, actor: Actor) -> Sequence[Mapping[Any, Any]]:
        """Return the active models with a key that a ``model_id`` leads the actor to, by id."""
        rows = self._rows.connect().execute(self._queries.reachable, actor.parameters)
        return rows.mappings().all()

    def summary(self, actor: Actor, filters: Filters) -> dict[str, Any]:
        """Count the models that :meth:`list` would return, all pages of them."""
        filters = replace(self._canonical(filters), after=None, limit=None)
        parameters = {**filters.parameters, **actor.parameters}
        counts: dict[str, Counter[str]] = {}
        for names, statement in self._queries.facets(filters.shape).items():
            counts |= {name: Counter() for name in names}
            for *values, count in self._rows.connect().execute(statement, parameters):
                for name, value in zip(names, values, strict=True):
                    counts[name][value] += count
        total = counts["by_category"].total()
        return {
            "total": total,
            **{name: dict(sorted(each.items())) for name, each in counts.items()},
        }

    def resolve(self, actor: Actor, ref: int | str) -> ResolvedModel:
        """Return what is needed to call the model, if the actor may use it."""
        row = self._rows.one(self._queries.secret, actor, ref)._mapping
        if not row["is_active"]:
            raise InactiveModelError
        model = self._vault.resolved(row)
        self._rows.announce(signals.resolved, actor, row)
        return model

    def credential(self, actor: Actor, ref: int | str) -> dict[str, Any]:
        """Tell whether the model has a key that opens, and since when."""
        row = self._rows.one(self._queries.secret, actor, ref)._mapping
        try:
            self._vault.opened(row)
            status = "readable"
        except UnreadableCredentialError:
            status = "unreadable"
        return {
            "is_set": row["ciphertext"] is not None,
            "status": status,
            "updated_at": in_text(row["credential_updated_at"]),
        }

    def update(self, actor: Actor, target: Target, fields: Mapping[str, Any]) -> Model:
        """Change the fields that are given; what they do not change is not written.

        Raises:
            ForbiddenError: Only the owner may change this; or the owner may not share.
            ValidationError: The model would not be valid, or the key would go to a new address.
            ConflictError: The model is shared, or a default, and cannot change so.
        """
        with self._rows.held(actor, target, Action.EDIT) as held:
            new = self._merged(held.row, fields)
            self._check_change(held, new, has_key="api_key" in fields)
            if "api_key" in fields:
                new |= self._vault.sealed(new, fields["api_key"])
            changed = _difference(held.row, new)
            if "ciphertext" in changed:
                # With the key id in any case, as rotation may come between where nothing locks.
                changed["key_id"] = new["key_id"]
            if changed:
                held = self._changed(held, changed)
        if changed:
            self._announce_change(held, changed)
        return held.shown()

    def delete(self, actor: Actor, target: Target) -> None:
        """Delete the model with its key, grants and defaults."""
        with self._rows.held(actor, target, Action.DELETE) as held:
            self._defaults.refuse_own(held)
            for statement in self._queries.deletions:
                held.connection.execute(statement, {"row_id": held.row["id"]})
        self._rows.announce(signals.deleted, actor, held.row)

    def _canonical(self, filters: Filters) -> Filters:
        if filters.model_provider is None:
            return filters
        provider = self._endpoints.canonical(filters.model_provider)
        return replace(filters, model_provider=provider)

    def _new_row(self, actor: Actor) -> dict[str, Any]:
        return {
            "uuid": self._new_uuid().hex,
            "owner_id": actor.key,
            "is_active": True,
            "version": 1,
            "created_at": self._clock(),
            "updated_at": None,
        }

    def _merged(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        new = {**row, **{name: fields[name] for name in _PLAIN if name in fields}}
        if "model_provider" in fields:
            new["model_provider"] = self._endpoints.canonical(fields["model_provider"])
        if "share_with_users" in fields:
            new["is_shared"] = fields["share_with_users"]
        new["shared_model_id"] = new["model_id"] if new["is_shared"] else None
        return new

    def _check(self, row: Mapping[str, Any], changed: Iterable[str]) -> None:
        faults = [*rules.faults(row)]
        if not {*_ADDRESS}.isdisjoint(changed):
            faults += self._endpoints.faults(row["model_provider"], row["base_url"])
        if faults:
            raise ValidationError(faults)

    def _check_change(self, held: Held, new: Mapping[str, Any], *, has_key: bool) -> None:
        old, owner = held.row, held.is_owner
        changed = _difference(old, new).keys()
        moved = self._vault.destination(old) != self._vault.destination(new)
        if not owner and (moved or not changed.isdisjoint({"model_id", "is_shared"})):
            raise ForbiddenError(
                "Only the owner may change the model_id, the provider, the host or the sharing."
            )
        self._check(new, changed)
        if moved and not has_key and old["ciphertext"] is not None:
            raise ValidationError([("api_key", "Needed again for another provider or address.")])
        if new["is_shared"] and (moved or not old["is_shared"]):
            held.actor.check_may_share()
        if old["is_shared"] and new["is_shared"] and not changed.isdisjoint(_PROMISED):
            raise ConflictError("A model that is shared keeps its category and abilities.")
        if "category" in changed or (old["is_shared"] and not new["is_shared"]):
            self._defaults.refuse_own(held)

    def _changed(self, held: Held, changed: Mapping[str, Any]) -> Held:
        old, connection = held.row, held.connection
        moments = {"updated_at": self._clock()}
        if "ciphertext" in changed:
            moments["credential_updated_at"] = moments["updated_at"]
        held = held.write({**changed, **moments})
        if "abilities" in changed:
            self._write_abilities(
                connection, old["id"], old["abilities"] or (), changed["abilities"] or ()
            )
        if "model_id" in changed:
            connection.execute(
                self._queries.rename_grants, {"row_id": old["id"], "handle": changed["model_id"]}
            )
        if "category" in changed:
            self._defaults.forget(held)
        if "is_shared" in changed:
            self._defaults.forget_blind(held)
        return held

    def _announce_change(self, held: Held, changed: Mapping[str, Any]) -> None:
        names = sorted({*changed} - _SILENT | ({"api_key"} if "ciphertext" in changed else set()))
        self._rows.announce(signals.updated, held.actor, held.row, changed=names)
        if "is_shared" in changed:
            signal = signals.shared if changed["is_shared"] else signals.unshared
            self._rows.announce(signal, held.actor, held.row)

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


def _difference(old: Mapping[Any, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in new.items() if value != old[name]}
