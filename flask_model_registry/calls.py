"""What the host's code asks of a registry: calls for a user, in the host's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, cast, overload

from flask import current_app

from .config import EXTENSION
from .core.filters import Filters
from .core.rows import Target
from .core.writing import need_savepoints
from .errors import ConfigError
from .web.parser import loaded_by
from .web.schemas import NewModel, Rights, WholeModel

if TYPE_CHECKING:
    from typing import TypeAlias

    from typing_extensions import TypeVar, Unpack
    from werkzeug.local import LocalProxy

    from . import types
    from .actors import Actors
    from .core.explanation import Explanation
    from .core.registry import Registry
    from .core.representation import Model
    from .core.resolver import ResolvedModel

    User = TypeVar("User", default=Any)  # any, where a host names no class of its users
    Proxied: TypeAlias = User | LocalProxy[User]  # such as that of Flask-Login
else:
    from typing import TypeVar

    User = TypeVar("User")


class Calls(Generic[User]):
    """Calls for a user; without one, for the user of the request."""

    def __init__(self, actors: Actors) -> None:
        self._actors = actors
        self._new_model, self._some_of_model = NewModel(), WholeModel(partial=True)
        self._rights = Rights()

    def create(
        self, *, user: Proxied[User] | None = None, **fields: Unpack[types.NewModel]
    ) -> types.ModelRepresentation:
        """Register a model; the fields are those of ``POST /register``.

        Returns:
            The model representation, as over HTTP.

        Raises:
            ValidationError: A field is not valid, or the fields do not go together.
            ForbiddenError: The user may not share models with everybody.
            ModelIdTakenError: The user, or the shared models, have this ``model_id`` already.
        """
        loaded = loaded_by(self._new_model, fields)
        return _shown(self._here.models.create(self._actors.actor(user), loaded))

    def get(
        self, ref: int | str, *, user: Proxied[User] | None = None
    ) -> types.ModelRepresentation:
        """Return a model by its integer id or its ``model_id``.

        Raises:
            NotFoundError: There is none that the user can see.
        """
        return _shown(self._here.models.get(self._actors.actor(user), ref))

    def list(
        self, *, user: Proxied[User] | None = None, **filters: Unpack[types.ListFilters]
    ) -> list[types.ModelRepresentation]:
        """Return the models that the user can see, ordered by id.

        Args:
            filters: Attributes of :class:`Filters`: by default all active models. With a ``limit``,
                the last one's id as ``after`` gives the next ones.
        """
        models = self._here.models.list(self._actors.actor(user), Filters(**filters))
        return cast("list[types.ModelRepresentation]", models)

    def summary(
        self, *, user: Proxied[User] | None = None, **filters: Unpack[types.CountFilters]
    ) -> types.Summary:
        """Count the models that :meth:`list` returns for these filters, without a limit."""
        counts = self._here.models.summary(self._actors.actor(user), Filters(**filters))
        return cast("types.Summary", counts)

    def update(
        self,
        ref: int | str,
        *,
        user: Proxied[User] | None = None,
        **fields: Unpack[types.ModelChanges],
    ) -> types.ModelRepresentation:
        """Change fields of a model, as ``PATCH`` does: ``None`` clears, what is not given stays.

        Raises:
            NotFoundError: There is none that the user can see.
            ForbiddenError: The user may not change it, or not this of it.
            ValidationError: The model would not be valid, or its key would go to a new address.
            ConflictError: The ``model_id`` is taken, or the model is shared or a default.
        """
        loaded = loaded_by(self._some_of_model, fields)
        return _shown(self._here.models.update(self._actors.actor(user), Target(ref), loaded))

    def delete(self, ref: int | str, *, user: Proxied[User] | None = None) -> None:
        """Delete a model with its key, grants and defaults.

        Raises:
            NotFoundError: There is none that the user can see.
            ForbiddenError: The user may not delete it.
            ConflictError: It is a default that the user, its owner, has chosen.
        """
        self._here.models.delete(self._actors.actor(user), Target(ref))

    @overload
    def grant(
        self,
        ref: int | str,
        *,
        to: Proxied[User],
        can_edit: bool = False,
        can_delete: bool = False,
        user: Proxied[User] | None = None,
    ) -> types.UserGrant: ...

    @overload
    def grant(
        self,
        ref: int | str,
        *,
        group: str,
        can_edit: bool = False,
        can_delete: bool = False,
        user: Proxied[User] | None = None,
    ) -> types.GroupGrant: ...

    def grant(
        self,
        ref: int | str,
        *,
        to: Proxied[User] | None = None,
        group: str | None = None,
        can_edit: bool = False,
        can_delete: bool = False,
        user: Proxied[User] | None = None,
    ) -> types.UserGrant | types.GroupGrant:
        """Grant a model to a user or to a group, or change what the grant allows.

        Args:
            to: A user object.
            group: The name of a group, as the ``groups`` callback returns it.
            user: The owner of the model.

        Raises:
            NotFoundError: There is no such model, user or group.
            ForbiddenError: The user is not the owner.
        """
        rights = loaded_by(self._rights, {"can_edit": can_edit, "can_delete": can_delete})
        grantee = self._actors.grantee(to, group)
        grants, actor = self._here.grants, self._actors.actor(user)
        grant, _ = grants.put(actor, Target(ref), grantee, rights)
        return cast("types.UserGrant | types.GroupGrant", grant)

    def revoke(
        self,
        ref: int | str,
        *,
        to: Proxied[User] | None = None,
        group: str | None = None,
        user: Proxied[User] | None = None,
    ) -> None:
        """Take a grant back, and the defaults that rest on it.

        Raises:
            NotFoundError: There is no such grant.
            ForbiddenError: The user is not the owner.
        """
        grantee = self._actors.grantee(to, group)
        self._here.grants.remove(self._actors.actor(user), Target(ref), grantee)

    def grants(self, ref: int | str, *, user: Proxied[User] | None = None) -> types.Grants:
        """Return whom a model is granted to, as ``{"users": [...], "groups": [...]}``.

        Raises:
            NotFoundError: There is no such model that the user can see.
            ForbiddenError: The user is not the owner.
        """
        return cast("types.Grants", self._here.grants.list(self._actors.actor(user), ref))

    def transfer(
        self, ref: int | str, to: Proxied[User], *, user: Proxied[User] | None = None
    ) -> None:
        """Give a model to another user. Its grants stay, and so does its being shared.

        Raises:
            NotFoundError: There is no such model that the user can see.
            ForbiddenError: The user is not the owner.
            ModelIdTakenError: The other user has a model with this ``model_id``.
        """
        self._here.ownership.transfer(
            self._actors.actor(user), Target(ref), self._actors.person(to)
        )

    def user_deleted(
        self, user: Proxied[User], *, transfer_to: Proxied[User] | None = None
    ) -> None:
        """Delete what a user has, or give the models to another one; call it before the deletion.

        Raises:
            ModelIdTakenError: The other user has a model with the ``model_id`` of one of them.
            ValueError: Both are the same user.
        """
        heir = None if transfer_to is None else self._actors.key(transfer_to)
        self._here.ownership.end(self._actors.key(user), heir)

    def set_default(
        self,
        config_type: types.ConfigType,
        ref: int | str | None,
        *,
        user: Proxied[User] | None = None,
        scope: types.Scope = "user",
    ) -> None:
        """Choose the model for a kind of work, or take the choice back with ``None``.

        Args:
            config_type: Such as ``general``; a model must be of the category that belongs to it.
            scope: ``user``, or ``app`` for all users; that takes the right to share.

        Raises:
            NotFoundError: There is no such model or kind of work, or no choice to take back.
            ForbiddenError: The user may not choose for all.
            ValidationError: The model is of another category.
            ConflictError: It is inactive or, for all users, not shared with everybody.
        """
        defaults, actor = self._here.defaults, self._actors.actor(user)
        if ref is None:
            defaults.clear(actor, config_type, scope=scope)
        else:
            defaults.set(actor, config_type, Target(ref), scope=scope)

    def default(
        self, config_type: types.ConfigType, *, user: Proxied[User] | None = None
    ) -> ResolvedModel:
        """Return what is needed to call the default model: the user's own, or else the app's.

        A default that could not be resolved is passed over.

        Raises:
            NotFoundError: There is none.
        """
        return self._here.defaults.resolve(self._actors.actor(user), config_type)

    def resolve(self, ref: int | str, *, user: Proxied[User] | None = None) -> ResolvedModel:
        """Return what is needed to call a model: its name, its address and its key.

        Raises:
            NotFoundError: There is none that the user can see.
            InactiveModelError: The model is switched off.
            NoAddressError: It has no ``base_url``, and its provider is not known any more.
            BlockedAddressError: ``MODEL_REGISTRY_ALLOWED_HOSTS`` does not allow its address now.
            UnreadableCredentialError: The stored key is missing or does not open.
            UnavailableError: The ``secret_box`` says so.
        """
        return self._here.models.resolve(self._actors.actor(user), ref)

    def explain(self, ref: int | str, *, user: Proxied[User] | None = None) -> Explanation:
        """Return why a reference leads a user to a model, or does not; print it."""
        return self._here.explainer.explain(self._actors.actor(user), ref)

    def check_keys(self) -> None:
        """Check that the encryption keys in use are configured, as the first request would do.

        Raises:
            ConfigError: Some are not, unless ``MODEL_REGISTRY_KEY_CHECK`` is ``warning``.
        """
        self._here.rows.check_keys()

    @property
    def _here(self) -> Registry:
        registry: Registry | None = current_app.extensions.get(EXTENSION)
        if registry is None or registry.actors is not self._actors:
            raise ConfigError("this app does not have this registry; call registry.init_app(app)")
        need_savepoints()  # the host's code may call from within a request of ours
        return registry


def _shown(model: Model) -> types.ModelRepresentation:
    return cast("types.ModelRepresentation", model.representation)
