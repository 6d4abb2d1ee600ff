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
    """The methods that the registry needs of an encryption backend.

    Both methods may raise :exc:`UnavailableError`, for example when a server doesn't respond. Then
    nothing is written, and requests return 503. The commands and ``registry.explain`` show the
    error's text, so it must contain no part of a key. Any other exception is treated as a bug.

    ``seal`` gets the API key as an argument. Delete that variable before an exception leaves
    ``seal``, because error reports show local variables.

    A backend may also have two attributes. ``key_id`` is the name of the encryption key that
    ``seal`` uses now. The registry stores this name with each blob, and ``rotate-keys`` re-encrypts
    blobs that have another name. ``key_ids`` holds the names of all encryption keys that ``open``
    can use. If the backend has ``key_ids``, the key check reports stored names that it lacks.

    Example:
        >>> class Vault:
        ...     def seal(self, plaintext, context):
        ...         return vault.encrypt(plaintext.encode(), context.encode())
        ...
        ...     def open(self, blob, context):
        ...         return vault.decrypt(blob, context.encode()).decode()
    """

    def seal(self, plaintext: str, context: str) -> bytes:
        """Encrypt a text, so that decrypting it needs the same context."""
        ...

    def open(self, blob: bytes, context: str) -> str:
        """Decrypt a blob, or raise :exc:`CannotOpenError` if the blob or the context is wrong.

        Any other exception means that the backend failed, not that the blob is wrong.
        """
        ...
