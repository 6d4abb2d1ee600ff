"""Calls about grants and owners of models: methods of ModelRegistry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, overload

from .db.users import Person
from .errors import ValidationError
from .schemas import Rights, load
from .schemas.requests import TransferOptions
from .services.rows import ResourceRef
from .unset import UNSET
from .users import User

if TYPE_CHECKING:
    from . import types
    from .services.app_services import Services
    from .unset import Unset
    from .users import Proxied, Users

_RIGHTS, _TRANSFER_OPTIONS = Rights(), TransferOptions()


def transfer_options(**kept: bool) -> dict[str, bool]:
    """Return the checked options of a transfer.

    Raises:
        ValidationError: An option is not a boolean. A form's string ``"false"`` would be truthy.
    """
    loaded: dict[str, bool] = load(_TRANSFER_OPTIONS, kept)
    return loaded


class SharingCalls(Generic[User]):
    """Calls about the grants and the owner of a model."""

    _users: Users

    if TYPE_CHECKING:  # it is an attribute of Calls

        @property
        def _services(self) -> Services: ...

    @overload
    def grant(
        self,
        ref: int | str,
        *,
        to: Proxied[User],
        can_edit: bool = False,
        can_delete: bool = False,
        user: Proxied[User] | Unset = UNSET,
    ) -> types.UserGrant: ...

    @overload
    def grant(
        self,
        ref: int | str,
        *,
        group: str,
        can_edit: bool = False,
        can_delete: bool = False,
        user: Proxied[User] | Unset = UNSET,
    ) -> types.GroupGrant: ...

    def grant(
        self,
        ref: int | str,
        *,
        to: Proxied[User] | Unset = UNSET,
        group: str | None = None,
        can_edit: bool = False,
        can_delete: bool = False,
        user: Proxied[User] | Unset = UNSET,
    ) -> types.UserGrant | types.GroupGrant:
        """Grant a model to a user or to a group, or change what the grant allows.

        Args:
            to: A user object. An explicit ``None`` raises :exc:`MissingUserError`.
            group: The name of a group, as the ``groups`` callback returns it.
            user: The owner of the model.

        Raises:
            NotFoundError: There is no such model, user or group.
            ForbiddenError: The user is not the owner.
            ConflictError: The grantee is the owner. Or the user sees several models with this
                ``model_id``, and none is active.
            ValidationError: Both ``to`` and ``group`` are given, or neither.

        Example:
            >>> registry.grant("gpt-4o", group="research", can_edit=True, user=alice)
            {'group': 'research', 'can_edit': True, 'can_delete': False}
        """
        rights = load(_RIGHTS, {"can_edit": can_edit, "can_delete": can_delete})
        grantee = self._grantee(to, group)
        grants, actor = self._services.grants, self._users.actor(user)
        return grants.set_grant(actor, ResourceRef(ref), grantee, rights)[0]

    def revoke(
        self,
        ref: int | str,
        *,
        to: Proxied[User] | Unset = UNSET,
        group: str | None = None,
        user: Proxied[User] | Unset = UNSET,
    ) -> None:
        """Revoke a grant, and clear the defaults that depend on it.

        Users can also decline a grant to themselves: ``registry.revoke(ref, to=me, user=me)``.

        Raises:
            NotFoundError: There is no such grant.
            ForbiddenError: The user is neither the owner of the model nor the grantee.
            ValidationError: Both ``to`` and ``group`` are given, or neither.

        Example:
            >>> registry.grant("gpt-4o", to=bob, user=alice)
            {'user': '2', 'can_edit': False, 'can_delete': False}
            >>> registry.revoke("gpt-4o", to=bob, user=alice)
        """
        grantee = self._grantee(to, group)
        self._services.grants.revoke(self._users.actor(user), ResourceRef(ref), grantee)

    def grants(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> types.Grants:
        """Return the grants of a model, as ``{"users": [...], "groups": [...]}``.

        Raises:
            NotFoundError: The model doesn't exist, or the user can't see it.
            ForbiddenError: The user is not the owner.

        Example:
            >>> registry.grants("gpt-4o", user=alice)
            {'users': [], 'groups': []}
        """
        return self._services.grants.list(self._users.actor(user), ref)

    def transfer(
        self,
        ref: int | str,
        to: Proxied[User],
        *,
        user: Proxied[User] | Unset = UNSET,
        keep_grants: bool = False,
        keep_active: bool = False,
        without_key: bool = False,
    ) -> None:
        """Give a model to another user, with its API key.

        The model loses its grants and arrives switched off. The new owner accepts the model with
        ``registry.update(id, user=to, is_active=True)``. A model that is shared with everyone stays
        shared. To accept it, a new owner who may not share adds ``share_with_users=False``.

        Args:
            keep_grants: Whether the grants to others stay.
            keep_active: Whether an active model stays active.
            without_key: Whether the model arrives without an API key. Must be true for a model that
                uses a credential, because the credential stays with its owner.

        Raises:
            CredentialInUseError: The model uses a credential, and ``without_key`` is false.
            MissingUserError: ``to`` or ``user`` is ``None``.
            NotFoundError: The model or the other user doesn't exist, or the user can't see the
                model.
            ForbiddenError: The user is not the owner.
            ModelIdTakenError: The other user has a model with this ``model_id``.
            ValidationError: An option is not a boolean.

        Example:
            >>> registry.transfer("gpt-4o", bob, user=alice)
            >>> registry.update("gpt-4o", user=bob, is_active=True)["is_owner"]  # Bob accepts it
            True
        """
        kept = transfer_options(
            keep_grants=keep_grants, keep_active=keep_active, without_key=without_key
        )
        recipient = Person(key=self._users.key(to, "to"))
        ownership, actor = self._services.ownership, self._users.actor(user)
        ownership.transfer(actor, ResourceRef(ref), recipient, **kept)

    def _grantee(self, user: Any, group: str | None) -> Person | str:
        person = None if user is UNSET else Person(key=self._users.key(user, "to"))
        if person is not None and group is None:
            return person
        if person is None and group is not None:
            return group
        raise ValidationError([("", "Pass either 'to' (a user) or 'group' (the name of a group).")])
