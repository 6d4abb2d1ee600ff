"""What the registry needs of an encryption backend, and the reasons why it can't decrypt."""

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
    """It isn't a blob of this format."""


#: The reasons in the log. The text of another error is a host's, and left out.
REASONS: Mapping[type[CannotOpenError], str] = {
    UnknownKeyError: "unknown-key",
    ChangedError: "changed-or-moved",
    FormatError: "format",
    CannotOpenError: "secret-box",
}


class SecretBox(Protocol):
    """The methods that the registry needs of an encryption backend.

    Both methods may raise :exc:`UnavailableError`, such as when a server doesn't respond. Then
    nothing is written, and requests return 503. The commands and ``registry.explain`` show its
    text, so it must hold no part of a key. Any other exception is treated as a bug.

    ``seal`` gets the API key as its argument. Delete that before an exception leaves ``seal``,
    because error reports show local variables.

    A backend may also have two attributes. ``key_id`` is the name of the encryption key that it
    encrypts with now. It is stored with each blob, and ``rotate-keys`` re-encrypts blobs that have
    another name. ``key_ids`` holds the names of all encryption keys that it can decrypt with. If
    the backend has ``key_ids``, the key check reports any others in use.

    Example:
        >>> class Vault:
        ...     def seal(self, plaintext, context):
        ...         return vault.encrypt(plaintext.encode(), context.encode())
        ...
        ...     def open(self, blob, context):
        ...         return vault.decrypt(blob, context.encode()).decode()
    """

    def seal(self, plaintext: str, context: str) -> bytes:
        """Encrypt, and bind the result to a context that is needed again to decrypt it."""
        ...

    def open(self, blob: bytes, context: str) -> str:
        """Decrypt; raise :exc:`CannotOpenError` for anything but the right blob and context.

        Any other exception says nothing about the blob.
        """
        ...
