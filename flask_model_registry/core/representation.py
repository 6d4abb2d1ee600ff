"""A model as the user who asks sees it: the 17 published fields, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .access import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

FIELDS = tuple(
    "id model_id category model_provider model_name base_url temperature dimension abilities "
    "description created_at updated_at is_active is_owner can_edit can_delete is_shared".split()
)
# The fields that depend on who asks, and what they ask of the policy.
FLAGS: Mapping[str, Action] = {
    "is_owner": Action.OWN,
    "can_edit": Action.EDIT,
    "can_delete": Action.DELETE,
}


@dataclass(frozen=True)
class Model:
    """A representation, and the version of the model that it shows."""

    representation: dict[str, Any]
    version: int

    @property
    def tag(self) -> str:
        """The entity tag: differs from model to model, and with what its reader may do."""
        flags = "".join(str(int(self.representation[name])) for name in FLAGS)
        return f"{self.representation['id']}-{self.version}-{flags}"


def represented(values: Iterable[Any]) -> dict[str, Any]:
    """Return the representation for the values of ``FIELDS``; times become text (RFC 3339)."""
    representation = dict(zip(FIELDS, values, strict=False))
    for name in ("created_at", "updated_at"):
        representation[name] = in_text(representation[name])
    return representation


def in_text(moment: datetime | None) -> str | None:
    """Return a moment in UTC as text (RFC 3339)."""
    return None if moment is None else moment.isoformat(timespec="microseconds") + "Z"
