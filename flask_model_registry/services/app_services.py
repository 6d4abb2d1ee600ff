"""The services of a registry in one app, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..db.representation import utc_now
from ..db.users import Person, find_user
from .account_credentials import AccountCredentials
from .attachments import Attachments
from .connections import ConnectionService
from .defaults import Defaults
from .details import Details
from .encryption import CredentialService
from .explanation import Explainer
from .grants import Grants
from .key_check import EncryptionKeys
from .models import ModelService
from .ownership import Ownership
from .rows import Rows
from .secret_source import SecretSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from .. import types
    from ..config import Settings
    from ..db.queries import Queries
    from ..policy import Actor
    from ..providers.app_providers import Providers
    from ..users import Users
    from .secret_box import SecretBox


@dataclass(frozen=True)
class Services:
    """The services of one app, one for each subject, with its users and settings."""

    users: Users
    rows: Rows
    models: ModelService
    accounts: AccountCredentials
    attachments: Attachments
    details: Details
    grants: Grants
    ownership: Ownership
    defaults: Defaults
    explainer: Explainer
    providers: Providers
    connections: ConnectionService
    keys: EncryptionKeys
    settings: Settings

    @classmethod
    def of(  # noqa: PLR0913  # each is a part of an app
        cls,
        queries: Queries,
        session: Any,
        *,
        users: Users,
        sender: Callable[[], Any],
        secret_box: SecretBox,
        secret_source: types.SecretSource | None,
        providers: Providers,
        settings: Settings,
    ) -> Services:
        """Return the services of an app.

        Args:
            sender: Returns the sender of signals; a reference to the app here would keep it alive.
        """
        credentials = CredentialService(
            secret_box, SecretSource(secret_source, users, providers), providers
        )
        keys = EncryptionKeys(
            queries.access.tables, credentials, is_strict=settings.key_check == "error"
        )
        rows = Rows(queries, session, sender, keys)
        defaults = Defaults(rows, credentials)
        models = ModelService(
            rows, credentials, defaults, providers=providers, clock=utc_now, new_uuid=uuid4
        )
        accounts = AccountCredentials(
            rows, credentials, providers=providers, clock=utc_now, new_uuid=uuid4
        )
        return cls(
            users=users,
            rows=rows,
            models=models,
            accounts=accounts,
            attachments=Attachments(
                rows, accounts, models, providers=providers, clock=utc_now, new_uuid=uuid4
            ),
            details=Details(rows, models, providers),
            grants=Grants(rows, defaults, users),
            ownership=Ownership(rows, defaults, users, utc_now),
            defaults=defaults,
            explainer=Explainer(rows, credentials, providers),
            providers=providers,
            connections=ConnectionService(
                rows,
                accounts,
                credentials,
                providers,
                concurrency=settings.probe_concurrency,
                clock=utc_now,
            ),
            keys=keys,
            settings=settings,
        )

    def actor_of(self, text: str) -> Actor:
        """Return the actor for a user, by the primary key as a string.

        Raises:
            NotFoundError: There is no such user, or the user is not active.
        """
        # In a savepoint, because PostgreSQL aborts the transaction if the text can't be a primary
        # key.
        with self.rows.write_transaction() as connection:
            key = find_user(connection, self.rows.queries.access.tables, Person(text))
        return self.users.from_key(key)
