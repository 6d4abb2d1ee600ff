"""The object a host app holds: wires the host's database and users to the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app

from .actors import Actors
from .config import EXTENSION, Settings
from .core.access import Access
from .core.departure import follow_deletions
from .core.filters import Filters
from .core.queries import Queries
from .core.registry import Registry, assemble
from .core.rows import Target
from .core.secretbox import AesGcmBox, SecretBox
from .core.tables import declare_tables
from .core.writing import need_savepoints
from .errors import ConfigError
from .providers.catalogue import Catalogue
from .providers.endpoints import Endpoints
from .web.blueprint import build_blueprint, mount
from .web.parser import loaded_by
from .web.schemas import NewModel, Rights, WholeModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flask import Blueprint, Flask
    from flask_sqlalchemy import SQLAlchemy

    from .core.explanation import Explanation
    from .core.resolver import ResolvedModel
    from .core.tables import Tables
    from .providers.catalogue import Provider


class ModelRegistry:
    """A registry of AI models for the users of a Flask app.

    Declares its tables on the metadata of the users' class, at once, so that ``db.create_all()``
    and Alembic see them. It keeps nothing of an app, so one registry may serve several.

    Calls from Python use ``db.session`` inside a savepoint and never commit. They act for ``user``,
    or for the user of the request.

    Args:
        db: The host's Flask-SQLAlchemy object.
        user_model: The mapped class of the host's users; its key may be of any type.
        user_loader: Returns the user of the request, or ``None``. Default: the user of the
            Flask-JWT-Extended access token, by the host's ``user_lookup_loader``.
        can_share: Tells whether a user may share models with everybody. Default: by the user's
            ``is_admin``.
        groups: Returns the names of the groups that a user is in. Default: none.
        secret_box: Seals API keys in place of the built-in AES-256-GCM.
        providers: More providers; one with a built-in id replaces it.

    Raises:
        ConfigError: The users' class cannot be used; the message says why.
    """

    def __init__(
        self,
        db: SQLAlchemy,
        user_model: type,
        *,
        user_loader: Callable[[], Any] | None = None,
        can_share: Callable[[Any], bool] | None = None,
        groups: Callable[[Any], Iterable[str]] | None = None,
        secret_box: SecretBox | None = None,
        providers: Sequence[Provider] = (),
    ) -> None:
        self.tables: Tables = declare_tables(user_model)
        follow_deletions(user_model, self.tables)
        self._session = db.session
        self._actors = Actors(
            db.session, user_model, user_loader or _jwt_user(), can_share=can_share, groups=groups
        )
        self._secret_box = secret_box
        self._catalogue = Catalogue(providers)
        self._new_model, self._some_of_model = NewModel(), WholeModel(partial=True)
        self._rights = Rights()
        self._queries = Queries(Access(self.tables, with_groups=groups is not None))

    def init_app(self, app: Flask, *, parent: Blueprint | None = None) -> None:
        """Read the settings and mount the blueprint.

        Args:
            parent: A blueprint of the host to mount under; the host registers it afterwards.

        Raises:
            ConfigError: A setting is missing or wrong, or the app has a registry already.
        """
        if EXTENSION in app.extensions:
            raise ConfigError("this app has a model registry already; call init_app once for it")
        settings = Settings.from_config(app.config, own_secret_box=self._secret_box is not None)
        registry = assemble(
            self._queries,
            self._session,
            actors=self._actors,
            sender=app,
            secret_box=self._secret_box or AesGcmBox(settings.encryption_keys),
            endpoints=Endpoints.of(self._catalogue, settings),
            settings=settings,
        )
        mount(build_blueprint(registry), parent or app, settings.url_prefix)
        app.extensions[EXTENSION] = registry

    def create(self, *, user: Any = None, **fields: Any) -> dict[str, Any]:
        """Register a model; the fields are those of ``POST /register``.

        Returns:
            The model representation, as over HTTP.

        Raises:
            ValidationError: A field is not valid, or the fields do not go together.
            ForbiddenError: The user may not share models with everybody.
            ModelIdTakenError: The user, or the shared models, have this ``model_id`` already.
        """
        fields = loaded_by(self._new_model, fields)
        return self._here.models.create(self._actors.actor(user), fields).representation

    def get(self, ref: int | str, *, user: Any = None) -> dict[str, Any]:
        """Return a model by its integer id or its ``model_id``.

        Raises:
            NotFoundError: There is none that the user can see.
        """
        return self._here.models.get(self._actors.actor(user), ref).representation

    def list(self, *, user: Any = None, **filters: Any) -> list[dict[str, Any]]:
        """Return the models that the user can see, ordered by id.

        Args:
            filters: Attributes of :class:`Filters`: by default all active models. With a ``limit``,
                the last one's id as ``after`` gives the next ones.
        """
        return self._here.models.list(self._actors.actor(user), Filters(**filters))

    def summary(self, *, user: Any = None, **filters: Any) -> dict[str, Any]:
        """Count the models that :meth:`list` returns for these filters, without a limit."""
        return self._here.models.summary(self._actors.actor(user), Filters(**filters))

    def update(self, ref: int | str, *, user: Any = None, **fields: Any) -> dict[str, Any]:
        """Change fields of a model, as ``PATCH`` does: ``None`` clears, what is not given stays.

        Raises:
            NotFoundError: There is none that the user can see.
            ForbiddenError: The user may not change it, or not this of it.
            ValidationError: The model would not be valid, or its key would go to a new address.
            ConflictError: The ``model_id`` is taken, or the model is shared or a default.
        """
        fields = loaded_by(self._some_of_model, fields)
        model = self._here.models.update(self._actors.actor(user), Target(ref), fields)
        return model.representation

    def delete(self, ref: int | str, *, user: Any = None) -> None:
        """Delete a model with its key, grants and defaults.

        Raises:
            NotFoundError: There is none that the user can see.
            ForbiddenError: The user may not delete it.
            ConflictError: It is a default that the user, its owner, has chosen.
        """
        self._here.models.delete(self._actors.actor(user), Target(ref))

    def grant(
        self,
        ref: int | str,
        *,
        to: Any = None,
        group: str | None = None,
        can_edit: bool = False,
        can_delete: bool = False,
        user: Any = None,
    ) -> dict[str, Any]:
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
        return self._here.grants.put(self._actors.actor(user), Target(ref), grantee, rights)[0]

    def revoke(
        self, ref: int | str, *, to: Any = None, group: str | None = None, user: Any = None
    ) -> None:
        """Take a grant back, and the defaults that rest on it.

        Raises:
            NotFoundError: There is no such grant.
            ForbiddenError: The user is not the owner.
        """
        grantee = self._actors.grantee(to, group)
        self._here.grants.remove(self._actors.actor(user), Target(ref), grantee)

    def grants(self, ref: int | str, *, user: Any = None) -> dict[str, Any]:
        """Return whom a model is granted to, as ``{"users": [...], "groups": [...]}``.

        Raises:
            NotFoundError: There is no such model that the user can see.
            ForbiddenError: The user is not the owner.
        """
        return self._here.grants.list(self._actors.actor(user), ref)

    def transfer(self, ref: int | str, to: Any, *, user: Any = None) -> None:
        """Give a model to another user. Its grants stay, and so does its being shared.

        Raises:
            NotFoundError: There is no such model that the user can see.
            ForbiddenError: The user is not the owner.
            ModelIdTakenError: The other user has a model with this ``model_id``.
        """
        self._here.ownership.transfer(
            self._actors.actor(user), Target(ref), self._actors.person(to)
        )

    def user_deleted(self, user: Any, *, transfer_to: Any = None) -> None:
        """Delete what a user has, or give the models to another one; call it before the deletion.

        Raises:
            ModelIdTakenError: The other user has a model with the ``model_id`` of one of them.
            ValueError: Both are the same user.
        """
        heir = None if transfer_to is None else self._actors.key(transfer_to)
        self._here.ownership.end(self._actors.key(user), heir)

    def set_default(
        self, config_type: str, ref: int | str | None, *, user: Any = None, scope: str = "user"
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

    def default(self, config_type: str, *, user: Any = None) -> ResolvedModel:
        """Return what is needed to call the default model: the user's own, or else the app's.

        A default that could not be resolved is passed over.

        Raises:
            NotFoundError: There is none.
        """
        return self._here.defaults.resolve(self._actors.actor(user), config_type)

    def resolve(self, ref: int | str, *, user: Any = None) -> ResolvedModel:
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

    def explain(self, ref: int | str, *, user: Any = None) -> Explanation:
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


def _jwt_user() -> Callable[[], Any]:
    # Hosts with another login need not load what checks tokens.
    from .web.auth import jwt_user

    return jwt_user
