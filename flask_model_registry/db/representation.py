"""A model as the user who asks sees it: the 17 published fields, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..policy import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..types import ModelRepresentation

PUBLIC_FIELDS = tuple(
    "id model_id category model_provider model_name base_url temperature dimension abilities "
    "description created_at updated_at is_active is_owner can_edit can_delete is_shared".split()
)
# The fields that depend on who asks, and what they ask of the policy.
ACCESS_FLAGS: Mapping[str, Action] = {
    "is_owner": Action.SHARE,
    "can_edit": Action.EDIT,
    "can_delete": Action.DELETE,
}
# Times are kept in UTC.
RFC_3339 = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Model:
    """A representation, and the version of the model that it shows."""

    representation: ModelRepresentation
    version: int

    @property
    def tag(self) -> str:
        """The entity tag: differs from model to model, and with what its reader may do."""
        shown: Mapping[str, Any] = self.representation
        flags = ""
        for name in ACCESS_FLAGS:
            flags += "1" if shown[name] else "0"
        return f"{shown['id']}-{self.version}-{flags}"


def to_dict(values: Iterable[Any]) -> ModelRepresentation:
    """Return the representation for the values of ``PUBLIC_FIELDS``, times as RFC 3339."""
    representation = dict(zip(PUBLIC_FIELDS, values, strict=False))
    for name in ("created_at", "updated_at"):
        if representation[name] is not None:
            representation[name] = representation[name].strftime(RFC_3339)
    return cast("ModelRepresentation", representation)
