"""Entity tags, and how proxies and compression change them."""

from __future__ import annotations

import re

# A quoted tag may hold commas, so a comma ends an entry only outside quotes.
_ENTRY = re.compile(r'(?:"[^"]*(?:"|$)|[^",])+')
_PREFIX = re.compile(r'^(?:W/|["\s])*', re.IGNORECASE)
# The content codings that IANA registers, and short names for them that servers use: `-gzip`
# (Apache, Caddy, lighttpd), `--gzip` (Jetty, Spring), `:br` (Flask-Compress), `;gz` (LiteSpeed).
_SUFFIX = re.compile(
    r"(?:[\"\s]|[-;:+._]{1,2}(?:(?:x-)?(?:gzip|compress)|deflate|br|zstd|dcb|dcz|identity"
    r"|gz|df|brotli))*",
    re.IGNORECASE,
)


def lists(header: str | None, tag: str) -> bool:
    """Return whether an ``If-Match`` or ``If-None-Match`` header lists a tag, or is ``*``.

    A server that compresses a response marks its tag: weak (``W/"1"``, nginx), or with the name
    of the coding (``"1-gzip"``, Apache). The client sends the marked tag back. Our tags name a
    version of a row, not the bytes of a response, so the marks don't matter. That's why weak
    comparison is also right for ``If-Match``. RFC 9110, section 13.1.1, requires strong comparison,
    but strong comparison is for tags of bytes.

    Args:
        header: The header's value, or ``None`` if there is no header.
        tag: Our tag, without quotes.

    Example:
        >>> lists('"x", W/"5-1-111-gzip"', "5-1-111")
        True
        >>> lists('"5-12-111"', "5-1-111")
        False
    """
    if header is None:
        return False
    return header.strip() == "*" or any(_matches(each, tag) for each in _ENTRY.findall(header))


def _matches(entry: str, tag: str) -> bool:
    rest = _PREFIX.sub("", entry)
    return rest.startswith(tag) and _SUFFIX.fullmatch(rest, len(tag)) is not None
