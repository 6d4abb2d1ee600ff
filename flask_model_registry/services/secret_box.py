"""The interface of an encryption backend, and the reasons why it can't decrypt something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class CannotOpenError(Exception):
    """A blob can't be decrypted: it was changed, or the encryption key or the context is wrong."""


class UnknownKeyError(CannotOpenError):
    """The encryption key isn't configured."""


class ChangedError(CannotOpenError):
    """The blob or its encryption key was changed, or the blob belongs to another row."""


class FormatError(CannotOpenError):
    """The blob isn't in the backend's format."""


#: The reasons that the log names. It leaves out the texts of errors, which may be a host's.
REASONS: Mapping[type[CannotOpenError], str] = {
    UnknownKeyError: "unknown-key",
    ChangedError: "changed-or-moved",
    FormatError: "format",
    CannotOpenError: "secret-box",
}


class SecretBox(Protocol):
    """The methods that an encryption backend must have.

    Both methods may raise :exc:`UnavailableError`, for example when a server doesn't respond. The
    registry then writes nothing and returns 503. The commands and ``registry.explain`` show the
    text of this error, so the text must contain no part of a key. Apart from ``UnavailableError``
    and :exc:`CannotOpenError`, the registry treats every exception as a bug.

    ``seal`` gets the API key as the argument ``plaintext``. Delete this variable before an
    exception leaves ``seal``, because error reports show local variables.

    A backend may also have the attributes ``key_id`` and ``key_ids``. ``key_id`` is the name of the
    encryption key that ``seal`` uses now. The registry stores this name with each blob, and
    ``rotate-keys`` re-encrypts blobs that have another name. ``key_ids`` contains the names of all
    encryption keys that ``open`` can use. If the backend has ``key_ids``, the key check reports
    stored names that are not in ``key_ids``.

    Example:
        >>> class Vault:
        ...     def seal(self, plaintext, context):
        ...         return vault.encrypt(plaintext.encode(), context.encode())
        ...
        ...     def open(self, blob, context):
        ...         return vault.decrypt(blob, context.encode()).decode()
    """

    def seal(self, plaintext: str, context: str) -> bytes:
        """Encrypt a text so that ``open`` can decrypt it only with the same context."""
        ...

    def open(self, blob: bytes, context: str) -> str:
        """Decrypt a blob, or raise :exc:`CannotOpenError` if the blob or the context is wrong.

        Any other exception means that the backend failed, not that the blob is wrong.
        """
        ...
