"""Requests to checked IP addresses only, with limits on time and size."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import httpcore2 as httpcore

from ..errors import UpstreamError
from ..secret import ClearedFrames
from .destination import headers_for
from .http_logs import filter_logs, without_log

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from .base_urls import AddressPolicy

    LookUp = Callable[[str, int], Sequence[str]]

_MAX_HEADERS, _MAX_HEADER_BYTES, _MAX_BODY_BYTES = 100, 32 * 1024, 4 * 1024 * 1024
_MAX_CHUNKS = 20_000
_MAX_LOOK_UPS = 32  # at once
#: How many IP addresses of a name are tried, because a DNS response may hold thousands.
MAX_ADDRESSES = 8
_STEP = 1.0  # seconds, which the time of a failed fetch is a multiple of
# The statuses whose bodies are read. Some servers refuse an API key with 400. Other errors may be
# about the model.
_STATUSES_WITH_BODY = {"GET": {200, 400}, "POST": {200, 400, 403, 404, 422}}


@dataclass(frozen=True)
class Network:
    """The network functions that a transport needs; tests replace them."""

    ssl_context: Callable[[], ssl.SSLContext]
    look_up: LookUp
    clock: Callable[[], float] = time.monotonic
    # Looked up when it is used, because gevent may have replaced it by then.
    sleep: Callable[[float], None] = field(default_factory=lambda: time.sleep)


def look_up(host: str, port: int) -> list[str]:
    """Return the IP addresses that this machine finds for a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def system_network() -> Network:
    """Return this machine's network, with the certificates that it trusts."""
    return Network(httpcore.default_ssl_context, look_up)


class Transport:
    """A client for requests to hosts that the policy allows.

    It looks up a name once, checks all of its IP addresses, and connects to one of the first 8. It
    follows no redirects, and uses no proxies, netrc, cookies or compression.

    Args:
        timeout: Seconds of wall-clock time for all of one fetch.
    """

    def __init__(self, policy: AddressPolicy, network: Network, timeout: float) -> None:
        self._policy = policy
        self._network = network
        self._timeout = timeout
        self._look_ups = threading.BoundedSemaphore(_MAX_LOOK_UPS)
        filter_logs()

    def deadline(self) -> float:
        """Return when consecutive fetches that begin now must have ended."""
        return self._network.clock() + self._timeout

    def get(
        self, url: str, headers: Mapping[str, str], deadline: float | None = None
    ) -> tuple[int, bytes]:
        """Return the status of the response and, if that is 200 or 400, its body.

        Args:
            deadline: When several fetches must have ended. Default: a full timeout for this one.

        Raises:
            UpstreamError: No server responds, or its response is not valid.
        """
        try:
            # The frames below hold headers with an API key, and the response.
            with ClearedFrames():
                return self._fetch(url, headers, deadline)
        finally:
            del headers

    def post(
        self, url: str, headers: Mapping[str, str], content: bytes, deadline: float
    ) -> tuple[int, bytes]:
        """Like ``get``, but send a POST, and return the body for 403, 404 and 422 too."""
        try:
            with ClearedFrames():
                return self._fetch(url, headers, deadline, content)
        finally:
            del headers

    def _fetch(
        self,
        url: str,
        headers: Mapping[str, str],
        deadline: float | None,
        content: bytes | None = None,
    ) -> tuple[int, bytes]:
        started = self._network.clock()
        backend = self.backend(self._timeout if deadline is None else deadline - started)
        limits = backend.limits
        try:
            with without_log():
                return self._exchange(
                    httpcore.URL(url), headers_for(url, headers), backend, content
                )
        except UpstreamError as error:
            if error.result == "unreachable":
                # Refused, unknown and forbidden hosts look alike, so the time must not differ
                # either.
                self._network.sleep(min(limits.left, (started - self._network.clock()) % _STEP))
            raise

    def backend(self, timeout: float) -> _Backend:
        """Return a backend that connects to checked IP addresses within ``timeout`` seconds."""
        limits = _Limits(self._network.clock, self._network.clock() + timeout)
        return _Backend(self._policy, self._look_up, limits)

    def _look_up(self, host: str, port: int, limits: _Limits) -> Sequence[str]:
        """Look a host up in a thread, because a look-up has no timeout."""
        # Not a SimpleQueue, because gevent replaces that class, but not in modules that have
        # imported it already.
        found: Queue[Sequence[str]] = Queue()

        def ask() -> None:
            try:
                found.put(self._network.look_up(host, port))
            except (OSError, ValueError):  # such as a UnicodeError
                found.put(())
            finally:
                self._look_ups.release()

        if not self._look_ups.acquire(timeout=limits.seconds()):
            return ()
        try:
            threading.Thread(target=ask, daemon=True).start()
            return found.get(timeout=limits.seconds())
        except Empty:
            return ()
        except RuntimeError:  # the process has too many threads
            self._look_ups.release()
            return ()

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """The trusted certificates. Reading them takes longer than the rest of a fetch."""
        return self._network.ssl_context()

    def connection(
        self, url: httpcore.URL, context: ssl.SSLContext | None, backend: _Backend
    ) -> httpcore.HTTPConnection | httpcore.HTTPProxy:
        """Return a connection to a URL."""
        return httpcore.HTTPConnection(url.origin, context, network_backend=backend)

    def _exchange(
        self,
        url: httpcore.URL,
        headers: list[tuple[bytes, bytes]],
        backend: _Backend,
        content: bytes | None,
    ) -> tuple[int, bytes]:
        context = self.ssl_context if url.scheme == b"https" else None
        connection = self.connection(url, context, backend)
        method = "GET" if content is None else "POST"
        sent = connection.stream(method, url, headers=headers, content=content)
        try:
            with connection, sent as response:
                is_read = response.status in _STATUSES_WITH_BODY[method]
                return response.status, _body(response, backend.limits) if is_read else b""
        except httpcore.TimeoutException:
            result = "timeout"
        except httpcore.ProxyError:
            result = "unreachable"
        except (httpcore.NetworkError, httpcore.ProtocolError):
            result = "bad_response"
        raise UpstreamError(result)  # outside of except: those messages may repeat the request


class _Limits:
    """The time and the bytes that are left for one fetch."""

    def __init__(self, clock: Callable[[], float], end: float) -> None:
        self._clock = clock
        self._end = end
        self._room = _MAX_HEADER_BYTES

    @property
    def left(self) -> float:
        return max(0.0, self._end - self._clock())

    def seconds(self) -> float:
        if not (left := self.left):
            raise UpstreamError("timeout")
        return left

    def room(self) -> int:
        if self._room <= 0:
            raise UpstreamError("too_large")
        return self._room

    def spend(self, count: int) -> None:
        self._room -= count

    def allow_body(self) -> None:
        self._room += _MAX_BODY_BYTES


class _Backend(httpcore.NetworkBackend):
    """Connects to IP addresses that were checked, whatever the host name."""

    def __init__(
        self,
        policy: AddressPolicy,
        look_up: Callable[[str, int, _Limits], Sequence[str]],
        limits: _Limits,
    ) -> None:
        self._policy = policy
        self._look_up = look_up
        self._inner = httpcore.SyncBackend()
        self.limits = limits

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return self.limited(self.connect(host, port))

    def limited(self, inner: httpcore.NetworkStream) -> httpcore.NetworkStream:
        """Return a stream with limits on time and size."""
        return _Stream(inner, self.limits)

    def connect(self, host: str, port: int) -> httpcore.NetworkStream:
        """Connect to the first checked address that responds, before the deadline.

        Raises:
            UpstreamError: None responds, or the host isn't allowed at one of its addresses.
        """
        addresses = self.checked(host, port)
        for number, address in enumerate(addresses):
            try:
                timeout = self.limits.seconds() / (len(addresses) - number)
                return self._inner.connect_tcp(address, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise UpstreamError("unreachable")

    def checked(self, host: str, port: int) -> Sequence[str]:
        """Return the first addresses of a host, if all of its addresses are allowed."""
        addresses = self._look_up(host, port, self.limits)
        if all(self._policy.permits(host, ip_address(each)) for each in addresses):
            return addresses[:MAX_ADDRESSES]
        return ()

    def forbids(self, host: str, port: int) -> bool:
        """Return whether this machine finds an address for the host that isn't allowed."""
        addresses = self._look_up(host, port, self.limits)
        return not all(self._policy.permits(host, ip_address(each)) for each in addresses)


class _Stream(httpcore.NetworkStream):
    """A stream with limits on time and size."""

    def __init__(self, inner: httpcore.NetworkStream, limits: _Limits) -> None:
        self._inner = inner
        self._limits = limits

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        most = min(max_bytes, self._limits.room())
        received = self._inner.read(most, self._limits.seconds())
        self._limits.spend(len(received))
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            self._inner.write(buffer, self._limits.seconds())
        finally:
            del buffer  # it holds the API key

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            inner = self._inner.start_tls(ssl_context, server_hostname, self._limits.seconds())
        except httpcore.ConnectTimeout:
            raise UpstreamError("timeout") from None
        except httpcore.ConnectError:
            raise UpstreamError("tls_error") from None
        return _Stream(inner, self._limits)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _body(response: httpcore.Response, limits: _Limits) -> bytes:
    if len(response.headers) > _MAX_HEADERS:
        raise UpstreamError("too_large")
    encodings = {value for name, value in response.headers if name.lower() == b"content-encoding"}
    if encodings - {b"", b"identity"}:
        raise UpstreamError("bad_response")
    limits.allow_body()
    chunks = []
    for chunk in response.iter_stream():
        chunks.append(chunk)
        if len(chunks) > _MAX_CHUNKS:  # many small chunks take time
            raise UpstreamError("too_large")
    return b"".join(chunks)
