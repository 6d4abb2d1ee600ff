"""Ask a provider which models it serves.

That is free of charge everywhere, and shows whether the address, the key and the name are good.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING

from ..errors import UpstreamError
from ..text import is_name
from .apis import DIALECTS
from .base_urls import BadAddressError, parse_base_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from .apis import ListApi
    from .base_urls import AddressPolicy
    from .known_providers import Catalogue
    from .transport import Transport

RESULTS = (
    "ok auth_failed model_not_found bad_response unreachable tls_error timeout blocked_address "
    "too_large"
).split()
_REFUSED = {401, 403}


@dataclass(frozen=True)
class ConnectionResult:
    """What came of a probe.

    Attributes:
        result: One of ``RESULTS``.
        latency_ms: Milliseconds that the answer took, to the ten; ``None`` if there was none.
    """

    result: str
    latency_ms: int | None = None


class ProviderClient:
    """Asks the providers of a catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        policy: AddressPolicy,
        open_transport: Callable[[], Transport],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._policy = policy
        self._open_transport = open_transport
        self._clock = clock

    @cached_property
    def _transport(self) -> Transport:
        return self._open_transport()

    def can_ask(self, provider: str) -> bool:
        """Return whether a provider lists its models for an API key."""
        return self._catalogue[provider].dialect is not None

    def probe(
        self, provider: str, base_url: str | None, model_name: str, api_key: str
    ) -> ConnectionResult:
        """Test whether the provider lists a model for this API key."""
        try:
            _ = self._transport  # to make it is no part of what the provider takes
            begun = self._clock()
            names = self.names(provider, base_url, api_key)
        except UpstreamError as error:
            return ConnectionResult(error.result)
        finally:
            del api_key  # or a traceback would show it
        dialect = self._dialect(provider)
        is_ok = dialect.lists(model_name, names) or not dialect.is_complete
        latency_ms = round((self._clock() - begun) * 100) * 10
        return ConnectionResult("ok" if is_ok else "model_not_found", latency_ms)

    def names(self, provider: str, base_url: str | None, api_key: str) -> list[str]:
        """Return the names of the models that a provider serves.

        Raises:
            UpstreamError: It did not tell.
        """
        try:
            address = base_url or self._catalogue[provider].base_url or ""
            self._policy.check(parse_base_url(address))
            dialect = self._dialect(provider)
            answer = self._transport.get(dialect.url(address), dialect.headers(api_key))
        except BadAddressError:
            raise UpstreamError("blocked_address") from None
        finally:
            del api_key  # or a traceback would show it
        status, names = answer[0], _names(dialect, *answer)
        del answer  # which may repeat the key
        if status in _REFUSED:
            raise UpstreamError("auth_failed")
        if names is None:
            raise UpstreamError("bad_response")
        return [name for name in names if is_name(name)]

    def _dialect(self, provider: str) -> ListApi:
        return DIALECTS[self._catalogue[provider].dialect or "openai"]


def _names(dialect: ListApi, status: int, body: bytes) -> list[str] | None:
    try:
        return dialect.names(body) if status == 200 else None
    except ValueError:
        return None
