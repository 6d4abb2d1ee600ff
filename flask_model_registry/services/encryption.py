"""Keep API keys sealed: AES-256-GCM, bound to the row and to where the key may be sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..config import EncryptionKey

_NONCE_BYTES = 12  # NIST SP 800-38D, section 8.2.2: a random nonce of 96 bits
_TAG_BYTES = 16
_FORMAT = 1


class CannotOpenError(Exception):
    """A sealed blob does not open: wrong key, wrong context, or it was changed."""


class SecretBox(Protocol):
    """What the registry needs of an encryption backend.

    Both methods may raise :exc:`UnavailableError`, such as when a server is away: nothing is
    written, and requests return 503. Its text is shown by the commands and by
    ``registry.explain``, so it must hold nothing of a key. Any other exception is taken for a bug.

    ``seal`` has the API key in its argument: delete that before an exception leaves, as tools that
    report errors show local variables.

    A backend may also have two attributes. ``key_id``, the name of the key it seals with now, is
    stored beside each blob, and ``rotate-keys`` seals again what has another one. ``key_ids`` are
    the names of all the keys it opens with; if there are, the key check looks for others.
    """

    def seal(self, plaintext: str, context: str) -> bytes:
        """Encrypt, and bind the result to a context that is needed again to open it."""
        ...

    def open(self, blob: bytes, context: str) -> str:
        """Decrypt; raise :exc:`CannotOpenError` for anything but the right blob and context.

        Any other exception says nothing about the blob.
        """
        ...


class AesGcmBox:
    """The default :class:`SecretBox`: seals with the first key, opens with any.

    A blob is ``format (1 byte) | length of id (1) | id | nonce (12) | ciphertext and tag``. All
    that precedes the nonce is authenticated together with the context.
    """

    def __init__(
        self, keys: Sequence[EncryptionKey], *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.key_ids = tuple(key.key_id for key in keys)
        self.key_id = self.key_ids[0]
        self._newest = keys[0].id
        self._ciphers = {key.id: AESGCM(key.reveal()) for key in keys}
        self._random = random

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self.key_ids)}>"

    def seal(self, plaintext: str, context: str) -> bytes:
        """Encrypt with the newest key."""
        try:
            name = self._newest.encode("ascii")
            header = bytes([_FORMAT, len(name)]) + name
            nonce = self._random(_NONCE_BYTES)
            bound, cipher = header + context.encode(), self._ciphers[self._newest]
            return header + nonce + cipher.encrypt(nonce, _encoded(plaintext), bound)
        finally:
            del plaintext  # or a traceback would show it

    def open(self, blob: bytes, context: str) -> str:
        """Decrypt with the key that the blob names."""
        header_end = 2 + blob[1] if len(blob) > 1 else 2
        nonce_end = header_end + _NONCE_BYTES
        if blob[:1] != bytes([_FORMAT]) or len(blob) < nonce_end + _TAG_BYTES:
            raise CannotOpenError("it is no sealed key, or was cut short")
        header, nonce, ciphertext = blob[:header_end], blob[header_end:nonce_end], blob[nonce_end:]
        key = header[2:].decode("ascii", "replace")
        cipher = self._ciphers.get(key)
        if cipher is None:
            raise CannotOpenError(f"the encryption key {key!r} is not configured")
        try:
            return cipher.decrypt(nonce, ciphertext, header + context.encode()).decode()
        except InvalidTag:
            problem = "it was changed or moved, or its encryption key was"
        except UnicodeDecodeError:
            problem = "it holds no text"
        raise CannotOpenError(problem)  # outside, as a UnicodeDecodeError holds what was opened


def _encoded(plaintext: str) -> bytes:
    try:
        return plaintext.encode()
    except UnicodeEncodeError:
        pass  # it holds the text
    finally:
        del plaintext
    raise ValueError("an API key must be text that UTF-8 can hold")
