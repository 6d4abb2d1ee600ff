"""Two users and their models, which are removed again whatever happens."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from .. import signals
from ..schemas.categories import CONFIG_TYPES
from .canary import Canary
from .host import fail
from .user_client import two_users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .host import Host
    from .user_client import UserClient

_BASE_URL = "https://models.example.com/v1"  # never called


@dataclass(frozen=True)
class Registered:
    """A model that a user has registered, and that user's primary key."""

    id: int
    model_id: str
    owner: Any


@dataclass(frozen=True)
class Fixture:
    """The users of a test, and their models.

    Attributes:
        prefix: The beginning of the ``model_id`` of every model in this test.
    """

    host: Host
    canary: Canary
    prefix: str
    first: UserClient
    second: UserClient

    def body(self, name: str, **fields: Any) -> dict[str, Any]:
        """Return a valid request to register a model, at a provider that is never called."""
        return {
            "model_id": f"{self.prefix}/{name}",
            "model_provider": _untestable_provider(self.host),
            "model_name": name,
            "base_url": _BASE_URL,
            "api_key": self.canary.api_key,
            **fields,
        }

    def register(self, user_client: UserClient, name: str, **fields: Any) -> Registered:
        """Have a user register a model."""
        path = self.host.path("register")
        created: Any = user_client.expect(201, "POST", path, json=self.body(name, **fields)).json
        row_id = created["id"]
        models = self.host.tables.models.c
        with self.host.connected() as connection:
            owner = connection.scalar(sa.select(models.owner_id).where(models.id == row_id))
        if owner is None:
            fail(f"POST {path} returned 201, but there is no row with the id {row_id}")
        return Registered(row_id, f"{self.prefix}/{name}", owner)

    def account_body(self, name: str) -> dict[str, Any]:
        """Return a valid request for a credential, at a provider that is never called."""
        key = self.canary.api_key
        return {
            "name": f"{self.prefix}/{name}",
            "model_provider": _untestable_provider(self.host),
            "base_url": _BASE_URL,
            "secret": {"api_key": key, "headers": {"X-Canary": key}},
        }

    def account(self, user_client: UserClient, name: str) -> int:
        """Have a user create a credential, and return its id."""
        path = self.host.path("account_credentials")
        made: Any = user_client.expect(201, "POST", path, json=self.account_body(name)).json
        return int(made["id"])

    def choose(self, user_client: UserClient, *users: Any) -> str | None:
        """Have a user choose a default for a kind of work that has none yet.

        Returns:
            The URL of the default; None if each kind of work has one.
        """
        defaults = self.host.tables.defaults.c
        chosen = sa.select(defaults.config_type).where(defaults.user_id.in_(users))
        with self.host.connected() as connection:
            taken = {*connection.scalars(chosen)}
        for config_type, category in CONFIG_TYPES.items():
            if config_type not in taken:
                model = self.register(user_client, "chosen", category=category)
                address = self.host.path("default", config_type=config_type)
                user_client.expect(200, "PUT", address, json={"id": model.id})
                return address
        return None

    def rows(self) -> Iterator[str]:
        """Yield each row of what the users have registered, as text."""
        with self.host.connected() as connection:
            for table, row_id in self.host.tables.by_model():
                for row in connection.execute(sa.select(table).where(row_id.in_(self._ids()))):
                    yield " ".join(map(_text, row))
            for row in connection.execute(self._accounts()):
                yield " ".join(map(_text, row))

    def remove(self) -> None:
        """Delete all that the users have registered. Of the host's code, only receivers run."""
        with self.host.connected(commit=True) as connection:
            inspector = sa.inspect(connection)
            statement = sa.select(self.host.tables.models).where(self._is_registered())
            rows = connection.execute(statement).mappings().all()
            ids = [row["id"] for row in rows]
            for table, row_id in self.host.tables.by_model():
                if inspector.has_table(table.name, table.schema):
                    connection.execute(sa.delete(table).where(row_id.in_(ids)))
            credentials, accounts = self.host.tables.credentials, []
            if inspector.has_table(credentials.name, credentials.schema):
                accounts = [dict(row) for row in connection.execute(self._accounts()).mappings()]
                condition = credentials.c.id.in_([row["id"] for row in accounts])
                connection.execute(sa.delete(credentials).where(condition))
        with self.host.app.app_context():
            for row in rows:
                self.host.services.rows.send_signal(signals.deleted, None, dict(row))
            for account in accounts:
                self.host.services.accounts.send(signals.credential_deleted, None, account)

    def _ids(self) -> sa.Select[Any]:
        return sa.select(self.host.tables.models.c.id).where(self._is_registered())

    def _accounts(self) -> sa.Select[Any]:
        credentials = self.host.tables.credentials
        is_created = credentials.c.name.startswith(self.prefix, autoescape=True)
        return sa.select(credentials).where(is_created)

    def _is_registered(self) -> sa.ColumnElement[bool]:
        return self.host.tables.models.c.model_id.startswith(self.prefix, autoescape=True)


@contextmanager
def fixture_of(host: Host, users: Any) -> Iterator[Fixture]:
    """Make a fixture, and remove its rows at the end."""
    first, second = two_users(host, users)
    fixture = Fixture(host, Canary(), f"conformance-{secrets.token_hex(6)}", first, second)
    try:
        yield fixture
    finally:
        fixture.remove()


def _untestable_provider(host: Host) -> str:
    """Return a provider that has no connection test, so that no host ever calls it."""
    providers = host.services.providers.to_dicts()
    return next((each["id"] for each in providers if not each["can_be_tested"]), "vertex")


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
