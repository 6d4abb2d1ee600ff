"""The rules: who may do what, how a ``model_id`` is looked up, and what a transfer changes.

Nothing here uses SQL. ``db/access.py`` translates ``ALLOWED`` to SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from .errors import (
    ConflictError,
    CredentialInUseError,
    ForbiddenError,
    InactiveModelError,
    NotFoundError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence


class Action(Enum):
    """What a user may do with a model."""

    USE = "use"  # see, list and call the model
    EDIT = "edit"
    DELETE = "delete"
    SHARE = "share"  # share it with everyone, grant it, transfer it

    __hash__ = object.__hash__  # faster than Enum's own, which is written in Python


class Relation(Enum):
    """How a user is related to a model."""

    OWNER = "owner"
    EVERYONE = "shared with everyone"
    GRANTEE = "granted to the user"
    GROUP = "granted to a group of the user"

    __hash__ = object.__hash__

    @property
    def is_granted(self) -> bool:
        """Whether the relation comes from a grant."""
        return self in {Relation.GRANTEE, Relation.GROUP}


# Which relations allow an action, each with the flag that its grant needs, or None. The relations
# of USE are in the order in which a model_id is looked up. Models shared with everyone come before
# granted models: any user can grant a model, but only users whom the app permits can share one.
# Active models always come before inactive ones.
ALLOWED: Mapping[Action, Mapping[Relation, str | None]] = {
    Action.USE: {
        Relation.OWNER: None,
        Relation.EVERYONE: None,
        Relation.GRANTEE: None,
        Relation.GROUP: None,
    },
    Action.EDIT: {
        Relation.OWNER: None,
        Relation.GRANTEE: "can_edit",
        Relation.GROUP: "can_edit",
    },
    Action.DELETE: {
        Relation.OWNER: None,
        Relation.GRANTEE: "can_delete",
        Relation.GROUP: "can_delete",
    },
    Action.SHARE: {Relation.OWNER: None},
}
# Only the owner may change these fields, and also the provider and the base URL's origin.
OWNER_ONLY = frozenset({"model_id", "is_shared"})
# The fields of a shared model that decide what everyone calls, and on which server.
SHARER_ONLY = frozenset(
    {"model_id", "model_name", "model_provider", "base_url", "api_key", "parameters"}
)
FIXED_WHILE_SHARED = frozenset({"category", "abilities"})

_DENIED = {
    Action.EDIT: "Only the owner, and users with a can_edit grant, may do this.",
    Action.DELETE: "Only the owner, and users with a can_delete grant, may do this.",
    Action.SHARE: "Only the owner may do this.",
}
_MAX_NAMED = 10  # how many models a message names
_SHARING_REQUIRED = "You need permission to share models with everyone."
_SHARED_MODEL = (
    "The model is shared with everyone. You need the right to share before you can switch it on or "
    "change its model_id, model_name, model_provider, base_url, api_key or parameters. "
    "The owner can un-share it first."
)


@dataclass(frozen=True)
class Actor:
    """The user who acts: primary key, groups, and whether they may share with everyone."""

    key: Any
    groups: tuple[str, ...] = ()
    can_share: Callable[[], bool] = lambda: False


def allowed_actions(
    actor: Actor, model: Mapping[Any, Any], grants: Iterable[Mapping[Any, Any]] = ()
) -> frozenset[Action]:
    """Return what a user may do with a model. Grants to others are ignored."""
    actions = set()
    for relation, grant in relations(actor, model, grants):
        for action, allowed in ALLOWED.items():
            if relation in allowed:
                flag = allowed[relation]
                if flag is None or grant[flag]:
                    actions.add(action)
    return frozenset(actions)


def relations(
    actor: Actor, model: Mapping[Any, Any], grants: Iterable[Mapping[Any, Any]]
) -> list[tuple[Relation, Mapping[Any, Any]]]:
    """Return each relation of a user to a model, with the grant that it comes from or ``{}``."""
    found: list[tuple[Relation, Mapping[Any, Any]]] = []
    if model["owner_id"] == actor.key:
        found.append((Relation.OWNER, {}))
    if model["is_shared"]:
        found.append((Relation.EVERYONE, {}))
    for grant in grants:
        if grant["user_id"] is not None and grant["user_id"] == actor.key:
            found.append((Relation.GRANTEE, grant))
        if grant["group_name"] in actor.groups:
            found.append((Relation.GROUP, grant))
    return found


def check_allowed(action: Action, actions: Collection[Action]) -> None:
    """Check that an action is allowed. A hidden model raises the same error as a missing one."""
    if Action.USE not in actions:
        raise NotFoundError
    if action not in actions:
        raise ForbiddenError(_DENIED[action])


def action_for_test(*, is_other_model: bool, is_billed: bool) -> Action:
    """Return EDIT for a test that may be billed or tests another model, otherwise USE."""
    return Action.EDIT if is_other_model or is_billed else Action.USE


def check_sharing(actor: Actor, message: str = _SHARING_REQUIRED) -> None:
    """Check that the actor may share, or choose defaults, for everyone."""
    if not actor.can_share():
        raise ForbiddenError(message)


def check_change(
    actor: Actor,
    actions: Collection[Action],
    old: Mapping[Any, Any],
    new: Mapping[Any, Any],
    *,
    changed: Collection[str],
    moved: bool,
) -> None:
    """Check a change of a model.

    Args:
        changed: The names of the fields that change, with ``api_key`` if it is set or cleared.
        moved: Whether the API key would go to another provider or origin.
    """
    names = {*changed}
    if Action.SHARE not in actions and (moved or names & OWNER_ONLY):
        raise ForbiddenError(
            "Only the owner may change the model_id, the provider, the host or the sharing."
        )
    if not new["is_shared"]:
        return
    if not old["is_shared"]:
        check_sharing(actor)
        return
    if names & SHARER_ONLY or (new["is_active"] and not old["is_active"]):
        check_sharing(actor, _SHARED_MODEL)
    if names & FIXED_WHILE_SHARED:
        raise ConflictError("The category and abilities of a shared model can't change.")


def check_shared_key(actor: Actor) -> None:
    """Check that the actor may change, move or remove an API key that a shared model uses."""
    check_sharing(
        actor,
        "A model that uses the credential is shared with everyone. You need the right to share for "
        "this change. The owner can un-share the model first.",
    )


def check_unused(models: Sequence[Mapping[Any, Any]]) -> None:
    """Check that no model uses a credential to be deleted, unless its owner detaches them."""
    if models:
        raise CredentialInUseError(_used_by(models))


def check_same_path(models: Sequence[Mapping[Any, Any]]) -> None:
    """Check that all models have the credential's path, because they move with the credential."""
    if models:
        raise CredentialInUseError(
            f"{_used_by(models)} Their paths differ from the credential's. Move them to its path "
            "first, or give them API keys of their own."
        )


def _used_by(models: Sequence[Mapping[Any, Any]]) -> str:
    names = ", ".join(model["model_id"] for model in models[:_MAX_NAMED])
    more = f" and {len(models) - _MAX_NAMED} more" if len(models) > _MAX_NAMED else ""
    return f"{len(models)} models use it: {names}{more}."


def check_grantee(model: Mapping[Any, Any], user: Any) -> None:
    """Check that a model isn't granted to its owner."""
    if user == model["owner_id"]:
        raise ConflictError("The owner of a model needs no grant.")


def check_revocation(actions: Collection[Action], *, is_own: bool) -> None:
    """Check that the actor is the owner, who may revoke, or the grantee, who may decline.

    A grant to a group belongs to all members of the group, so a single member can't decline it.
    """
    if not is_own:
        check_allowed(Action.SHARE, actions)


def transfer_changes(to: Any, *, keep_active: bool) -> dict[str, Any]:
    """Return the fields that change when a model's owner gives it to another user.

    Without ``keep_active``, the model arrives switched off. Until the new owner switches the model
    on, it can't be resolved, and no API key is sent to its base URL.
    """
    return {"owner_id": to} if keep_active else {"owner_id": to, "is_active": False}


def check_active(model: Mapping[Any, Any], message: str = "") -> None:
    """Check that a model is active, so that it can be resolved, tested or a default."""
    if not model["is_active"]:
        raise InactiveModelError(message)


def check_default(model: Mapping[Any, Any], *, category: str, scope: str) -> None:
    """Check that a default is active, of the right category, and shared if it is for everyone."""
    if model["category"] != category:
        raise ValidationError([("id", f"Must be a model of category {category}.")])
    check_active(model)
    if scope == "app" and not model["is_shared"]:
        raise ConflictError("A default for all users must be a model shared with everyone.")


def check_defaults_cleared(actions: Collection[Action], own_defaults: Collection[str]) -> None:
    """Check, before a model is deleted or un-shared, that it is not its owner's default."""
    if Action.SHARE in actions and own_defaults:
        names = ", ".join(sorted(own_defaults))
        raise ConflictError(f"The model is your default for {names}. Clear that first.")


def needs_defaults_cleared(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> bool:
    """Return whether the owner must clear their defaults with a model before this change."""
    return bool(old["category"] != new["category"] or (old["is_shared"] and not new["is_shared"]))
