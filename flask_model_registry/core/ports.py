"""What the core needs to know of the world outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Endpoints(Protocol):
    """Where models are called."""

    def canonical(self, provider: str) -> str: ...
    def faults(self, provider: str, base_url: str | None) -> Iterator[tuple[str, str]]: ...
    def address(self, provider: str, base_url: str | None) -> str | None: ...
    def origin(self, provider: str, base_url: str | None) -> str: ...
