"""HTTP clients for SDKs: they call one model, and only where the address policy allows."""

from __future__ import annotations

import ssl
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import httpcore2 as httpcore

from ..errors import ConfigError, UpstreamError
from ..secret import ClearedFrames, Hidden
from .destination import CONNECT_TIMEOUT
from .http_logs import without_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .destination import Destination
    from .transport import Transport

LIBRARIES = ("httpx2", "httpx")
# Like the SDKs' own clients, because one client may serve all threads of a process.
_LIMITS: Any = {"max_connections": 1000, "max_keepalive_connections": 100, "keepalive_expiry": 5.0}

_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)
_UNREACHABLE = (
    "The model's host can't be reached, or isn't at a public address. If it belongs to a private "
    "network, the operator can add it to MODEL_REGISTRY_ALLOWED_HOSTS."
)
_WRONG_SERVER = "This client only calls the server of its own model; make another for each model."
_TLS = "The TLS connection to the model's host failed, or its certificate isn't valid."


def open_client(
    transport: Transport,
    destination: Destination,
    *,
    is_async: bool,
    library: str | None,
    proxy: str | None,
) -> Any:
    """Return an HTTP client that calls one server and nothing else.

    Args:
        library: ``httpx`` or ``httpx2``; ``None`` for the newest that is installed.
        proxy: The URL of an HTTP proxy of the operator.

    Raises:
        ConfigError: The library isn't installed, or the proxy isn't an HTTP proxy.
    """
    module = _library(library)
    pool = _pool(transport, destination, is_async=is_async, proxy=_proxy(module, proxy))
    name = "AsyncClient" if is_async else "Client"
    kind = _AsyncTransport if is_async else _SyncTransport
    return _subclass(module, name)(
        transport=kind(module, destination, pool), trust_env=False, follow_redirects=False
    )


def _library(name: str | None) -> Any:
    if name not in (None, *LIBRARIES):
        raise ConfigError(f"the library of an HTTP client must be one of: {', '.join(LIBRARIES)}")
    for each in LIBRARIES if name is None else (name,):
        with suppress(ImportError):
            return import_module(each)
    raise ConfigError(
        f"an HTTP client for SDKs needs {name or 'httpx2'}, which isn't installed; "
        f"install openai or anthropic, which need it too, or run 'pip install {name or 'httpx2'}'"
    )


def _proxy(library: Any, url: str | None) -> dict[str, Any] | None:
    if url is None:
        return None
    try:
        proxy = library.Proxy(url)
        is_http = proxy.url.scheme in {"http", "https"} and bool(proxy.url.host)
    except (TypeError, ValueError, library.InvalidURL):
        is_http = False
    if not is_http:  # the URL may hold a password, so it isn't repeated
        raise ConfigError(
            "the proxy of an HTTP client must be a URL like http://proxy.example:3128"
        )
    return {
        "proxy_url": httpcore.URL(
            scheme=proxy.url.raw_scheme,
            host=proxy.url.raw_host,
            port=proxy.url.port,
            target=proxy.url.raw_path,
        ),
        "proxy_auth": proxy.raw_auth,
        "proxy_headers": proxy.headers.raw,
    }


def _pool(
    transport: Transport,
    destination: Destination,
    *,
    is_async: bool,
    proxy: dict[str, Any] | None,
) -> Any:
    behind = None if proxy is None else destination.endpoint.host
    backend = (_AsyncBackend if is_async else _SyncBackend)(transport, behind)
    context = transport.ssl_context if destination.endpoint.scheme == "https" else None
    options = {**_LIMITS, "ssl_context": context, "network_backend": backend}
    if proxy is not None:
        return (httpcore.AsyncHTTPProxy if is_async else httpcore.HTTPProxy)(**proxy, **options)
    return (httpcore.AsyncConnectionPool if is_async else httpcore.ConnectionPool)(**options)


class _SyncBackend(httpcore.NetworkBackend):
    """Connects to checked addresses, or to a proxy for a checked host."""

    def __init__(self, transport: Transport, behind_proxy: str | None) -> None:
        self._transport = transport
        self._behind_proxy = behind_proxy

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any
    ) -> httpcore.NetworkStream:
        backend = self._transport.backend(timeout or CONNECT_TIMEOUT)
        if self._behind_proxy is None:
            return backend.connect(host, port)
        if backend.forbids(self._behind_proxy, port):
            raise UpstreamError("unreachable")
        try:
            return httpcore.SyncBackend().connect_tcp(host, port, timeout)
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            raise UpstreamError("unreachable") from None


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """Like :class:`_SyncBackend`, but without blocking the event loop."""

    def __init__(self, transport: Transport, behind_proxy: str | None) -> None:
        self._transport = transport
        self._behind_proxy = behind_proxy

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any
    ) -> httpcore.AsyncNetworkStream:
        from anyio.to_thread import run_sync  # httpx and httpx2 need it, too

        backend = self._transport.backend(timeout or CONNECT_TIMEOUT)
        if self._behind_proxy is None:
            addresses = await run_sync(backend.checked, host, port, abandon_on_cancel=True)
        elif await run_sync(backend.forbids, self._behind_proxy, port, abandon_on_cancel=True):
            addresses = ()
        else:
            addresses = (host,)
        for number, address in enumerate(addresses):
            seconds = backend.limits.seconds() / (len(addresses) - number)
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await httpcore.AnyIOBackend().connect_tcp(address, port, seconds)
        raise UpstreamError("unreachable")


@contextmanager
def _errors_as(library: Any) -> Iterator[None]:
    """Raise the errors that SDKs expect. They quote nothing, because servers may echo a request."""
    try:
        yield
    except UpstreamError:
        # Refused, filtered, unknown and forbidden hosts look alike, so that users can't scan a
        # network.
        raise library.ConnectError(_UNREACHABLE) from UpstreamError("unreachable", _UNREACHABLE)
    except httpcore.ConnectError:
        raise library.ConnectError(_TLS) from UpstreamError("tls_error", _TLS)
    except _FAILURES as error:
        name = type(error).__name__
        raise getattr(library, name)(f"The call to the model failed: {name}.") from None
    except ssl.SSLError:
        raise library.ReadError("The call to the model failed: the TLS connection broke.") from None


class _Transport:
    """The transport of a client for either library, duck-typed."""

    def __init__(self, library: Any, destination: Destination, pool: Any) -> None:
        self._library = library
        self._destination = destination
        self._pool = Hidden(pool)  # it holds requests, with their API key

    def _check(self, request: Any) -> None:
        if not self._destination.has(request.url):
            cause = UpstreamError("blocked_address", _WRONG_SERVER)
            raise self._library.ConnectError(_WRONG_SERVER) from cause

    def _response(self, response: httpcore.Response, stream: str) -> Any:
        # Without cookies, because the jar of a shared client would mix those of its users.
        headers = [each for each in response.headers if each[0].lower() != b"set-cookie"]
        # Without the server's reason, which httpx logs, because it could be the API key.
        extensions = {**response.extensions}
        extensions.pop("reason_phrase", None)
        return self._library.Response(
            response.status,
            headers=headers,
            stream=_subclass(self._library, stream)(self._library, response.stream),
            extensions=extensions,
        )


class _SyncTransport(_Transport):
    def handle_request(self, request: Any) -> Any:
        self._check(request)
        with _errors_as(self._library), without_log(), ClearedFrames():
            response = self._pool.reveal().handle_request(self._destination.request(request))
        return self._response(response, "SyncByteStream")

    def close(self) -> None:
        self._pool.reveal().close()

    def __enter__(self) -> _SyncTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _AsyncTransport(_Transport):
    async def handle_async_request(self, request: Any) -> Any:
        self._check(request)
        with _errors_as(self._library), without_log(), ClearedFrames():
            response = await self._pool.reveal().handle_async_request(
                self._destination.request(request)
            )
        return self._response(response, "AsyncByteStream")

    async def aclose(self) -> None:
        await self._pool.reveal().aclose()

    async def __aenter__(self) -> _AsyncTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Stream:
    def __init__(self, library: Any, stream: Any) -> None:
        self._library = library
        self._stream = Hidden(stream)  # it holds the request, with its API key


class _SyncStream(_Stream):
    def __iter__(self) -> Iterator[bytes]:
        chunks = Hidden(iter(self._stream.reveal()))
        # Once for each chunk, because other code, with its own errors, runs between two chunks.
        while (chunk := self._next(chunks)) is not None:
            yield chunk

    def _next(self, chunks: Hidden[Iterator[bytes]]) -> bytes | None:
        with _errors_as(self._library), ClearedFrames():
            return next(chunks.reveal(), None)

    def close(self) -> None:
        self._stream.reveal().close()


class _AsyncStream(_Stream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = Hidden(aiter(self._stream.reveal()))
        while (chunk := await self._next(chunks)) is not None:
            yield chunk

    async def _next(self, chunks: Hidden[AsyncIterator[bytes]]) -> bytes | None:
        with _errors_as(self._library), ClearedFrames():
            return await anext(chunks.reveal(), None)

    async def aclose(self) -> None:
        await self._stream.reveal().aclose()


class _SyncClient:
    """A client that follows no redirects, even if the caller of an SDK asks for it."""

    def send(self, request: Any, **options: Any) -> Any:
        try:
            with ClearedFrames():  # the library's client keeps the request in each of its frames
                return super().send(request, **{**options, "follow_redirects": False})  # type: ignore[misc]  # of the library's client
        finally:
            del request, options  # an error report would show the API key in them

    def handle_request(self, request: Any) -> Any:
        """Send a request as a transport does, for packages that only take one."""
        return self._transport.handle_request(request)  # type: ignore[attr-defined]  # the same

    def __del__(self) -> None:
        # The SDKs' own clients do the same, because few views close theirs.
        with suppress(Exception):
            self.close()  # type: ignore[attr-defined]  # of the library's client


class _AsyncClient:
    """Like :class:`_SyncClient`, but asynchronous."""

    async def send(self, request: Any, **options: Any) -> Any:
        try:
            with ClearedFrames():
                return await super().send(request, **{**options, "follow_redirects": False})  # type: ignore[misc]  # of the library's client
        finally:
            del request, options

    async def handle_async_request(self, request: Any) -> Any:
        return await self._transport.handle_async_request(request)  # type: ignore[attr-defined]


_MIXINS: dict[str, type] = {
    "Client": _SyncClient,
    "AsyncClient": _AsyncClient,
    "SyncByteStream": _SyncStream,
    "AsyncByteStream": _AsyncStream,
}


@cache
def _subclass(library: Any, name: str) -> Any:
    """Return a subclass of the library's class, because SDKs check for that class."""
    return type(name, (_MIXINS[name], getattr(library, name)), {})
