"""What the core needs from outside: the app's session, its secret box and its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from flask_model_registry.core.secretbox import SecretBox


class Endpoints(Protocol):
    """Where models are called."""

    def canonical(self, provider: str) -> str: ...
    def faults(self, provider: str, base_url: str | None) -> Iterator[tuple[str, str]]: ...
    def address(self, provider: str, base_url: str | None) -> str | None: ...
    def origin(self, provider: str, base_url: str | None) -> str: ...


class Surroundings(Protocol):
    """What belongs to the running app, asked for at each call."""

    @property
    def connection(self) -> sa.Connection: ...
    @property
    def secret_box(self) -> SecretBox: ...
    @property
    def endpoints(self) -> Endpoints: ...
