"""The services of a registry in one app, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .connections import ConnectionService
from .credentials import CredentialService
from .defaults import Defaults
from .encryption_keys import EncryptionKeys
from .explanation import Explainer
from .grants import Grants
from .models import ModelService
from .ownership import Ownership
from .rows import Rows, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..config import Settings
    from ..db.queries import Queries
    from ..providers.known_providers import Providers
    from ..users import Users
    from .encryption import SecretBox


@dataclass(frozen=True)
class Services:
    """What belongs to one app: a service for each subject, its users and settings."""

    users: Users
    rows: Rows
    models: ModelService
    grants: Grants
    ownership: Ownership
    defaults: Defaults
    explainer: Explainer
    providers: Providers
    connections: ConnectionService
    keys: EncryptionKeys
    settings: Settings

    @classmethod
    def of(
        cls,
        queries: Queries,
        session: Any,
        *,
        users: Users,
        sender: Callable[[], Any],
        secret_box: SecretBox,
        providers: Providers,
        settings: Settings,
    ) -> Services:
        """Return the services of an app.

        Args:
            sender: Returns the sender of signals, or services kept by app would keep the app.
        """
        credentials = CredentialService(secret_box, providers)
        keys = EncryptionKeys(
            queries.access.tables, credentials, is_strict=settings.key_check == "error"
        )
        rows = Rows(queries, session, sender, keys)
        defaults = Defaults(rows, credentials)
        return cls(
            users=users,
            rows=rows,
            models=ModelService(
                rows, credentials, defaults, providers=providers, clock=utc_now, new_uuid=uuid4
            ),
            grants=Grants(rows, defaults, users),
            ownership=Ownership(rows, defaults, users, utc_now),
            defaults=defaults,
            explainer=Explainer(rows, credentials, providers),
            providers=providers,
            connections=ConnectionService(
                rows, credentials, providers, concurrency=settings.probe_concurrency
            ),
            keys=keys,
            settings=settings,
        )
