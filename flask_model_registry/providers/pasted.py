"""Base URLs that users paste: from a page, an example or the URL of one call."""

from __future__ import annotations

import re
from encodings.idna import ToASCII
from typing import TYPE_CHECKING
from unicodedata import is_normalized

from .apis import DIALECTS

if TYPE_CHECKING:
    from .catalogue import Provider

_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"([\w.-]+)(:[0-9]+)?")
_VERSION = re.compile(r"\?api-version=[\w.-]+", re.ASCII)
# The paths that SDKs add to a base URL. /models only counts after a version, because some base URLs
# end in it.
_CALL = re.compile(
    r"/(?:chat/completions|completions|responses|messages|embeddings|rerank"
    r"|images/(?:generations|edits)|audio/(?:speech|transcriptions|translations)"
    r"|(?:(?<=/v[1-9]/)|(?<=/openai/)|(?<=/api/))models)/*\Z"
)
_NATIVE_CALLS = {
    "gemini": re.compile(r"/models/[^/]+:[A-Za-z]+\Z|(?<=/v1beta)/models/*\Z"),
    "cohere": re.compile(r"/(?:chat|embed)/*\Z"),
    "ollama": re.compile(r"/api(?:/[a-z]+)?/*\Z"),
}
_DEPLOYMENT = re.compile(r"/deployments/[^/]+\Z|(?<!/openai)/models\Z")


def base_url_of(pasted: str, provider: Provider) -> str:
    """Return the base URL that a pasted URL stands for, always at the same server.

    A URL that isn't understood stays unchanged, and ``parse_base_url`` refuses it.
    """
    parts = _URL.fullmatch(pasted)
    if parts is None:
        return pasted
    scheme, host, path, rest = parts.groups()
    origin = f"{scheme.lower()}://{_ascii(host)}"
    base = _without_call(path, provider.dialect)
    if provider.dialect == "azure-openai" and (base != path or rest):
        base = _DEPLOYMENT.sub("", base)
        rest = "" if _VERSION.fullmatch(rest) else rest
    if provider.dialect == "ollama" and base and not base.rstrip("/").endswith("/v1"):
        base = base.rstrip("/") + "/v1"
    return _completed(origin, base, provider) + rest


def _ascii(host: str) -> str:
    """Return a host name in ASCII, if browsers and Python agree on it.

    Python implements IDNA 2003, which maps "ß" and some others differently than browsers do.
    """
    name = _NAME.fullmatch(host)
    if name is None or host.isascii() or not is_normalized("NFKC", host):
        return host
    labels = name[1].lower().split(".")
    try:
        encoded = [ToASCII(label).decode() for label in labels]
        is_exact = [bytes(each, "ascii").decode("idna") for each in encoded] == labels
    except UnicodeError:
        return host
    return ".".join(encoded) + (name[2] or "") if is_exact else host


def _without_call(path: str, dialect: str | None) -> str:
    native = _NATIVE_CALLS.get(dialect or "")
    for call in (native, _CALL):
        if call is not None and (shorter := call.sub("", path)) != path:
            return shorter
    return path


def _completed(origin: str, path: str, provider: Provider) -> str:
    """Return a base URL with its provider's path, unless ``ListApi.completed`` will add that."""
    if DIALECTS[provider.dialect or "openai"].api:
        return origin + path
    own = provider.base_url
    if not own:
        is_local = provider.dialect is not None and not provider.needs_key
        return origin + "/v1" if is_local and path in {"", "/"} else origin + path
    start = path.rstrip("/") + "/"
    is_start = own.startswith(f"{origin.lower()}/") and f"{own}/".startswith(origin.lower() + start)
    return own if is_start else origin + path
