"""Details beyond a model's 17 fields, such as its URL, its grants and the last test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..db.access import parameters_of, paths_for
from ..db.details import DetailQueries
from ..db.representation import Model, rfc_3339, to_dict
from ..errors import NoAddressError
from ..policy import Relation, relations
from ..schemas.filters import cursor_after, query_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .. import types
    from ..policy import Actor
    from ..providers.app_providers import Providers
    from ..schemas.filters import Filters
    from .models import ModelService
    from .rows import Rows

_NAMES: Mapping[Relation, types.Relation] = {
    Relation.OWNER: "owner",
    Relation.EVERYONE: "everyone",
    Relation.GRANTEE: "grantee",
    Relation.GROUP: "group",
}


class Details:
    """The details of the models of one registry in one app. Nothing is decrypted for them."""

    def __init__(self, rows: Rows, models: ModelService, providers: Providers) -> None:
        self._rows = rows
        self._models = models
        self._providers = providers
        self._queries = DetailQueries(rows.queries)

    def parameters(self, actor: Actor, ref: int | str) -> tuple[types.Parameters, Model]:
        """Return the parameters and the info of a model, and the model.

        Raises:
            NotFoundError: The model doesn't exist, or the actor can't see it.
        """
        row = self._rows.find_model(self._queries.one, actor, ref)._mapping
        return parameters_to_dict(row), Model(to_dict(row.values()), row["version"])

    def get(self, actor: Actor, ref: int | str) -> types.ModelDetails:
        """Return the details of one model.

        Raises:
            NotFoundError: The model doesn't exist, or the actor can't see it.
        """
        row = self._rows.find_model(self._queries.one, actor, ref)._mapping
        return self._shown(actor, [row])[0]

    def page(
        self, actor: Actor, filters: Filters, size: int
    ) -> tuple[list[types.ModelDetails], str | None]:
        """Return the details of the models that ``ModelService.page`` returns."""
        key, parameters = query_key(self._models.canonical(filters), size + 1)
        connection = self._rows.connect()
        group_paths, actor_parameters = paths_for(actor, connection.dialect, key)
        statement = self._queries.page(key, group_paths)
        rows = connection.execute(statement, {**parameters, **actor_parameters}).all()
        after = cursor_after(rows[size - 1], filters) if len(rows) > size else None
        return self._shown(actor, [row._mapping for row in rows[:size]]), after

    def _shown(self, actor: Actor, rows: Sequence[Mapping[Any, Any]]) -> list[types.ModelDetails]:
        granted: dict[int, list[Mapping[Any, Any]]] = {row["id"]: [] for row in rows}
        counts: dict[int, types.GrantCounts] = {}
        connection = self._rows.connect()
        if rows:
            ids = {"ids": [*granted], **parameters_of(actor)}
            for grant in connection.execute(self._queries.grants_of_actor, ids).mappings():
                granted[grant["model_row_id"]].append(grant)
        if own := [row["id"] for row in rows if row["is_owner"]]:
            counts = {row_id: {"users": 0, "groups": 0} for row_id in own}
            for row_id, users, groups in connection.execute(
                self._queries.counts_of_grants, {"ids": own}
            ):
                counts[row_id] = {"users": users, "groups": groups}
        return [
            self._details(actor, row, granted[row["id"]], counts.get(row["id"])) for row in rows
        ]

    def _details(
        self,
        actor: Actor,
        row: Mapping[Any, Any],
        grants: Sequence[Mapping[Any, Any]],
        counts: types.GrantCounts | None,
    ) -> types.ModelDetails:
        related = relations(actor, row, grants)
        kinds = {relation for relation, _ in related}
        groups = {grant["group_name"] for relation, grant in related if relation is Relation.GROUP}
        return {
            "model": to_dict(row.values()),
            "owner": str(row["owner_id"]),
            "relations": [_NAMES[each] for each in Relation if each in kinds],
            "groups": sorted(groups),
            "address": self._address(row),
            "is_provider_address": row["base_url"] is None,
            "key": _key(row),
            "test": _test(row),
            "grants": counts,
            **parameters_to_dict(row),
        }

    def _address(self, row: Mapping[Any, Any]) -> str | None:
        destination = {name: row[name] for name in ("model_provider", "base_url")}
        if _uses_account(row):
            account = {"kind": row["account_kind"], "settings": row["account_settings"]}
            destination["credential"] = account  # for a cloud, its settings decide the URL
        try:
            return self._providers.base_url(destination)
        except NoAddressError:
            return None


def parameters_to_dict(row: Mapping[Any, Any]) -> types.Parameters:
    """Return the parameters and the info of a model's row."""
    return {"parameters": row["parameters"] or {}, "info": row["info"] or {}}


def _uses_account(row: Mapping[Any, Any]) -> bool:
    """Return whether a model uses a credential; its own API key takes precedence."""
    return row["account_id"] is not None and not row["has_own_key"]


def _key(row: Mapping[Any, Any]) -> types.KeyDetails:
    """Return facts about the API key, and the owner's credential."""
    if not _uses_account(row):
        return {
            "is_set": bool(row["has_own_key"]),
            "updated_at": rfc_3339(row["credential_updated_at"]),
            "expires_at": None,
            "credential": None,
        }
    credential: types.UsedCredential = {"id": row["account_id"], "name": row["account_name"]}
    return {
        "is_set": bool(row["has_account_secret"]),
        "updated_at": rfc_3339(row["account_updated_at"]),
        "expires_at": rfc_3339(row["account_expires_at"]),
        "credential": credential if row["is_owner"] else None,
    }


def _test(row: Mapping[Any, Any]) -> types.LastTest | None:
    """Return the last test, unless the API key is newer."""
    if row["tested_at"] is None:
        return None
    return {
        "result": row["test_result"],
        "latency_ms": row["test_latency_ms"],
        "at": str(rfc_3339(row["tested_at"])),
    }
