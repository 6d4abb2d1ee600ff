"""Connection tests through the operator's egress proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import httpcore2 as httpcore

from ..errors import UpstreamError
from .transport import Transport

if TYPE_CHECKING:
    import ssl

    from ..secret import Secret
    from .base_urls import AddressPolicy
    from .transport import Network


class ProxiedTransport(Transport):
    """Fetches through a proxy, but directly from hosts that the operator allows by name or address.

    Only https goes through the proxy, so that the proxy learns the host and nothing else.

    Args:
        proxy: Its URL, which may hold a password.
    """

    def __init__(
        self, policy: AddressPolicy, network: Network, timeout: float, proxy: Secret
    ) -> None:
        super().__init__(policy, network, timeout)
        self._proxy = proxy

    def connection(
        self, url: httpcore.URL, context: ssl.SSLContext | None, backend: Any
    ) -> httpcore.HTTPConnection | httpcore.HTTPProxy:
        """Return a connection to a URL, through the proxy or directly."""
        host = url.host.decode()
        if self._policy.allows(host):
            return super().connection(url, context, backend)
        proxy = urlsplit(self._proxy.reveal())
        has_login = proxy.username is not None
        login = (unquote(proxy.username or ""), unquote(proxy.password or ""))
        return httpcore.HTTPProxy(
            httpcore.URL(
                scheme=proxy.scheme, host=proxy.hostname or "", port=proxy.port, target="/"
            ),
            proxy_auth=login if has_login else None,
            ssl_context=context,
            network_backend=_ToProxy(self, backend, host),
        )


class _ToProxy(httpcore.NetworkBackend):
    """Connects to the proxy, unless this machine knows that the target host is internal."""

    def __init__(self, transport: Transport, backend: Any, host: str) -> None:
        self._transport = transport
        self._backend = backend
        self._host = host

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.NetworkStream:
        limits = self._backend.limits
        # A machine behind a proxy may wait a long time for names that its own DNS doesn't know.
        if self._transport.backend(limits.left / 2).forbids(self._host, port):
            raise UpstreamError("unreachable")
        try:
            inner = httpcore.SyncBackend().connect_tcp(host, port, limits.seconds())
        except (httpcore.ConnectError, httpcore.ConnectTimeout):
            raise UpstreamError("unreachable") from None
        stream: httpcore.NetworkStream = self._backend.limited(inner)
        return stream
