"""Calls from the host's code, each for a user and within the host's transaction.

They are methods of ModelRegistry, which ``extension.py`` defines and connects to its apps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app

from .credential_calls import CredentialCalls
from .db.session import needs_savepoints
from .detail_calls import DetailCalls
from .errors import ConfigError
from .schemas import ModelUpdate, NewModel, load
from .schemas.filters import filters_of
from .services.rows import ResourceRef
from .sharing_calls import SharingCalls
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


_NEW_MODEL, _CHANGES = NewModel(), ModelUpdate(partial=True)


class Calls(SharingCalls[User], CredentialCalls[User], DetailCalls[User]):
    """Calls that act for a user. By default, they act for the user of the request.

    An explicit ``None`` for a parameter that names a user raises :exc:`MissingUserError`.
    """

    _users: Users
    _app_services: WeakKeyDictionary[Flask, Services]

    def create(
        self, *, user: Proxied[User] | Unset = UNSET, **fields: Unpack[types.NewModel]
    ) -> types.ModelRepresentation:
        """Register a model, with the fields of ``POST /register``.

        Returns:
            The model's representation, the same as in an HTTP response.

        Raises:
            ValidationError: A field is not valid, or the fields contradict each other.
            ForbiddenError: The user may not share models with everyone.
            ModelIdTakenError: Another model of the user, or one shared with everyone, already has
                this ``model_id``.

        Example:
            >>> model = registry.create(
            ...     user=alice,
            ...     model_id="fast",
            ...     model_provider="openai",
            ...     model_name="gpt-4o-mini",
            ...     api_key="sk-your-key",
            ... )
            >>> model["model_id"], model["is_owner"], "api_key" in model
            ('fast', True, False)
        """
        loaded = load(_NEW_MODEL, fields)
        return self._services.models.create(self._users.actor(user), loaded).representation

    def get(
        self, ref: int | str, *, user: Proxied[User] | Unset = UNSET
    ) -> types.ModelRepresentation:
        """Return a model by its integer id or its ``model_id``.

        Raises:
            NotFoundError: The model doesn't exist, or the user can't see it.

        Example:
            >>> registry.get("gpt-4o", user=alice)["model_provider"]
            'openai'
        """
        return self._services.models.get(self._users.actor(user), ref).representation

    def list(
        self, *, user: Proxied[User] | Unset = UNSET, **filters: Unpack[types.ListFilters]
    ) -> list[types.ModelRepresentation]:
        """Return the models that the user can see, ordered by id.

        Args:
            filters: Attributes of :class:`Filters`. By default, all active models are listed. If
                you pass a ``limit``, get the next page by passing the last model's id as ``after``.

        Raises:
            ValidationError: A filter is unknown or not valid.

        Example:
            >>> [model["model_id"] for model in registry.list(user=alice, category="llm", limit=2)]
            ['gpt-4o', 'draft']
        """
        return self._services.models.list(self._users.actor(user), filters_of(filters))

    def summary(
        self, *, user: Proxied[User] | Unset = UNSET, **filters: Unpack[types.CountFilters]
    ) -> types.Summary:
        """Count the models that :meth:`list` returns for these filters, without a limit.

        Example:
            >>> registry.summary(user=alice, q="gpt")["total"]
            1
        """
        return self._services.models.summary(self._users.actor(user), filters_of(filters))

    def update(
        self,
        ref: int | str,
        *,
        user: Proxied[User] | Unset = UNSET,
        **fields: Unpack[types.ModelChanges],
    ) -> types.ModelRepresentation:
        """Change fields of a model, as ``PATCH`` does. ``None`` clears a field.

        Omitted fields stay unchanged.

        Raises:
            NotFoundError: The model doesn't exist, or the user can't see it.
            ForbiddenError: The user may not change the model, or may not change these fields.
            ValidationError: The model would not be valid, or its API key would go to a new origin.
            ConflictError: The ``model_id`` is taken, or a field can't change because the model is
                shared or is a default.

        Example:
            >>> model = registry.update("gpt-4o", user=alice, description=None, temperature=0.7)
            >>> model["temperature"]
            0.7
        """
        loaded = load(_CHANGES, fields)
        models, actor = self._services.models, self._users.actor(user)
        return models.update(actor, ResourceRef(ref), loaded).representation

    def delete(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> None:
        """Delete a model with its API key, grants and defaults.

        Raises:
            NotFoundError: The model doesn't exist, or the user can't see it.
            ForbiddenError: The user may not delete the model.
            ConflictError: The user owns the model and has chosen it as a default.

        Example:
            >>> registry.delete("draft", user=alice)
        """
        self._services.models.delete(self._users.actor(user), ResourceRef(ref))

    def set_default(
        self,
        config_type: types.ConfigType,
        ref: int | str | None,
        *,
        user: Proxied[User] | Unset = UNSET,
        scope: types.Scope = "user",
    ) -> None:
        """Choose the model for a kind of work, or clear the choice with ``None``.

        Args:
            config_type: The kind of work, such as ``general``. It decides the model's category.
            scope: ``user`` for the user's own default, or ``app`` for the default of all users,
                which only users with permission to share may change.

        Raises:
            NotFoundError: The model or the kind of work doesn't exist, or there is no default to
                clear.
            ForbiddenError: The user may not choose the default of all users.
            ValidationError: The model's category is not the one that the kind of work needs.
            ConflictError: The model is inactive. Or ``scope`` is ``app``, and the model is not
                shared with everyone.

        Example:
            >>> registry.set_default("general", "gpt-4o", user=alice)
            >>> registry.set_default("general", None, user=alice)  # clears it
        """
        defaults, actor = self._services.defaults, self._users.actor(user)
        if ref is None:
            defaults.clear(actor, config_type, scope=scope)
        else:
            defaults.set(actor, config_type, ResourceRef(ref), scope=scope)

    def default(
        self, config_type: types.ConfigType, *, user: Proxied[User] | Unset = UNSET
    ) -> ResolvedModel:
        """Return what you need to call the user's default model, or else the app's default model.

        Defaults that can't be resolved are skipped.

        Raises:
            NotFoundError: Neither the user nor the app has a default that can be resolved.

        Example:
            >>> registry.set_default("general", "gpt-4o", user=alice)
            >>> registry.default("general", user=alice).model_name
            'gpt-4o-2024-11-20'
        """
        return self._services.defaults.resolve(self._users.actor(user), config_type)

    def resolve(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> ResolvedModel:
        """Return what you need to call a model: its name, base URL and API key.

        Raises:
            NotFoundError: The model doesn't exist, or the user can't see it.
            InactiveModelError: The model is switched off.
            NoAddressError: The model has no ``base_url``, and its provider is no longer known.
            BlockedAddressError: ``MODEL_REGISTRY_ALLOWED_HOSTS`` doesn't allow its base URL now.
            UnreadableCredentialError: The stored API key is missing or can't be decrypted.
            UnavailableError: The ``secret_box`` or the ``secret_source`` raised this error.

        Example:
            >>> model = registry.resolve("gpt-4o", user=alice)
            >>> model.base_url, model.model_name, model.api_key
            ('https://api.openai.com/v1', 'gpt-4o-2024-11-20', Secret('**********'))
        """
        return self._services.models.resolve(self._users.actor(user), ref)

    def explain(self, ref: int | str, *, user: Proxied[User] | Unset = UNSET) -> Explanation:
        """Return a printable explanation of why ``ref`` does or doesn't find a model for a user.

        Example:
            >>> print(registry.explain("gpt-4o", user=bob))
            ref: 'gpt-4o'
            problems: ('The user does not see model 1; the owner can grant or share it.',)
        """
        return self._services.explainer.explain(self._users.actor(user), ref)

    @property
    def _services(self) -> Services:
        proxy: Any = current_app
        services = self._app_services.get(proxy._get_current_object())
        if services is None:
            raise ConfigError("this app does not have this registry; call registry.init_app(app)")
        needs_savepoints.set(True)  # a request to the registry may run host code that calls this
        return services
