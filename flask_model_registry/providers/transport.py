"""One GET to the world outside: to an address that was checked, by a deadline, up to a size."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import httpcore2 as httpcore

from ..errors import UpstreamError
from ..secret import ClearedFrames

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .base_urls import AddressPolicy

    LookUp = Callable[[str, int], Sequence[str]]

_HEADERS, _HEADER_BYTES, _BODY_BYTES = 100, 32 * 1024, 4 * 1024 * 1024
_PIECES = 20_000
_LOOK_UPS = 32  # at once
#: To how many addresses of a name a connection is tried; an answer of DNS may hold thousands.
MOST_ADDRESSES = 8
_PACE = 1.0  # seconds
_OK = 200
_HTTP_LOGS = ("httpcore2.connection", "httpcore2.http11")


@dataclass(frozen=True)
class Network:
    """The edge of the world: what a transport needs of it."""

    ssl_context: Callable[[], ssl.SSLContext]
    look_up: LookUp
    clock: Callable[[], float] = time.monotonic
    # Looked up when it is used, as gevent may have put its own in place by then.
    sleep: Callable[[float], None] = field(default_factory=lambda: time.sleep)


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as this machine knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def system_network() -> Network:
    """Return the network as this machine has it, with the certificates that it trusts."""
    return Network(httpcore.default_ssl_context, look_up)


class Transport:
    """Fetches from where the policy allows.

    A name is looked up once, all of its addresses are checked, and the connection goes to one of
    the first. There are no redirects, proxies, netrc, cookies or compression.

    Args:
        timeout: Seconds of wall-clock time for all of one fetch.
    """

    def __init__(self, policy: AddressPolicy, network: Network, timeout: float) -> None:
        self._policy = policy
        self._network = network
        self._timeout = timeout
        self._look_ups = threading.BoundedSemaphore(_LOOK_UPS)
        for name in _HTTP_LOGS:
            logging.getLogger(name).addFilter(_is_not_ours)

    def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the status of the response and, if that is 200, its body.

        Raises:
            UpstreamError: No server is there, or its response is not a valid one.
        """
        try:
            # What is below holds headers with an API key, and what the provider answers.
            with ClearedFrames():
                return self._get(url, headers)
        finally:
            del headers

    def _get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        begun = self._network.clock()
        backend = self.backend(self._timeout)
        limits = backend.limits
        try:
            with without_log():
                return self._exchange(httpcore.URL(url), _whole(url, headers), backend)
        except UpstreamError as error:
            if error.result == "unreachable":
                # Refused, unknown and not allowed are alike: how long it took does not tell either.
                self._network.sleep(min(limits.left, (begun - self._network.clock()) % _PACE))
            raise

    def backend(self, timeout: float) -> _Backend:
        """Return what connects to checked addresses within so many seconds from now."""
        limits = _Limits(self._network.clock, self._network.clock() + timeout)
        return _Backend(self._policy, self._look_up, limits)

    def _look_up(self, host: str, port: int, limits: _Limits) -> Sequence[str]:
        """Look up in a thread, as that takes as long as it likes."""
        # Not a SimpleQueue: gevent replaces the class, but not what was imported before.
        answers: Queue[Sequence[str]] = Queue()

        def ask() -> None:
            try:
                answers.put(self._network.look_up(host, port))
            except (OSError, ValueError):  # such as a UnicodeError
                answers.put(())
            finally:
                self._look_ups.release()

        if not self._look_ups.acquire(timeout=limits.seconds()):
            return ()
        try:
            threading.Thread(target=ask, daemon=True).start()
            return answers.get(timeout=limits.seconds())
        except Empty:
            return ()
        except RuntimeError:  # there are too many threads
            self._look_ups.release()
            return ()

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """Which certificates are trusted; to read them takes longer than the rest of a fetch."""
        return self._network.ssl_context()

    def _exchange(
        self, url: httpcore.URL, headers: list[tuple[bytes, bytes]], backend: _Backend
    ) -> tuple[int, bytes]:
        context = self.ssl_context if url.scheme == b"https" else None
        connection = httpcore.HTTPConnection(url.origin, context, network_backend=backend)
        try:
            with connection, connection.stream("GET", url, headers=headers) as answer:
                return answer.status, _body(answer, backend.limits)
        except httpcore.TimeoutException:
            result = "timeout"
        except (httpcore.NetworkError, httpcore.ProtocolError):
            result = "bad_response"
        raise UpstreamError(result)  # outside, as their messages may repeat what was sent


class _Limits:
    """The time and the bytes that are left of one fetch."""

    def __init__(self, clock: Callable[[], float], end: float) -> None:
        self._clock = clock
        self._end = end
        self._room = _HEADER_BYTES

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
        self._room += _BODY_BYTES


class _Backend(httpcore.NetworkBackend):
    """Connects to addresses that were checked, whatever name they go by."""

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
        return _Stream(self.connect(host, port), self.limits)

    def connect(self, host: str, port: int) -> httpcore.NetworkStream:
        """Connect to the first checked address that responds, before the deadline.

        Raises:
            UpstreamError: None does, or the host isn't allowed at one of its addresses.
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
        """Return the first addresses of a host, if it may be called at each that it has."""
        addresses = self._look_up(host, port, self.limits)
        if all(self._policy.permits(host, ip_address(each)) for each in addresses):
            return addresses[:MOST_ADDRESSES]
        return ()

    def forbids(self, host: str, port: int) -> bool:
        """Return whether one of a host's addresses, as far as known here, isn't allowed."""
        addresses = self._look_up(host, port, self.limits)
        return not all(self._policy.permits(host, ip_address(each)) for each in addresses)


class _Stream(httpcore.NetworkStream):
    """A stream that ends when time or room do."""

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


def _whole(url: str, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    # Not httpcore's own Host: that has no brackets around IPv6 (RFC 9110, section 7.2).
    host = url.partition("://")[2].partition("/")[0]
    ours = {"Host": host, "User-Agent": "flask-model-registry", "Accept-Encoding": "identity"}
    return [(name.encode(), value.encode()) for name, value in {**ours, **headers}.items()]


def _body(answer: httpcore.Response, limits: _Limits) -> bytes:
    if answer.status != _OK:
        return b""
    if len(answer.headers) > _HEADERS:
        raise UpstreamError("too_large")
    encodings = {value for name, value in answer.headers if name.lower() == b"content-encoding"}
    if encodings - {b"", b"identity"}:
        raise UpstreamError("bad_response")
    limits.allow_body()
    pieces = []
    for piece in answer.iter_stream():
        pieces.append(piece)
        if len(pieces) > _PIECES:  # each takes time
            raise UpstreamError("too_large")
    return b"".join(pieces)


_fetching: ContextVar[bool] = ContextVar("_fetching", default=False)


@contextmanager
def without_log() -> Iterator[None]:
    """Keep what others send out of the log: httpcore writes headers to it, at DEBUG."""
    token = _fetching.set(True)
    try:
        yield
    finally:
        _fetching.reset(token)


def _is_not_ours(_record: logging.LogRecord) -> bool:
    return not _fetching.get()
