"""Ask a provider which models it serves, or call one of them once.

The list costs nothing at any provider, and shows whether base URL, API key and name are right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import UpstreamError
from ..secret import ClearedFrames
from ..text import is_name
from .base_urls import BadAddressError, parse_base_url
from .calls import MAX_ERROR_BYTES, call_of, can_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .apis import ListApi
    from .app_providers import Catalogue
    from .base_urls import AddressPolicy
    from .calls import CalledModel
    from .transport import Transport

RESULTS = (
    "ok auth_failed model_not_found not_listed no_list rate_limited unavailable bad_response "
    "unreachable tls_error timeout blocked_address too_large"
).split()
_RESULTS_BY_STATUS = {
    401: "auth_failed",
    403: "auth_failed",
    402: "rate_limited",  # the account has no credit left
    429: "rate_limited",
    404: "no_list",
    405: "no_list",
    501: "no_list",
}
# How servers refuse an API key with 400: Gemini, xAI, and a LiteLLM proxy without a database, which
# only knows one key.
_REFUSED_KEY = re.compile(
    rb"API_KEY_INVALID|invalid_api_key|no_db_connection|auth_error|token_not_found"
    rb"|(?:incorrect|invalid|wrong|malformed) api[ _-]?key|api[ _-]?key (?:is )?(?:not |in)valid",
    re.IGNORECASE,
)
# Limits for a list, because a server may send pages without end.
_MAX_PAGES = 10
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_MAX_NAMES = 20_000


@dataclass(frozen=True)
class ConnectionResult:
    """The result of a connection test.

    Attributes:
        result: One of ``RESULTS``.
        latency_ms: How many milliseconds it took to list the provider's models or to call the
            model, rounded to tens; ``None`` if that request failed.
        key_checked: Whether the server checked the API key; ``None`` if unknown.
        billed: Whether the test called the model, which the provider may bill.
    """

    result: str
    latency_ms: int | None = None
    key_checked: bool | None = None
    billed: bool = False


class ProviderClient:
    """A client that asks providers for their lists of models, and calls one for a test."""

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

    def can_call(self, provider: str, category: str) -> bool:
        """Return whether a model of a category can be called for a test."""
        return can_call(self._catalogue[provider], category)

    def probe(
        self,
        provider: str,
        base_url: str | None,
        model_name: str,
        api_key: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> ConnectionResult:
        """Test whether the provider, asked with this API key and these headers, lists a model."""
        try:
            with ClearedFrames():
                address = self._address(provider, base_url)
                return self._probe(
                    provider,
                    address,
                    model_name,
                    api_key=api_key,
                    dialect=self._dialect(provider, headers),
                )
        except UpstreamError as error:
            return _failure(error)
        finally:
            del api_key, headers  # or a traceback would show them

    def call(
        self,
        provider: str,
        base_url: str | None,
        model: CalledModel,
        api_key: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> ConnectionResult:
        """Test a model by calling it once, with a few tokens, which the provider may bill.

        If the server refuses the parameter that limits tokens, a second request has another one.
        """
        try:
            with ClearedFrames():
                address = self._address(provider, base_url)
                found = self._call(
                    provider,
                    address,
                    model,
                    api_key=api_key,
                    dialect=self._dialect(provider, headers),
                )
        except UpstreamError as error:
            found = _failure(error)
        finally:
            del api_key, headers  # or a traceback would show them
        return replace(found, billed=True)

    def names(
        self,
        provider: str,
        base_url: str | None,
        api_key: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> list[str]:
        """Return the names of the models that a provider serves.

        Raises:
            UpstreamError: The list can't be fetched; ``result`` says why.
        """
        try:
            with ClearedFrames():
                address = self._address(provider, base_url)
                deadline = self._transport.deadline()
                pages = self._pages(self._dialect(provider, headers), address, api_key, deadline)
                names = chain.from_iterable(names for names, _ in pages)
                return [name for name in dict.fromkeys(names) if is_name(name)]
        finally:
            del api_key, headers  # or a traceback would show them

    def _address(self, provider: str, base_url: str | None) -> str:
        address = base_url or self._catalogue[provider].base_url or ""
        try:
            self._policy.check(parse_base_url(address))
        except BadAddressError:
            raise UpstreamError("blocked_address") from None
        return address

    def _dialect(self, provider: str, headers: Mapping[str, str]) -> ListApi:
        listing = self._catalogue[provider].listing
        return replace(listing, more={**listing.more, **headers}) if headers else listing

    def _probe(
        self, provider: str, address: str, model_name: str, *, api_key: str, dialect: ListApi
    ) -> ConnectionResult:
        started, deadline = self._clock(), self._transport.deadline()
        result, is_route = "not_listed", False
        for names, is_last in self._pages(dialect, address, api_key, deadline):
            if dialect.lists_deployable:
                break
            if dialect.lists(model_name, names):
                result = "ok"
                break
            is_route = is_route or model_name.rpartition(":")[0] in names  # such as model:nitro
            if is_last and not is_route and self._catalogue[provider].list_is_complete:
                result = "model_not_found"
        latency_ms = self._latency_ms(started)
        key_checked = self._is_key_checked(
            provider, address, api_key=api_key, dialect=dialect, deadline=deadline
        )
        return ConnectionResult(result, latency_ms, key_checked)

    def _call(
        self, provider: str, address: str, model: CalledModel, *, api_key: str, dialect: ListApi
    ) -> ConnectionResult:
        known = self._catalogue[provider]
        call = call_of(known, dialect, address, model, api_key=api_key)
        started, deadline = self._clock(), self._transport.deadline()
        response = self._transport.post(call.url, call.headers, call.content(), deadline)
        if other := call.with_other_limit(*response):
            response = self._transport.post(call.url, call.headers, other.content(), deadline)
        result = call.result(*response)
        if result is None:
            raise _refusal(*response)
        latency_ms = self._latency_ms(started)
        # A provider's own server runs no model without an API key. A user's server may.
        own = known.base_url and parse_base_url(known.base_url).origin
        is_checked = known.needs_key and own == parse_base_url(address).origin
        return ConnectionResult(result, latency_ms, True if is_checked else None)

    def _latency_ms(self, started: float) -> int:
        return round((self._clock() - started) * 100) * 10

    def _pages(
        self, dialect: ListApi, address: str, api_key: str, deadline: float
    ) -> Iterator[tuple[list[str], bool]]:
        """Yield the names on each page of a list, and whether it is the last page."""
        url, headers = dialect.url(address), dialect.headers(api_key)
        query, count = "", 0
        for _ in range(_MAX_PAGES):
            separator = "&" if "?" in url else "?"
            body = self._get(f"{url}{separator}{query}" if query else url, headers, deadline)
            try:
                names, query = dialect.page(body)
            except ValueError:
                raise UpstreamError("bad_response") from None
            if api_key in query:  # a cursor may echo it, and URLs are logged
                raise UpstreamError("bad_response")
            yield names, not query
            count += len(names)
            if not query or count > _MAX_NAMES:
                return

    def _get(self, url: str, headers: dict[str, str], deadline: float) -> bytes:
        status, body = self._transport.get(url, headers, deadline)
        if status == 200:
            return body
        raise _refusal(status, body)

    def _is_key_checked(
        self, provider: str, address: str, *, api_key: str, dialect: ListApi, deadline: float
    ) -> bool | None:
        """Return whether the provider checks the API key, once it has listed its models.

        Raises:
            UpstreamError: The provider's ``key_check`` refuses the API key.
        """
        known = self._catalogue[provider]
        own = parse_base_url(known.base_url or address)
        if own.origin != parse_base_url(address).origin or not known.lists_to_anyone:
            return self._asks_for_key(dialect.url(address), dialect, deadline)
        if known.key_check is None:
            return False
        url = f"{own.scheme}://{own.netloc}{known.key_check}"
        try:
            self._get(url, dialect.headers(api_key), deadline)
        except UpstreamError as error:
            if error.result == "auth_failed":
                raise
            return None
        return True

    def _asks_for_key(self, url: str, dialect: ListApi, deadline: float) -> bool | None:
        """Return whether a server refuses a request for its list without an API key."""
        try:
            dialect.page(self._get(url, dialect.headers(None), deadline))
        except UpstreamError as error:
            return True if error.result == "auth_failed" else None
        except ValueError:
            return None
        return False


def _refusal(status: int, body: bytes) -> UpstreamError:
    if status == 400 and _REFUSED_KEY.search(body, 0, MAX_ERROR_BYTES):
        return UpstreamError("auth_failed")
    unknown = "unavailable" if status >= 500 else "bad_response"
    return UpstreamError(_RESULTS_BY_STATUS.get(status, unknown))


def _failure(error: UpstreamError) -> ConnectionResult:
    # A server that refuses an API key has checked it.
    is_refused = error.result == "auth_failed"
    return ConnectionResult(error.result, key_checked=True if is_refused else None)
