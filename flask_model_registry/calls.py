"""What the host's code asks of a registry: calls for a user, in the host's transaction.

They are methods of ModelRegistry, whose making and whose app are in ``extension.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from flask import current_app

from .credential_calls import CredentialCalls
from .db.session import needs_savepoints
from .db.users import Person
from .detail_calls import DetailCalls
from .errors import ConfigError, ValidationError
from .schemas import ModelUpdate, NewModel, Rights, load
from .schemas.filters import filters_of
from .schemas.requests import TransferOptions
from .services.rows import ModelRef
from .unset import UNSET
from .users import User

if TYPE_CHECKING:
    from weakref import WeakKeyDictionary

    from flask import Flask
    from typing_extensions import Unpack

    from . import types
    from .services.app_services import Services
    from .services.explanation import Explanation
    from .services.resolved_model import ResolvedModel
    from .unset import Unset
    from .users import Proxied, Users


_NEW_MODEL, _CHANGES, _RIGHTS = NewModel(), ModelUpdate(partial=True), Rights()
_TRANSFER_OPTIONS = TransferOptions()


def transfer_options(**kept: bool) -> dict[str, bool]:
    """Return the checked options of a transfer.

    Raises:
        ValidationError: It is not a boolean, such as the ``"false"`` of a form, which is true.
    """
    loaded: dict[str, bool] = load(_TRANSFER_OPTIONS, kept)
    return loaded


class Calls(CredentialCalls[User], DetailCalls[User]):
    """Calls for a user; if none is given, for the user of the request.

    An explicit ``None`` for a parameter that names a user raises :exc:`MissingUserError`.
    """

    _users: Users
    _app_services: WeakKeyDictionary[Flask, Services]

    def create(
        self, *, user: Proxied[User] | Unset = UNSET, **fields: Unpack[types.NewModel]
    ) -> types.ModelRepresentation:
        """Register a model; the fields are those of ``POST /register``.

        Returns:
            The model representation, as over HTTP.

        Raises:
            ValidationError: A field is not valid, or the fields do not go together.
            ForbiddenError: The user may not share models with everyone.
            ModelIdTakenError: The user, or the shared models, have this ``model_id`` already.
        """
        loaded = load(_NEW_MODEL, fields)
        return self._services.models.create(self._users.actor(user), loaded).representation

    def get(
        self, ref: int | str, *, user: Proxied[User] | Unset = UNSET
    ) -> types.ModelRepresentation:
        """Return a model by its integer id or its ``model_id``.

        Raises:
            NotFoundError: There is none that the user can see.
        """
        return self._services.models.get(self._users.actor(user), ref).representation

    def list(
        self, *, user: Proxied[User] | Unset = UNSET, **filters: Unpack[types.ListFilters]
    ) -> list[types.ModelRepresentation]:
        """Return the models that the user can see, ordered by id.

        Args:
            filters: Attributes of :class:`Filters`: by default all active models. With a ``limit``,
                the last one's id as ``after`` gives the next ones.

        Raises:
            ValidationError: A filter is unknown or not valid.
        """
        return self._services.models.list(self._users.actor(user), filters_of(filters))

    def summary(
        self, *, user: Proxied[User] | Unset = UNSET, **filters: Unpack[types.CountFilters]
    ) -> types.Summary:
        """Count the models that :meth:`list` returns for these filters, without a limit."""
        return self._services.models.summary(self._users.actor(user), filters_of(filters))

    def update(
        self,
        ref: int | str,
        *,
        user: Proxied[User] | Unset = UNSET,
        **fields: Unpack[types.ModelChanges],
    ) -> types.ModelRepresentation:
        """Change fields of a model, as ``PATCH`` does: ``None`` clears, what is not given stays.

        Raises:
            NotFoundError: There is none that the user can see.
            ForbiddenError: The user may not change it, or not this of it.
            ValidationError: The model would not be valid, or its key would go to a new address.
            ConflictError: The ``model_id`` is taken, or the model is shared or a default.
        """
        loaded = load(_CHANGES, fields)
        models, actor = self._services.models, self._users.actor(user)
        return models.update(actor, ModelRef(ref), loaded).representation

    def delete(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> None:
        """Delete a model with its key, grants and defaults.

        Raises:
            NotFoundError: There is none that the user can see.
            ForbiddenError: The user may not delete it.
            ConflictError: It is a default that the user, its owner, has chosen.
        """
        self._services.models.delete(self._users.actor(user), ModelRef(ref))

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
            ConflictError: The grantee is the owner, or the ``model_id`` may mean several models.
            ValidationError: Both ``to`` and ``group`` are given, or neither.
        """
        rights = load(_RIGHTS, {"can_edit": can_edit, "can_delete": can_delete})
        grantee = self._grantee(to, group)
        grants, actor = self._services.grants, self._users.actor(user)
        return grants.set_grant(actor, ModelRef(ref), grantee, rights)[0]

    def revoke(
        self,
        ref: int | str,
        *,
        to: Proxied[User] | Unset = UNSET,
        group: str | None = None,
        user: Proxied[User] | Unset = UNSET,
    ) -> None:
        """Revoke a grant, with the defaults that rest on it.

        Users who don't own the model can decline it: ``registry.revoke(ref, to=me, user=me)``.

        Raises:
            NotFoundError: There is no such grant.
            ForbiddenError: The user is not the owner, and the grant is not to that user.
            ValidationError: Both ``to`` and ``group`` are given, or neither.
        """
        grantee = self._grantee(to, group)
        self._services.grants.revoke(self._users.actor(user), ModelRef(ref), grantee)

    def grants(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> types.Grants:
        """Return whom a model is granted to, as ``{"users": [...], "groups": [...]}``.

        Raises:
            NotFoundError: There is no such model that the user can see.
            ForbiddenError: The user is not the owner.
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

        Its grants are dropped, and it arrives switched off: the new owner accepts it with
        ``registry.update(id, user=to, is_active=True)``. A shared model stays shared.

        Args:
            keep_grants: Whether the grants to others stay.
            keep_active: Whether an active model stays active.
            without_key: Whether it arrives without an API key. A model that uses a credential has
                to, as the credential stays with its owner.

        Raises:
            CredentialInUseError: It uses a credential, and ``without_key`` is false.
            MissingUserError: One of them is ``None``.
            NotFoundError: There is no such model that the user can see, or no such other user.
            ForbiddenError: The user is not the owner.
            ModelIdTakenError: The other user has a model with this ``model_id``.
            ValidationError: One of these options is not a boolean.
        """
        kept = transfer_options(
            keep_grants=keep_grants, keep_active=keep_active, without_key=without_key
        )
        recipient = Person(key=self._users.key(to, "to"))
        ownership, actor = self._services.ownership, self._users.actor(user)
        ownership.transfer(actor, ModelRef(ref), recipient, **kept)

    def set_default(
        self,
        config_type: types.ConfigType,
        ref: int | str | None,
        *,
        user: Proxied[User] | Unset = UNSET,
        scope: types.Scope = "user",
    ) -> None:
        """Choose the model for a kind of work, or take the choice back with ``None``.

        Args:
            config_type: Such as ``general``; a model must be of the category that belongs to it.
            scope: ``user``, or ``app`` for all users; that takes the right to share.

        Raises:
            NotFoundError: There is no such model or kind of work, or no choice to clear.
            ForbiddenError: The user may not choose for all.
            ValidationError: The model is of another category.
            ConflictError: It is inactive or, for all users, not shared with everyone.
        """
        defaults, actor = self._services.defaults, self._users.actor(user)
        if ref is None:
            defaults.clear(actor, config_type, scope=scope)
        else:
            defaults.set(actor, config_type, ModelRef(ref), scope=scope)

    def default(
        self, config_type: types.ConfigType, *, user: Proxied[User] | Unset = UNSET
    ) -> ResolvedModel:
        """Return what is needed to call the default model: the user's own, or else the app's.

        A default that could not be resolved is passed over.

        Raises:
            NotFoundError: There is none.
        """
        return self._services.defaults.resolve(self._users.actor(user), config_type)

    def resolve(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> ResolvedModel:
        """Return what is needed to call a model: its name, its address and its key.

        Raises:
            NotFoundError: There is none that the user can see.
            InactiveModelError: The model is switched off.
            NoAddressError: It has no ``base_url``, and its provider is not known any more.
            BlockedAddressError: ``MODEL_REGISTRY_ALLOWED_HOSTS`` does not allow its address now.
            UnreadableCredentialError: The stored key is missing or does not open.
            UnavailableError: The ``secret_box`` says so.
        """
        return self._services.models.resolve(self._users.actor(user), ref)

    def explain(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> Explanation:
        """Return why a reference leads a user to a model, or does not; print it."""
        return self._services.explainer.explain(self._users.actor(user), ref)

    def _grantee(self, user: Any, group: str | None) -> Person | str:
        person = None if user is UNSET else Person(key=self._users.key(user, "to"))
        if person is not None and group is None:
            return person
        if person is None and group is not None:
            return group
        raise ValidationError([("", "Give either 'to', a user, or 'group', a name.")])

    @property
    def _services(self) -> Services:
        proxy: Any = current_app
        services = self._app_services.get(proxy._get_current_object())
        if services is None:
            raise ConfigError("this app does not have this registry; call registry.init_app(app)")
        needs_savepoints.set(True)  # the host's code may call from within a request to the registry
        return services
