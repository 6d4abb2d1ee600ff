"""The object a host app holds: wires the host's database and users to the registry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import marshmallow
import sqlalchemy as sa
from flask import current_app, has_request_context

from .config import Settings
from .core.access import Access, Actor
from .core.queries import Filters, Queries
from .core.rules import UNSAFE_CHARACTER
from .core.secretbox import AesGcmBox, SecretBox
from .core.store import Store
from .core.tables import declare_tables
from .errors import AuthenticationError, ConfigError
from .providers.catalogue import Catalogue
from .providers.endpoints import Endpoints
from .providers.netguard import AddressPolicy
from .web.auth import jwt_user
from .web.blueprint import build_blueprint
from .web.parser import validation_error
from .web.schemas import NewModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flask import Blueprint, Flask
    from flask_sqlalchemy import SQLAlchemy

    from .core.resolver import ResolvedModel
    from .core.tables import Tables
    from .providers.catalogue import Provider

_EXTENSION = "model_registry"


@dataclass(frozen=True)
class _Mounted:
    """A registry in one app."""

    registry: ModelRegistry
    store: Store


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
        self._session = db.session
        self._user_model = user_model
        self._load_user = user_loader or jwt_user
        self._can_share = can_share or _is_admin
        self._groups = groups
        self._secret_box = secret_box
        self._catalogue = Catalogue(providers)
        self._new_model = NewModel()
        self._queries = Queries(Access(self.tables, with_groups=groups is not None))

    def init_app(self, app: Flask, *, parent: Blueprint | None = None) -> None:
        """Read the settings and mount the blueprint.

        Args:
            parent: A blueprint of the host to mount under; the host registers it afterwards.

        Raises:
            ConfigError: A setting is missing or wrong, or the app has a registry already.
        """
        if _EXTENSION in app.extensions:
            raise ConfigError("this app has a model registry already; call init_app once for it")
        settings = Settings.from_config(app.config, own_secret_box=self._secret_box is not None)
        policy = AddressPolicy(settings.allowed_hosts, settings.allowed_networks)
        store = Store(
            self._queries,
            self._session,
            secret_box=self._secret_box or AesGcmBox(settings.encryption_keys),
            endpoints=Endpoints(self._catalogue, policy),
            clock=_now,
            new_uuid=uuid4,
        )
        app.extensions[_EXTENSION] = _Mounted(self, store)
        blueprint = build_blueprint(store, settings, self._actor)
        (parent or app).register_blueprint(blueprint, url_prefix=settings.url_prefix)

    def create(self, *, user: Any = None, **fields: Any) -> dict[str, Any]:
        """Register a model; the fields are those of ``POST /register``.

        Returns:
            The model representation, as over HTTP.

        Raises:
            ValidationError: A field is not valid, or the fields do not go together.
            ForbiddenError: The user may not share models with everybody.
            ModelIdTakenError: The user, or the shared models, have this ``model_id`` already.
        """
        try:
            loaded: dict[str, Any] = self._new_model.load(fields)
        except marshmallow.ValidationError as error:
            raise validation_error(error) from None
        return self._store.create(self._actor(user), loaded).representation

    def get(self, ref: int | str, *, user: Any = None) -> dict[str, Any]:
        """Return a model by its integer id or its ``model_id``.

        Raises:
            NotFoundError: There is none that the user can see.
        """
        return self._store.get(self._actor(user), ref).representation

    def list(self, *, user: Any = None, **filters: Any) -> list[dict[str, Any]]:
        """Return the models that the user can see, ordered by id.

        Args:
            filters: Attributes of :class:`Filters`: by default all active models. With a ``limit``,
                the last one's id as ``after`` gives the next ones.
        """
        return self._store.list(self._actor(user), Filters(**filters))

    def resolve(self, ref: int | str, *, user: Any = None) -> ResolvedModel:
        """Return what is needed to call a model: its name, its address and its key.

        Raises:
            NotFoundError: There is none that the user can see.
            InactiveModelError: The model is switched off.
            NoAddressError: It has no ``base_url``, and its provider is not known any more.
            UnreadableCredentialError: The stored key is missing or does not open.
        """
        return self._store.resolve(self._actor(user), ref)

    @property
    def _store(self) -> Store:
        mounted: _Mounted | None = current_app.extensions.get(_EXTENSION)
        if mounted is None or mounted.registry is not self:
            raise ConfigError("this app does not have this registry; call registry.init_app(app)")
        return mounted.store

    def _actor(self, user: Any = None) -> Actor:
        user = self._requesting_user() if user is None else _unwrapped(user)
        if not isinstance(user, self._user_model):
            raise ConfigError(
                f"the user must be a {self._user_model.__name__} object, "
                f"not of type {type(user).__name__}"
            )
        groups = _checked_groups(self._groups(user)) if self._groups else ()
        return Actor(self._key(user), groups, lambda: _is_true(self._can_share(user)))

    def _requesting_user(self) -> Any:
        if not has_request_context():
            raise AuthenticationError("There is no request to take the user from; give 'user'.")
        user = _unwrapped(self._load_user())
        refused = (getattr(user, name, True) is False for name in ("is_authenticated", "is_active"))
        if user is None or user is False or any(refused):
            raise AuthenticationError
        return user

    def _key(self, user: Any) -> Any:
        state = sa.inspect(user)
        if state.pending:
            self._session.flush()
        if state.identity is None:
            raise ConfigError("this user is not in the database yet; add it to the session first")
        return state.identity[0]


def _unwrapped(user: Any) -> Any:
    """Return the object behind a proxy such as Flask-Login's ``current_user``."""
    unwrap = getattr(user, "_get_current_object", None)
    return unwrap() if unwrap else user


def _is_admin(user: Any) -> Any:
    return getattr(user, "is_admin", False)


def _is_true(answer: Any) -> bool:
    # A method that nobody called, a coroutine and "false" are all true to Python.
    if answer is not None and not isinstance(answer, (bool, int)):
        raise ConfigError("can_share, or is_admin of your users, must be a boolean; pass can_share")
    return bool(answer)


def _checked_groups(groups: Any) -> tuple[str, ...]:
    # Databases compare other types, and trailing blanks, in ways of their own.
    names = () if isinstance(groups, str) else set(groups or ())
    if isinstance(groups, str) or not all(map(_is_group, names)):
        raise ConfigError("groups must return names: text of 1 to 255 characters, no outer blanks")
    return tuple(sorted(names))


def _is_group(name: Any) -> bool:
    is_text = isinstance(name, str) and 0 < len(name) < 256
    return is_text and name == name.strip() and not UNSAFE_CHARACTER.search(name)


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)
