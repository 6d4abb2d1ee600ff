"""Rows as plain data: a model as the actor sees it, and a credential as its owner sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..policy import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..types import Credential, ModelRepresentation

PUBLIC_FIELDS = tuple(
    "id model_id category model_provider model_name base_url temperature dimension abilities "
    "description created_at updated_at is_active is_owner can_edit can_delete is_shared".split()
)
# The fields that depend on the actor, and the action that the policy must allow.
ACCESS_FLAGS: Mapping[str, Action] = {
    "is_owner": Action.SHARE,
    "can_edit": Action.EDIT,
    "can_delete": Action.DELETE,
}
_STRINGS = {str}
_OBJECTS = {"parameters", "info"}


@dataclass(frozen=True)
class Model:
    """A representation, and the version of the model that it shows."""

    representation: ModelRepresentation
    version: int

    @property
    def tag(self) -> str:
        """The entity tag, which depends on the model, its version and its reader's rights."""
        shown: Mapping[str, Any] = self.representation
        flags = ""
        for name in ACCESS_FLAGS:
            flags += "1" if shown[name] else "0"
        return f"{shown['id']}-{self.version}-{flags}"


def utc_now() -> datetime:
    """Return the time as the tables hold it: in UTC, without a time zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def rfc_3339(moment: datetime | None) -> str | None:
    """Return a time from the tables in the format of responses."""
    if moment is None:
        return None
    if moment.tzinfo is not None:  # SQL may have written a zone, or changed the column's type
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='microseconds')}Z"


def to_dict(values: Iterable[Any]) -> ModelRepresentation:
    """Return the representation for the values of ``PUBLIC_FIELDS``, times as RFC 3339."""
    representation = dict(zip(PUBLIC_FIELDS, values, strict=False))
    for name in ("created_at", "updated_at"):
        moment = representation[name]
        if moment is not None:  # mostly inline, because a list has many
            is_usual = moment.tzinfo is None
            text = f"{moment.isoformat('T', 'microseconds')}Z" if is_usual else rfc_3339(moment)
            representation[name] = text
    abilities = representation["abilities"]
    # SQL may have written something else, which must not take the list down.
    if abilities is not None and not (
        type(abilities) is list and _STRINGS.issuperset(map(type, abilities))
    ):
        representation["abilities"] = []
    return representation  # type: ignore[return-value]  # without a call, because a list has many


def changed_columns(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that differ. Compares JSON objects as text, because 1 equals True."""
    changed = {}
    for name, value in new.items():
        former = old[name]
        if name in _OBJECTS and value and former is not value:
            former, value = (json.dumps(each, sort_keys=True) for each in (former, value))
        if value != former:
            changed[name] = new[name]
    # A row without search_text gets one with its next change, but not by itself.
    return {} if changed.keys() == {"search_text"} else changed


def credential_tag(row: Mapping[Any, Any]) -> str:
    """Return the entity tag of a credential."""
    return f"credential-{row['id']}-{row['version']}"


def names_in_secret(row: Mapping[Any, Any]) -> dict[str, list[str]]:
    """Return the names of the parts of a credential's secret, if the row has them."""
    stored = row["secret_names"] if isinstance(row["secret_names"], dict) else {}
    named = {part: stored.get(part) for part in ("secrets", "headers")}  # SQL may have changed them
    return {
        part: [each for each in names if isinstance(each, str)] if isinstance(names, list) else []
        for part, names in named.items()
    }


def credential_to_dict(row: Mapping[Any, Any]) -> Credential:
    """Return a credential as its owner sees it, without decrypting anything."""
    names = names_in_secret(row)
    return {
        "id": row["id"],
        "name": row["name"],
        "model_provider": row["model_provider"],
        "base_url": row["base_url"],
        "kind": row["kind"],
        "settings": row["settings"],
        "secrets": names["secrets"],
        "headers": names["headers"],
        "reference": row["reference"],
        "expires_at": rfc_3339(row["expires_at"]),
        "created_at": str(rfc_3339(row["created_at"])),
        "updated_at": rfc_3339(row["updated_at"]),
        "secret_updated_at": str(rfc_3339(row["secret_updated_at"])),
    }
