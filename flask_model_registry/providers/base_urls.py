"""Which base URLs are valid: https at a public address, or a host that the app allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_SETTING = "MODEL_REGISTRY_ALLOWED_HOSTS"
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*)",
    re.ASCII,
)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
DEFAULT_PORTS = {"https": 443, "http": 80}

# IANA's special-purpose address registries (RFC 6890 and later), and the metadata services that
# cloud providers keep at public-looking addresses. The standard library's `is_global` is wrong
# for some of these.
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16 169.254.0.0/16 "
        "172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 "
        "198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 "
        # All of IPv6 except 2000::/3, and within that the ranges that lead to IPv4 or to no host.
        "::/3 4000::/2 8000::/1 2001::/23 2001:db8::/32 2002::/16 3fff::/20"
    ).split()
)


@dataclass(frozen=True)
class ParsedUrl:
    """A parsed base URL."""

    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """The origin (RFC 6454): scheme, host and port."""
        return f"{self.scheme}://{self._bracketed}:{self.port}"

    @property
    def netloc(self) -> str:
        """The value of ``Host`` (RFC 9110, section 7.2): without the scheme's own port."""
        is_default = self.port == DEFAULT_PORTS[self.scheme]
        return self._bracketed if is_default else f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


class BadAddressError(ValueError):
    """A base URL that isn't allowed; the message says why, without any part of the URL."""


def parse_base_url(text: str) -> ParsedUrl:
    """Parse a base URL strictly, because parsers may read an unusual one differently.

    Raises:
        BadAddressError: It is not a plain ``https://host[:port][/path]``.
    """
    match = _URL.fullmatch(text)
    if match is None:
        raise BadAddressError(
            "Give a base URL such as https://api.example.com/v1, "
            "without user name, query, fragment or escapes."
        )
    host = _checked_host(match["host"])
    port = int(match["port"] or DEFAULT_PORTS[match["scheme"]])
    if not 1 <= port <= 65_535:
        raise BadAddressError("The port must be from 1 to 65535.")
    if any(segment in {".", ".."} for segment in match["path"].split("/")):
        raise BadAddressError("The path must not contain '.' or '..'.")
    return ParsedUrl(match["scheme"], host, port)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an IP address is publicly routable, by the registry's own list."""
    return not any(address in network for network in _NOT_PUBLIC)


@dataclass(frozen=True)
class AddressPolicy:
    """The hosts and networks that the app allows beyond public https."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def check(self, endpoint: ParsedUrl) -> None:
        """Refuse private hosts and plain http, unless the app allows the host.

        Names aren't looked up here; ``permits`` checks their IP addresses when a call connects.

        Raises:
            BadAddressError: The URL isn't allowed; the message names the setting.
        """
        if self.allows(endpoint.host):
            return
        if not _may_be_public(endpoint.host):
            raise BadAddressError(f"Not a public address; the operator can add it to {_SETTING}.")
        if endpoint.scheme != "https":
            raise BadAddressError(f"Use https, or ask the operator to add the host to {_SETTING}.")

    def permits(self, host: str, address: IPv4Address | IPv6Address) -> bool:
        """Return whether a host may be called at one of its IP addresses."""
        return host in self.hosts or is_public(address) or self.allows(str(address))

    def allows(self, host: str) -> bool:
        """Return whether the setting allows this host: its name, IP address or network."""
        address = _as_address(host)
        if address is None:
            return host in self.hosts
        return any(address in network for network in self.networks)


def _checked_host(text: str) -> str:
    host = text.strip("[]").lower()
    labels = host.split(".")
    # Other spellings of an IPv4 address (decimal, octal, hexadecimal, short) end like a number.
    looks_numeric = labels[-1].isdigit() or labels[-1].startswith("0x")
    if text.startswith("[") or looks_numeric:
        address = _as_address(host)
        is_v6 = isinstance(address, IPv6Address)
        if address is None or str(address) != host or text.startswith("[") is not is_v6:
            raise BadAddressError("Write the IP address in its usual form.")
    elif len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise BadAddressError("The host is not a valid name.")
    return host


def _as_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _may_be_public(host: str) -> bool:
    address = _as_address(host)
    if address is not None:
        return is_public(address)
    return "." in host and not host.endswith((".localhost", ".local", ".internal"))
