"""The encryption of API keys. Each can only be decrypted for its own model and base URL.

The default is AES-256-GCM, which also authenticates the row, and the origin that the API key may be
sent to.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import suppress
from types import NoneType
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import (
    BlockedAddressError,
    ConfigError,
    UnreadableCredentialError,
)
from ..secret import clear_frames
from .account_secrets import AccountSecret, encryption_row
from .resolved_model import ResolvedModel, Secret
from .secret_box import REASONS, CannotOpenError, ChangedError, FormatError, UnknownKeyError
from .stored import check_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..config import EncryptionKey
    from ..providers.app_providers import Providers
    from .secret_box import SecretBox
    from .secret_source import SecretSource

_log = logging.getLogger("flask_model_registry")
_KEY_ID = re.compile(r"[!-~]{1,255}")
_NONCE_BYTES = 12  # NIST SP 800-38D, section 8.2.2: a random nonce of 96 bits
_TAG_BYTES = 16
_FORMAT = 1
# The types of what the registry writes to columns of JSON.
_OBJECT, _LIST, _STRINGS = {dict, NoneType}, {list, NoneType}, {str}


class AesGcmBox:
    """The default :class:`SecretBox`, with AES-256-GCM.

    It encrypts with the first encryption key, and decrypts with any of the encryption keys.

    A blob is ``format (1 byte) | length of id (1) | id | nonce (12) | ciphertext and tag``. The
    format, the length and the id are authenticated together with the context.

    Example:
        >>> box = AesGcmBox([EncryptionKey("2030", secrets.token_bytes(32))])
        >>> box.open(box.seal("sk-your-key", "a context"), "a context")
        'sk-your-key'
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
        """Encrypt with the first encryption key."""
        try:
            name = self._newest.encode("ascii")
            header = bytes([_FORMAT, len(name)]) + name
            nonce = self._random(_NONCE_BYTES)
            associated_data, cipher = header + context.encode(), self._ciphers[self._newest]
            return header + nonce + cipher.encrypt(nonce, _encoded(plaintext), associated_data)
        finally:
            del plaintext  # or a traceback would show it

    def open(self, blob: bytes, context: str) -> str:
        """Decrypt with the encryption key whose id is in the blob."""
        header_end = 2 + blob[1] if len(blob) > 1 else 2
        nonce_end = header_end + _NONCE_BYTES
        if blob[:1] != bytes([_FORMAT]) or len(blob) < nonce_end + _TAG_BYTES:
            raise FormatError("it is not an encrypted key, or was cut short")
        header, nonce, ciphertext = blob[:header_end], blob[header_end:nonce_end], blob[nonce_end:]
        key = header[2:].decode("ascii", "replace")
        cipher = self._ciphers.get(key)
        if cipher is None:
            raise UnknownKeyError(f"the encryption key {key!r} is not configured")
        try:
            return cipher.decrypt(nonce, ciphertext, header + context.encode()).decode()
        except InvalidTag:
            raise ChangedError("it or its encryption key was changed, or it was moved") from None
        except UnicodeDecodeError:
            pass
        raise FormatError("it holds no text")  # outside, because that error holds the bytes


class CredentialService:
    """Encrypts and decrypts the API keys of one registry in one app."""

    def __init__(
        self, secret_box: SecretBox, secret_source: SecretSource, providers: Providers
    ) -> None:
        self._secret_box = secret_box
        #: Secrets that aren't stored here.
        self.secret_source = secret_source
        self._providers = providers
        key_ids = getattr(secret_box, "key_ids", None)
        #: The ids of all encryption keys that decrypt, if the backend names them.
        self.key_ids = None if key_ids is None else tuple(map(_checked, key_ids))
        if self.key_id not in (self.key_ids or (self.key_id,)):
            raise ConfigError("the key_id of the secret_box is not one of its key_ids")

    @property
    def key_id(self) -> str | None:
        """The id of the encryption key that encrypts now, if the backend has ids."""
        key_id = getattr(self._secret_box, "key_id", None)
        if key_id is None or key_id in (self.key_ids or ()):  # the ids were checked already
            return key_id
        return _checked(key_id)

    def encrypt(self, row: Mapping[str, Any], api_key: Secret | None) -> dict[str, Any]:
        """Return the columns that hold a new API key, or none, for the row."""
        if api_key is None:
            return {"ciphertext": None, "key_id": None}
        # Encrypt before the driver gets parameters, because its errors and SQLAlchemy's show them.
        key_id = self.key_id
        context = self._context(row, key_id)
        outer = sys.exc_info()[1]
        try:
            ciphertext = self._secret_box.seal(api_key.reveal(), context)
        except BaseException as error:  # frames of the host's own box may hold the API key
            clear_frames(error, outer)
            raise
        return {"ciphertext": ciphertext, "key_id": key_id}

    def decrypt(self, row: Mapping[str, Any], *, is_logged: bool = True) -> Secret:
        """Return the API key of the row.

        Args:
            is_logged: Whether to log why it can't be decrypted; commands print that themselves.

        Raises:
            UnreadableCredentialError: There is none, or it can't be decrypted for this row.
        """
        if "credential" in row:
            return self.secret(row, is_logged=is_logged).api_key
        if row["ciphertext"] is None:
            raise UnreadableCredentialError("The model has no API key. Set one.")
        key_id = row["key_id"]
        if key_id is not None and self.key_ids is not None and key_id not in self.key_ids:
            if is_logged:
                _log_reason(row, UnknownKeyError)
            raise UnreadableCredentialError(
                f"The stored API key is encrypted with the encryption key {key_id!r}, which is not "
                "configured. Put the key back, or set a new API key."
            )
        context = self._context(row, key_id)
        outer = sys.exc_info()[1]
        try:
            return Secret(self._secret_box.open(row["ciphertext"], context))
        except CannotOpenError as error:
            problem, kind = str(error), type(error)
        except BaseException as error:
            clear_frames(error, outer)
            raise
        if is_logged:
            _log_reason(row, kind)
        raise UnreadableCredentialError(
            f"The stored API key can't be decrypted: {problem}. Fix that, or set a new API key."
        )

    def reencrypt(self, row: Mapping[str, Any], api_key: Secret) -> dict[str, Any]:
        """Return the columns with the row's API key, encrypted again and decrypted as a check.

        Raises:
            ConfigError: The new result can't be decrypted.
        """
        columns = self.encrypt(row, api_key)
        with suppress(UnreadableCredentialError):
            if self.decrypt({**row, **columns}) == api_key:
                return columns
        raise ConfigError("the secret_box can't decrypt what it encrypted; the row was not changed")

    def resolve(self, row: Mapping[str, Any]) -> ResolvedModel:
        """Return what is needed to call the model of the row.

        Raises:
            NoAddressError: It has no ``base_url``, and its provider has none or is no longer
                known; or a setting of its credential is no longer valid.
            BlockedAddressError: The host does not allow its base URL, or no longer does.
            UnreadableCredentialError: The secret is missing, can't be decrypted or isn't valid, or
                the ``secret_source`` returns none.
        """
        # Inline, because this runs for each call to a model.
        if not (
            type(row["parameters"]) in _OBJECT
            and type(row["info"]) in _OBJECT
            and type(row["abilities"]) in _LIST
            and {*map(type, row["abilities"] or ())} <= _STRINGS
        ):
            check_stored(row)
        base_url = self._providers.base_url(row)
        found = (
            self._from_credential(row) if "credential" in row else {"api_key": self.decrypt(row)}
        )
        # The providers' own base URLs were checked when the app was made.
        if row["base_url"] is not None and (problem := self._providers.problem(base_url)):
            raise BlockedAddressError(problem)
        # The same as __init__ and __post_init__, but faster, because each resolve runs this.
        resolved = ResolvedModel.__new__(ResolvedModel)
        vars(resolved).update(
            id=row["id"],
            model_id=row["model_id"],
            category=row["category"],
            model_provider=row["model_provider"],
            model_name=row["model_name"],
            base_url=base_url,
            dialect=self._providers.catalogue[row["model_provider"]].dialect,
            temperature=row["temperature"],
            dimension=row["dimension"],
            abilities=tuple(row["abilities"] or ()),
            api_key=found["api_key"],
            headers={},
            settings={},
            expires_at=None,
            parameters=row["parameters"] or {},
            info=row["info"] or {},
            kind="key",
            secrets={},
            _open_client=self._providers.open_client,
        )
        # Attributes of a credential replace those above. Their order stays.
        vars(resolved).update(found)
        return resolved

    def _from_credential(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes of a resolved model that come from its credential."""
        secret, credential = self.secret(row), row["credential"]
        check_stored({"credential": credential})  # resolve() has checked the model's row
        found = {
            "api_key": secret.api_key,
            "headers": secret.headers,
            "settings": credential["settings"],
            "expires_at": credential["expires_at"],
        }
        if secret.kind == "key":
            return found
        return {**found, "dialect": None, "kind": secret.kind, "secrets": secret.parts}

    def secret(self, row: Mapping[str, Any], *, is_logged: bool = True) -> AccountSecret:
        """Return the secret for a model's calls: its API key, or the secret of its credential.

        Raises:
            UnreadableCredentialError: There is none, or it can't be decrypted for this row.
        """
        if "credential" not in row:
            return AccountSecret.of_key(self.decrypt(row, is_logged=is_logged))
        if row["credential"] is None:
            raise UnreadableCredentialError("The model has no API key. Set one.")
        if row["credential"]["reference"] is not None:
            return self.secret_source.secret(row["credential"], row)
        document = self.decrypt(encryption_row(row["credential"], row), is_logged=is_logged)
        return AccountSecret.of(document, row["credential"]["kind"])

    def _context(self, row: Mapping[str, Any], key_id: str | None) -> str:
        # With the encryption key's id, so that a row whose key_id was changed can't be decrypted.
        # Otherwise rotation could skip such a row, and removing its encryption key would lose it.
        return f"{row['uuid']} {key_id} {self._providers.key_origin(row)}"


def _log_reason(row: Mapping[str, Any], kind: type[CannotOpenError]) -> None:
    what = row.get("what") or f"model {row.get('id')}"
    reason = REASONS.get(kind, REASONS[CannotOpenError])
    _log.warning(
        "model registry: a stored API key can't be decrypted: %s, %s",
        what,
        reason,
        extra={"model_registry_kind": "key-unreadable", "model_registry_reason": reason},
    )


def _checked(key_id: Any) -> str:
    # Databases must keep the id unchanged, or what is encrypted under it would be lost.
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise ConfigError(
            "the key ids of the secret_box must be strings of 1 to 255 visible ASCII characters"
        )
    return key_id


def _encoded(plaintext: str) -> bytes:
    try:
        return plaintext.encode()
    except UnicodeEncodeError:
        pass  # the exception holds the text
    finally:
        del plaintext
    raise ValueError("an API key must be text that UTF-8 can hold")
