"""The API keys of models: encrypted for a model and its base URL, decrypted for nothing else."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import (
    BlockedAddressError,
    ConfigError,
    UnreadableCredentialError,
)
from ..secret import ClearedFrames
from .encryption import CannotOpenError
from .resolved_model import ResolvedModel, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..providers.known_providers import Providers
    from .encryption import SecretBox

_KEY_ID = re.compile(r"[!-~]{1,255}")


class CredentialService:
    """Seals and opens the keys of one registry in one app."""

    def __init__(self, secret_box: SecretBox, providers: Providers) -> None:
        self._secret_box = secret_box
        self._providers = providers
        key_ids = getattr(secret_box, "key_ids", None)
        #: The ids of all the encryption keys that open, if the backend tells.
        self.key_ids = None if key_ids is None else tuple(map(_checked, key_ids))
        if self.key_id not in (self.key_ids or (self.key_id,)):
            raise ConfigError("the key_id of the secret_box is not one of its key_ids")

    @property
    def key_id(self) -> str | None:
        """The id of the encryption key that seals now, if the backend tells."""
        key_id = getattr(self._secret_box, "key_id", None)
        if key_id is None or key_id in (self.key_ids or ()):  # which are checked already
            return key_id
        return _checked(key_id)

    def seal(self, row: Mapping[str, Any], api_key: Secret | None) -> dict[str, Any]:
        """Return the columns that hold a new key, or none, for the row."""
        if api_key is None:
            return {"ciphertext": None, "key_id": None}
        # Before the driver sees the key: its errors, and SQLAlchemy's, print parameters.
        key_id = self.key_id
        context = self._context(row, key_id)
        with ClearedFrames():  # a box of the host's may hold the key when it fails
            ciphertext = self._secret_box.seal(api_key.reveal(), context)
        return {"ciphertext": ciphertext, "key_id": key_id}

    def open(self, row: Mapping[str, Any]) -> Secret:
        """Return the key of the row.

        Raises:
            UnreadableCredentialError: There is none, or it does not open for this row.
        """
        if row["ciphertext"] is None:
            raise UnreadableCredentialError("The model has no API key; set a new one.")
        key_id = row["key_id"]
        if key_id is not None and self.key_ids is not None and key_id not in self.key_ids:
            raise UnreadableCredentialError(
                f"The stored API key is sealed with the encryption key {key_id!r}, which is not "
                "configured. Put the key back, or set a new API key."
            )
        try:
            context = self._context(row, key_id)
            with ClearedFrames():
                return Secret(self._secret_box.open(row["ciphertext"], context))
        except CannotOpenError as error:
            raise UnreadableCredentialError(
                f"The stored API key does not open: {error}. Put that back, or set a new API key."
            ) from None

    def reseal(self, row: Mapping[str, Any], api_key: Secret) -> dict[str, Any]:
        """Return the columns that hold the key of the row, sealed anew and opened to see it.

        Raises:
            ConfigError: It does not open.
        """
        columns = self.seal(row, api_key)
        with suppress(UnreadableCredentialError):
            if self.open({**row, **columns}) == api_key:
                return columns
        raise ConfigError("the secret_box can't decrypt what it encrypted; the row was not changed")

    def resolved(self, row: Mapping[str, Any]) -> ResolvedModel:
        """Return what is needed to call the model of the row.

        Raises:
            NoAddressError: It has no ``base_url``, and its provider is not known any more.
            BlockedAddressError: The host does not allow its address, or not any more.
            UnreadableCredentialError: The API key is missing or can't be decrypted.
        """
        base_url = self._providers.base_url(row)
        api_key = self.open(row)
        # The providers' own addresses were checked when the app was made.
        if row["base_url"] is not None and (problem := self._providers.problem(base_url)):
            raise BlockedAddressError(problem)
        return ResolvedModel(
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
            api_key=api_key,
            _open_client=self._providers.open_client,
        )

    def _context(self, row: Mapping[str, Any], key_id: str | None) -> str:
        # With the key's id, so that a row under another key's does not open: rotation would pass it
        # over, and taking its own key out would lose it.
        return f"{row['uuid']} {key_id} {self._providers.key_origin(row)}"


def _checked(key_id: Any) -> str:
    # Databases must keep it unchanged, or what is encrypted under it would be lost.
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise ConfigError("the key ids of the secret_box must be text of 1 to 255 visible ASCII")
    return key_id
