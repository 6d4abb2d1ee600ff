"""The object a host app holds: wires the host's database and users to the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .actors import Actors
from .calls import Calls, User
from .config import EXTENSION, Settings
from .core.access import Access
from .core.departure import follow_deletions
from .core.queries import Queries
from .core.registry import assemble
from .core.secretbox import AesGcmBox, SecretBox
from .core.tables import declare_tables
from .errors import ConfigError
from .providers.catalogue import Catalogue
from .providers.endpoints import Endpoints
from .web.blueprint import build_blueprint, mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flask import Blueprint, Flask
    from flask_sqlalchemy import SQLAlchemy

    from .core.tables import Tables
    from .providers.catalogue import Provider


class ModelRegistry(Calls[User]):
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
        user_model: type[User],
        *,
        user_loader: Callable[[], Any] | None = None,
        can_share: Callable[[User], bool] | None = None,
        groups: Callable[[User], Iterable[str]] | None = None,
        secret_box: SecretBox | None = None,
        providers: Sequence[Provider] = (),
    ) -> None:
        self.tables: Tables = declare_tables(user_model)
        follow_deletions(user_model, self.tables)
        self._session = db.session
        load_user = user_loader or _jwt_user()
        super().__init__(
            Actors(db.session, user_model, load_user, can_share=can_share, groups=groups)
        )
        self._secret_box = secret_box
        self._catalogue = Catalogue(providers)
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


def _jwt_user() -> Callable[[], Any]:
    # Hosts with another login need not load what checks tokens.
    from .web.auth import jwt_user

    return jwt_user
