"""The server that a client calls, and the headers and API key that go there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import httpcore2 as httpcore

from .apis import DIALECTS
from .base_urls import DEFAULT_PORTS, ParsedUrl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    RawHeaders = Sequence[tuple[bytes, bytes]]

CONNECT_TIMEOUT = 10.0  # seconds at most, for the look-up and all addresses together

_CREDENTIALS = frozenset(dialect.header.lower() for dialect in DIALECTS.values())
# SDKs send these from the app's environment to every server they call.
_ENVIRONMENT = {
    "OPENAI_ORG_ID": "openai-organization",
    "OPENAI_ORGANIZATION": "openai-organization",
    "OPENAI_PROJECT_ID": "openai-project",
    "OPENAI_PROJECT": "openai-project",
}
_CUSTOM_HEADERS = ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS")
# Requests fail without these, and they hold no secret.
_PROTOCOL = frozenset(
    "accept accept-encoding anthropic-beta anthropic-version content-length content-type "
    "openai-beta transfer-encoding user-agent".split()
)


class Secret(Protocol):
    """An object that holds the API key."""

    def reveal(self) -> str:
        """Return the API key."""
        ...


@dataclass(frozen=True)
class Destination:
    """The only server a client calls, and the API key for it.

    Attributes:
        alias: A stand-in URL for code that must not learn the endpoint.
    """

    endpoint: ParsedUrl
    alias: ParsedUrl
    api_key: Secret

    def has(self, url: Any) -> bool:
        """Return whether a URL is at this server."""
        host = url.raw_host.decode("ascii").lower()
        asked = ParsedUrl(url.scheme, host, url.port or DEFAULT_PORTS.get(url.scheme, 0))
        return asked in (self.endpoint, self.alias)

    def request(self, request: Any) -> httpcore.Request:
        """Return an SDK's request, redirected to this server."""
        timeout = dict(request.extensions.get("timeout", {}))
        timeout["connect"] = min(timeout.get("connect") or CONNECT_TIMEOUT, CONNECT_TIMEOUT)
        return httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=self.endpoint.scheme,
                host=self.endpoint.host,
                port=self.endpoint.port,
                target=request.url.raw_path,
            ),
            headers=self._headers(request.headers.raw, os.environ),
            content=request.stream,
            extensions={"timeout": timeout},
        )

    def _headers(self, raw: RawHeaders, environ: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Return headers with only the model's API key, and without those of the environment."""
        key = self.api_key.reveal().encode()
        from_environment = _environment_headers(environ)
        sent = [(b"Host", self.endpoint.netloc.encode())]
        replaced, has_key = b"", False
        for name, value in raw:
            lower = name.decode("ascii", "replace").lower()
            if lower in _CREDENTIALS and value != key and not value.endswith(b" " + key):
                # Every server with an API like OpenAI's or Anthropic's reads Authorization.
                replaced = name if lower == "authorization" else replaced or name
            elif lower not in {"host", "proxy-authorization"} and (
                lower in _PROTOCOL
                or (lower, value.decode("utf-8", "replace")) not in from_environment
            ):
                sent.append((name, value))
                has_key = has_key or lower in _CREDENTIALS
        if replaced and not has_key:
            scheme = b"Bearer " if replaced.lower() == b"authorization" else b""
            sent.append((replaced, scheme + key))
        return sent


def headers_for(url: str, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers for the registry's own request."""
    # Not httpcore's own Host: that has no brackets around IPv6 (RFC 9110, section 7.2).
    host = url.partition("://")[2].partition("/")[0]
    own = {"Host": host, "User-Agent": "flask-model-registry", "Accept-Encoding": "identity"}
    # A credential's header replaces one that differs in case only, as it does in SDKs.
    sent = {name.lower(): (name, value) for name, value in {**own, **headers}.items()}
    return [(name.encode(), value.encode()) for name, value in sent.values()]


def _environment_headers(environ: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return the headers that SDKs take from the environment."""
    lines = [f"{header}:{environ.get(name, '')}" for name, header in _ENVIRONMENT.items()]
    for name in _CUSTOM_HEADERS:
        lines += environ.get(name, "").split("\n")
    pairs = (line.partition(":") for line in lines)
    return {(name.strip().lower(), value.strip()) for name, _, value in pairs}
