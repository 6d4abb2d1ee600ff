"""The settings, read once from the host's configuration and checked immediately."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .secret import ClearedFrames, Hidden, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXTENSION = "model_registry"  # in ``app.extensions``
PREFIX = "MODEL_REGISTRY_"
_NAMES = (
    "ENCRYPTION_KEYS ENCRYPTION_KEYS_FILE KEY_CHECK URL_PREFIX PAGE ALLOWED_HOSTS "
    "PROXY PROBE_TIMEOUT PROBE_CONCURRENCY MAX_BODY_BYTES MAX_PAGE_SIZE SECURITY_SCHEMES"
).split()
KEY_BYTES = 32  # AES-256
_KEY_HINT = "make one with 'flask model-registry generate-key'"
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_SCHEME_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_-]+\.)*[a-z_-][a-z0-9_-]*")
_PROXY_URL = re.compile(
    r"https?://([!-.0-;=?A-~]*@)?([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?/?", re.IGNORECASE
)
# The secrets that sign a host app's tokens and cookies must not also decrypt API keys.
_HOST_SECRETS = ("SECRET_KEY", "JWT_SECRET_KEY", "SECRET_KEY_FALLBACKS")


@dataclass(frozen=True, init=False)
class EncryptionKey:
    """An encryption key of 32 bytes, and its public id.

    Example:
        >>> EncryptionKey("2030", bytes(range(32))).key_id
        '2030#...'
    """

    id: str
    _secret: Secret = field(repr=False)

    def __init__(self, id: str, secret: bytes) -> None:  # noqa: A002  # what the setting calls it
        try:
            hexadecimal = Secret(secret.hex())
        finally:
            del secret  # or a traceback would show it
        object.__setattr__(self, "id", id)
        object.__setattr__(self, "_secret", hexadecimal)

    @classmethod
    def parse(cls, entry: str, name: str = "an encryption key") -> EncryptionKey:
        """Parse an entry ``id:base64`` of ``MODEL_REGISTRY_ENCRYPTION_KEYS``.

        Args:
            name: The name of the entry in error messages.

        Raises:
            ConfigError: The entry is malformed, or its bytes are not random.

        Example:
            >>> EncryptionKey.parse("2030:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").id
            '2030'
        """
        try:
            with ClearedFrames():
                key_id, secret = _split_entry(entry)
        finally:
            del entry  # even an invalid entry is nearly an encryption key
        if key_id is None or len(secret.reveal()) != KEY_BYTES:
            raise ConfigError(f"{name} must be 'id:base64 of {KEY_BYTES} bytes'; {_KEY_HINT}")
        if len(set(secret.reveal())) < KEY_BYTES // 4:
            raise ConfigError(f"{name} is not random; {_KEY_HINT}")
        return cls(key_id, secret.reveal())

    if TYPE_CHECKING:

        @property
        def secret(self) -> bytes:
            """The 32 bytes of the encryption key."""

    else:

        def __getattr__(self, name: str) -> bytes:
            # Not a property, because some serializers read properties.
            if name == "secret":
                return self.reveal()
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def reveal(self) -> bytes:
        """Return the 32 bytes of the encryption key."""
        return bytes.fromhex(self._secret.reveal())

    @property
    def key_id(self) -> str:
        """The id and a 32-bit fingerprint, which differs for two keys with the same id."""
        fingerprint = hmac.digest(self.reveal(), b"flask-model-registry: fingerprint", "sha256")
        return f"{self.id}#{fingerprint[:4].hex()}"


@dataclass(frozen=True)
class Settings:
    """The configuration of the registry in one app, with attributes named after the settings."""

    encryption_keys: tuple[EncryptionKey, ...] = field(default=(), repr=False)
    key_check: str = "error"
    url_prefix: str = "/api/models"
    page: bool = True
    allowed_hosts: frozenset[str] = frozenset()
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    proxy: Secret | None = field(default=None, repr=False)
    probe_timeout: float = 10.0
    probe_concurrency: int = 4
    max_body_bytes: int = 65_536
    max_page_size: int = 100
    security_schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """Return the settings by name, without secrets."""
        values = {each.name.upper(): getattr(self, each.name) for each in fields(self) if each.repr}
        networks = map(str, values.pop("ALLOWED_NETWORKS"))
        return {**values, "ALLOWED_HOSTS": sorted([*self.allowed_hosts, *networks])}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, own_secret_box: bool = False) -> Settings:
        """Read the ``MODEL_REGISTRY_…`` settings.

        Raises:
            ConfigError: A setting is missing or wrong; the message names it and says what to do.
        """
        try:
            # The host's configuration holds other secrets too, besides the encryption keys.
            with ClearedFrames():
                return cls._read(config, own_secret_box=own_secret_box)
        finally:
            del config

    @classmethod
    def _read(cls, config: Mapping[str, Any], *, own_secret_box: bool) -> Settings:
        _refuse_unknown(config)
        hosts, networks = _allowed_hosts(config)
        return cls(
            encryption_keys=() if own_secret_box else _encryption_keys(config),
            key_check=_key_check(config),
            url_prefix=_url_prefix(config),
            page=_flag(config, "PAGE", default=cls.page),
            allowed_hosts=hosts,
            allowed_networks=networks,
            proxy=_proxy(config),
            probe_timeout=_seconds(config, "PROBE_TIMEOUT", cls.probe_timeout),
            probe_concurrency=_positive(config, "PROBE_CONCURRENCY", cls.probe_concurrency),
            max_body_bytes=_positive(config, "MAX_BODY_BYTES", cls.max_body_bytes),
            max_page_size=_positive(config, "MAX_PAGE_SIZE", cls.max_page_size),
            security_schemes=_security_schemes(config),
        )


def _refuse_unknown(config: Mapping[str, Any]) -> None:
    given = {name.removeprefix(PREFIX) for name in config if name.startswith(PREFIX)}
    if unknown := sorted(given - set(_NAMES)):
        raise ConfigError(
            f"{PREFIX}{unknown[0]} is not a setting. The settings are: {', '.join(_NAMES)}"
        )


def _url_prefix(config: Mapping[str, Any]) -> str:
    prefix = config.get(PREFIX + "URL_PREFIX", Settings.url_prefix)
    if not isinstance(prefix, str) or not re.fullmatch(
        r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", prefix
    ):
        raise ConfigError(f"{PREFIX}URL_PREFIX must be a path such as '{Settings.url_prefix}'")
    return prefix


def _key_check(config: Mapping[str, Any]) -> str:
    value = config.get(PREFIX + "KEY_CHECK", Settings.key_check)
    if value not in ("error", "warning"):
        raise ConfigError(f"{PREFIX}KEY_CHECK must be 'error' or 'warning'")
    return str(value)


def _flag(config: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = config.get(PREFIX + name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{PREFIX}{name} must be true or false")
    return value


def _positive(config: Mapping[str, Any], name: str, default: int) -> int:
    value = config.get(PREFIX + name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{PREFIX}{name} must be a whole number of at least 1")
    return value


def _security_schemes(config: Mapping[str, Any]) -> dict[str, Any]:
    schemes = config.get(PREFIX + "SECURITY_SCHEMES") or {}
    is_valid = isinstance(schemes, dict) and all(
        _SCHEME_NAME.fullmatch(str(name)) and isinstance(scheme, dict) and "type" in scheme
        for name, scheme in schemes.items()
    )
    try:
        copy: dict[str, Any] = json.loads(json.dumps(schemes))
    except (TypeError, ValueError):
        is_valid = False
    if not is_valid:  # outside the except block, because a JSON error may quote a value
        raise ConfigError(
            f"{PREFIX}SECURITY_SCHEMES must be OpenAPI security schemes by name, such as "
            "{'key': {'type': 'apiKey', 'in': 'header', 'name': 'X-API-Key'}}"
        )
    return copy


def _seconds(config: Mapping[str, Any], name: str, default: float) -> float:
    value = config.get(PREFIX + name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 300:
        raise ConfigError(f"{PREFIX}{name} must be a number of seconds up to 300")
    return float(value)


def _allowed_hosts(
    config: Mapping[str, Any],
) -> tuple[frozenset[str], tuple[IPv4Network | IPv6Network, ...]]:
    hosts, networks = set(), []
    for number, entry in enumerate(_entries(config, "ALLOWED_HOSTS"), 1):
        try:
            networks.append(ip_network(entry))
        except ValueError:
            if not _HOST_NAME.fullmatch(entry.lower()):
                raise ConfigError(
                    f"{PREFIX}ALLOWED_HOSTS, entry {number}, is not valid; give host names, "
                    "IP addresses or networks such as '10.0.0.0/8', without scheme, port or path"
                ) from None
            hosts.add(entry.lower())
    return frozenset(hosts), tuple(networks)


def _proxy(config: Mapping[str, Any]) -> Secret | None:
    url = config.get(PREFIX + "PROXY")
    if not url:
        return None
    if not isinstance(url, str) or not _PROXY_URL.fullmatch(url):  # it may hold a password
        raise ConfigError(f"{PREFIX}PROXY must be a URL such as 'http://proxy.example:3128'")
    return Secret(url)


def _encryption_keys(config: Mapping[str, Any]) -> tuple[EncryptionKey, ...]:
    name, entries = _key_entries(config, PREFIX + "ENCRYPTION_KEYS")
    numbered = enumerate(entries, 1)
    keys = tuple(EncryptionKey.parse(entry, f"{name}, entry {i},") for i, entry in numbered)
    if not keys:
        raise ConfigError(f"{name} is not set, or empty; {_KEY_HINT}")
    if len({key.id for key in keys}) < len(keys) or len({key.reveal() for key in keys}) < len(keys):
        raise ConfigError(f"{name} holds the same id or the same key twice; remove an entry")
    for host_name, host_secret in _host_secrets(config):
        if any(_is_same_secret(key.reveal(), host_secret) for key in keys):
            raise ConfigError(f"{name} holds the value of {host_name}; {_KEY_HINT}")
    return keys


def _key_entries(config: Mapping[str, Any], name: str) -> tuple[str, list[str]]:
    """Return the name of the setting that holds the encryption keys, and its entries."""
    path = config.get(name + "_FILE")
    if not path:
        return name, _entries(config, "ENCRYPTION_KEYS")
    if config.get(name):
        raise ConfigError(f"set {name} or {name}_FILE, not both")
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, ValueError, TypeError) as error:
        problem = type(error).__name__
    else:
        problem = ""
    if problem:  # outside the except block, because a UnicodeDecodeError holds the bytes
        raise ConfigError(f"{name}_FILE must name a file that the app can read: {problem}")
    return name + "_FILE", re.split(r"[,\s]+", text.strip()) if text.strip() else []


def _entries(config: Mapping[str, Any], name: str) -> list[str]:
    value = config.get(PREFIX + name) or ()
    entries = value.split(",") if isinstance(value, str) else value
    is_list = isinstance(entries, (list, tuple))
    if not is_list or not all(isinstance(entry, str) for entry in entries):
        raise ConfigError(f"{PREFIX}{name} must be a list of strings or one string with commas")
    return [entry.strip() for entry in entries]


def _split_entry(entry: str) -> tuple[str | None, Hidden[bytes]]:
    """Return an entry's id, or ``None`` if it isn't valid, and the entry's bytes."""
    key_id, separator, encoded = entry.strip().partition(":")
    is_valid = separator and KEY_ID.fullmatch(key_id)
    return key_id if is_valid else None, Hidden(_decode(encoded))


def _decode(encoded: str) -> bytes:
    try:
        standard = encoded.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _host_secrets(config: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name in _HOST_SECRETS:
        value = config.get(name)
        for secret in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(secret, (str, bytes)):
                yield name, secret if isinstance(secret, bytes) else secret.encode(errors="replace")


def _is_same_secret(secret: bytes, host_secret: bytes) -> bool:
    """Return whether a host's secret is these bytes, or spells them in base64 or hexadecimal."""
    texts = [each.strip().rpartition(":")[2] for each in host_secret.decode("latin-1").split(",")]
    spellings = [host_secret, *map(_decode, texts), *map(_from_hex, texts)]
    return any(hmac.compare_digest(secret, spelling) for spelling in spellings)


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
