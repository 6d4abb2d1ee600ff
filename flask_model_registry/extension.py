"""The object that a host app creates: it connects the host's database and users."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from flask import Flask

from .calls import Calls
from .config import EXTENSION, Settings
from .db.access import AccessConditions
from .db.declare import declare_tables
from .db.foreign_keys import find_dialect_by
from .db.queries import Queries
from .db.session import HostSession
from .db.user_deletion import cascade_user_deletion
from .errors import ConfigError
from .providers.app_providers import Catalogue, Providers
from .secret import Hidden
from .services.app_services import Services
from .services.encryption import AesGcmBox
from .sharing_calls import transfer_options
from .unset import UNSET
from .users import User, Users, jwt_user
from .web.blueprint import build_blueprint, mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flask import Blueprint

    from . import types
    from .db import models
    from .db.declare import Tables
    from .db.session import Database
    from .providers.catalogue import Provider
    from .services.secret_box import SecretBox
    from .unset import Unset
    from .users import Proxied

_OR_DELETE = ", or leave 'transfer_to' out to delete the models"


class ModelRegistry(Calls[User]):
    """A registry of AI models for the users of a Flask app.

    A new registry immediately declares its tables on the metadata of ``user_model``, so that
    ``db.create_all()`` and Alembic see them. One registry may serve several apps. It keeps the
    services of each app until the app is gone. ``app.extensions["model_registry"]`` is the
    registry.

    Calls from Python use ``db.session`` inside a savepoint and never commit. They act for the user
    that you pass as ``user``. Without this argument, they act for the user of the request. An
    explicit ``None`` raises :exc:`MissingUserError`.

    Args:
        db: The host's Flask-SQLAlchemy or Flask-SQLAlchemy-Lite object. The registry looks up
            ``db.session`` each time it needs the session.
        user_model: The mapped class of the host's users. Its primary key may be of any type.
        user_loader: Returns the user of the request, or ``None``. Default: the user whom the host's
            ``user_lookup_loader`` returns for the Flask-JWT-Extended access token.
        can_share: Returns whether a user may share models with everyone. Default: whether the
            user's ``is_admin`` is true.
        groups: Returns the names of the groups that a user is in. Default: none.
        can_grant: Returns whether a user may grant or transfer a model to a recipient. The
            recipient is another user or, for grants only, the name of a group as a string. Default:
            every user and group is allowed.
        secret_box: Encrypts API keys instead of the built-in AES-256-GCM.
        secret_source: Returns the secret that a credential refers to by name. Returns ``None`` if
            the credential's owner may not use the secret with this provider and origin. The
            registry calls it as ``secret_source(name, owner=..., provider=..., origin=...)``.
            Default: credentials can't refer to secrets.
        providers: Additional providers. A provider with a built-in id replaces the built-in one.

    Raises:
        ConfigError: The users' class cannot be used. The message says why.

    Example:
        >>> db = SQLAlchemy()
        >>> class User(db.Model):
        ...     id = db.Column(db.Integer, primary_key=True)
        >>> registry = ModelRegistry(db, User, can_share=lambda user: user.id == 1)
    """

    tables: Tables
    # Mapped classes for the host's own queries.
    Model: type[models.Model]
    Ability: type[models.Ability]
    Grant: type[models.Grant]
    Default: type[models.Default]
    AppDefault: type[models.AppDefault]
    Credential: type[models.Credential]

    def __init__(  # noqa: PLR0913  # each is a part that the host may give
        self,
        db: Database,
        user_model: type[User],
        *,
        user_loader: Callable[[], Any] | None = None,
        can_share: Callable[[User], bool] | None = None,
        groups: Callable[[User], Iterable[str]] | None = None,
        can_grant: Callable[[User, User | str], bool] | None = None,
        secret_box: SecretBox | None = None,
        secret_source: types.SecretSource | None = None,
        providers: Sequence[Provider] = (),
    ) -> None:
        _check_callbacks(
            user_loader=user_loader,
            can_share=can_share,
            groups=groups,
            can_grant=can_grant,
            secret_source=secret_source,
        )
        self.tables, mapped = declare_tables(user_model)
        self.Model, self.Ability, self.Grant = mapped.model, mapped.ability, mapped.grant
        self.Default, self.AppDefault = mapped.default, mapped.app_default
        self.Credential = mapped.credential
        cascade_user_deletion(user_model, self.tables)
        self._session = HostSession(db)
        find_dialect_by(self.tables.models, self._dialect)
        load_user = jwt_user if user_loader is None else user_loader
        self._users = Users(
            self._session,
            user_model,
            load_user,
            can_share=can_share,
            groups=groups,
            can_grant=can_grant,
        )
        self._app_services = WeakKeyDictionary()
        self._secret_box = secret_box
        self._secret_source = secret_source
        self._catalogue = Catalogue(providers)
        self._queries = Queries(AccessConditions(self.tables, with_groups=groups is not None))

    def init_app(self, app: Flask, *, parent: Blueprint | None = None) -> None:
        """Read the settings and mount the blueprint.

        Args:
            parent: The host's blueprint under which the registry's blueprint is mounted. The host
                registers the parent afterwards.

        Raises:
            ConfigError: A setting is missing or wrong, or the app has a registry already.

        Example:
            >>> registry.init_app(app)
        """
        app = getattr(app, "_get_current_object", lambda: app)()  # the app may be current_app
        if not isinstance(app, Flask):
            raise ConfigError(
                f"init_app needs a Flask app, not a {type(app).__module__}.{type(app).__name__}. "
                "Pass the Flask app that it wraps, or mount another Flask app in it."
            )
        if EXTENSION in app.extensions:
            raise ConfigError("this app has a model registry already; call init_app once for it")
        if app.url_map.host_matching:
            raise ConfigError(
                "this app has host_matching=True, where a route without a host is never found; "
                "use subdomain_matching with a parent blueprint, or give the registry a separate "
                "app and mount it with Werkzeug's DispatcherMiddleware"
            )
        config = Hidden(app.config)  # some error reports show the variables used in a line
        settings = Settings.from_config(
            config.reveal(), own_secret_box=self._secret_box is not None
        )
        secret_box = self._secret_box
        if secret_box is None:
            secret_box = AesGcmBox(settings.encryption_keys)
        services = Services.of(
            self._queries,
            self._session,
            users=self._users,
            sender=ref(app),
            secret_box=secret_box,
            secret_source=self._secret_source,
            providers=Providers.of(self._catalogue, settings),
            settings=settings,
        )
        mount(build_blueprint(services), app if parent is None else parent, settings.url_prefix)
        app.extensions[EXTENSION] = self
        self._app_services[app] = services

    def user_deleted(
        self,
        user: Proxied[User],
        *,
        transfer_to: Proxied[User] | Unset = UNSET,
        keep_grants: bool = False,
        keep_active: bool = False,
    ) -> None:
        """Delete or transfer a user's models and credentials. Call it before you delete the user.

        With ``transfer_to``, models and credentials are transferred together. As with
        :meth:`transfer`, models lose their grants and arrive switched off.

        Args:
            user: The user who leaves, active or not.
            transfer_to: The user who gets the models and credentials. Without this argument, the
                models and credentials are deleted.
            keep_grants: Whether the grants of the models stay.
            keep_active: Whether active models stay active.

        Raises:
            MissingUserError: ``user`` or ``transfer_to`` is ``None``.
            NotFoundError: The user in ``transfer_to`` is not active.
            ModelIdTakenError: The user in ``transfer_to`` already uses the ``model_id`` of one of
                the models.
            CredentialNameTakenError: The user in ``transfer_to`` already uses the name of one of
                the credentials.
            ValidationError: ``user`` and ``transfer_to`` are the same user. Or ``keep_grants`` or
                ``keep_active`` is not a boolean, or is true without ``transfer_to``.

        Example:
            >>> registry.user_deleted(alice, transfer_to=bob)
            >>> db.session.delete(alice)
        """
        kept = transfer_options(keep_grants=keep_grants, keep_active=keep_active)
        departing, new_owner = self._users.key(user, "user"), None
        if transfer_to is not UNSET:
            new_owner = self._users.key(transfer_to, "transfer_to", _OR_DELETE)
        self._services.ownership.user_left(departing, new_owner, **kept)

    def check_keys(self) -> None:
        """Check, as the first request does, that the encryption keys in use are configured.

        Raises:
            ConfigError: An encryption key is missing. If ``MODEL_REGISTRY_KEY_CHECK`` is
                ``warning``, the registry logs a warning instead.

        Example:
            >>> registry.check_keys()
        """
        self._services.rows.check_keys()

    def _dialect(self) -> str:
        bind = self._session.get_bind(clause=self.tables.models)
        return str(bind.dialect.name)


# How many arguments the registry passes to the host's functions.
_ARGUMENTS = {"user_loader": 0, "can_share": 1, "groups": 1, "can_grant": 2}


def _check_callbacks(**callbacks: Any) -> None:
    for name, callback in callbacks.items():
        # A proxy such as Flask-Login's current_user is callable, but it stands for a user.
        is_proxy = hasattr(type(callback), "_get_current_object")
        if callback is not None and (is_proxy or not callable(callback)):
            raise ConfigError(
                f"{name} must be a function"
                + (f"; wrap the proxy, as in {name}=lambda: current_user" if is_proxy else "")
            )
        count = _ARGUMENTS.get(name)
        if callback is not None and count is not None and not _takes(callback, count):
            how_many = f"{count or 'no'} argument{'' if count == 1 else 's'}"
            raise ConfigError(f"{name} must be a function that takes {how_many}")


def _takes(callback: Callable[..., Any], count: int) -> bool:
    try:
        signature = inspect.signature(callback)
    except (NameError, TypeError, ValueError):  # some built-in functions have none
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
