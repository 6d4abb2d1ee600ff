"""The secrets of credentials: one encrypted JSON document each, for one origin."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import marshmallow

from ..db.representation import names_in_secret, rfc_3339
from ..errors import UnreadableCredentialError, ValidationError
from ..providers.kinds import secret_problems, settings_problems
from ..schemas import load
from ..schemas.secrets import AccountSecretFields, check_headers, is_header
from ..secret import NoSecret, Secret
from .client_methods import unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from .. import types
    from .encryption import CredentialService
    from .rows import Rows


_SCHEMA = AccountSecretFields()
_NOT_VALID = "The stored secret isn't valid. Set a new one."


@dataclass(frozen=True)
class AccountSecret:
    """The secret of a credential: the parts that its kind has, and headers to send with them."""

    kind: str
    parts: Mapping[str, Secret]
    headers: Mapping[str, Secret] = field(default_factory=dict)

    @classmethod
    def of_key(cls, api_key: Secret) -> AccountSecret:
        """Return a secret with only an API key."""
        return cls("key", {"api_key": api_key})

    @classmethod
    def from_fields(cls, kind: str, fields: Mapping[str, Any], path: str = "") -> AccountSecret:
        """Return the secret for valid fields of a request.

        Args:
            path: The text before the name of a field in errors, such as ``secret.``.

        Raises:
            ValidationError: A field doesn't belong to the kind, or a required one is missing.
        """
        if problems := [*secret_problems(kind, fields)]:
            raise ValidationError([(path + name, message) for name, message in problems])
        parts = {name: each for name, each in fields.items() if name != "headers"}
        return cls(kind, parts, fields.get("headers", {}))

    @property
    def api_key(self) -> Secret:
        """The API key. For other kinds, revealing it raises :exc:`UnsupportedClientError`."""
        if self.kind == "key":
            return self.parts["api_key"]
        return NoSecret(partial(unsupported, self.kind, "API key"))

    def revealed(self) -> dict[str, Any]:
        """Return all parts in the clear, as the fields of a request."""
        parts: dict[str, Any] = {name: each.reveal() for name, each in self.parts.items()}
        if self.kind != "key":
            return parts
        return {**parts, "headers": {name: each.reveal() for name, each in self.headers.items()}}

    def names(self) -> dict[str, list[str]]:
        """Return the names of its parts, which aren't secret."""
        return {"secrets": [*self.parts], "headers": [*self.headers]}

    def document(self) -> Secret:
        """Return the text that is encrypted."""
        return Secret(json.dumps(self.revealed()))

    @classmethod
    def of(cls, document: Secret, kind: str) -> AccountSecret:
        """Return the secret that a decrypted document holds.

        Raises:
            UnreadableCredentialError: The document isn't a secret of this kind, or it has a header
                that isn't allowed.
        """
        parts: dict[str, Any] = {}
        with suppress(ValueError, TypeError, RecursionError):  # the frames hold the text
            parts = dict(json.loads(document.reveal(), object_hook=_hidden))
        if kind != "key":
            return cls._of_cloud(kind, parts)
        api_key, headers = parts.get("api_key"), parts.get("headers")
        if not isinstance(headers, dict) or not all(
            isinstance(each, Secret) for each in (api_key, *headers.values())
        ):
            raise UnreadableCredentialError(_NOT_VALID)  # the host's secret_box returned it
        if not all(map(is_header, headers)):  # it was allowed when it was stored
            raise UnreadableCredentialError(
                "The credential has a header that is no longer allowed. Set a new secret."
            )
        return cls("key", {"api_key": parts["api_key"]}, headers)

    @classmethod
    def _of_cloud(cls, kind: str, parts: dict[str, Any]) -> AccountSecret:
        # As strict as when it was written, because the host's own box may return something else.
        with suppress(ValidationError, LookupError):
            return cls.from_fields(kind, load(_SCHEMA, parts))
        raise UnreadableCredentialError(_NOT_VALID)


def encryption_row(
    credential: Mapping[Any, Any], destination: Mapping[Any, Any] | None = None
) -> dict[str, Any]:
    """Return the row that a credential's secret is encrypted for.

    The prefix "credential " differs from the uuids of models. So a secret that is copied into a
    model's row, or into another credential's, can't be decrypted there.

    Args:
        destination: The row of the model to call; the credential itself by default. For a model at
            another origin, the secret can't be decrypted.
    """
    target = credential if destination is None else destination
    return {
        "what": f"credential {credential.get('id')}",  # in the log
        "uuid": f"credential {credential['uuid']}",
        "model_provider": target["model_provider"],
        "base_url": target["base_url"],
        "ciphertext": credential["ciphertext"],
        "key_id": credential["key_id"],
    }


def with_credential(
    rows: Rows, row: Mapping[Any, Any], connection: sa.Connection | None = None
) -> dict[Any, Any]:
    """Return a model's row with the credential that it uses, if its owner still has the credential.

    The model's own API key comes first. Version 0.1.0 may run alongside this one, and sets API keys
    without knowing credentials.
    """
    if row["ciphertext"] is not None:
        return {**row, "credential_id": None}
    parameters = {name: row[name] for name in ("credential_id", "owner_id")}
    found = (connection or rows.connect()).execute(rows.queries.credential, parameters)
    return {**row, "credential": found.mappings().first()}


def encrypted_columns(
    credentials: CredentialService, credential: Mapping[Any, Any], secret: AccountSecret | None
) -> dict[str, Any]:
    """Return the columns that hold a new secret for a credential, or none."""
    if secret is None:
        return without_secret(None)
    row = encryption_row({**credential, "ciphertext": None, "key_id": None})
    columns = credentials.encrypt(row, secret.document())
    return {**columns, "secret_names": secret.names(), "reference": None}


def without_secret(reference: str | None) -> dict[str, Any]:
    """Return the columns of a credential without a secret, or with one kept elsewhere."""
    names: dict[str, list[str]] = {"secrets": [], "headers": []}
    return {"reference": reference, "ciphertext": None, "key_id": None, "secret_names": names}


def merged_secret(old: AccountSecret, change: Mapping[str, Any]) -> AccountSecret:
    """Return a secret with a change (RFC 7396): null removes a header, or an optional part.

    Raises:
        ValidationError: A field doesn't belong to the kind, a required one is missing, or the
            headers would be too many or too long.
    """
    parts, headers = {**old.parts, **change}, dict(old.headers)
    if "headers" in change:
        new = dict.fromkeys(headers) if change["headers"] is None else change["headers"]
        for name, value in new.items():
            for same in [each for each in headers if each.lower() == name.lower()]:
                del headers[same]
            if value is not None:
                headers[name] = value
        parts["headers"] = headers
    left = {name: each for name, each in parts.items() if each is not None}
    try:
        check_headers(headers)
    except marshmallow.ValidationError as error:
        raise ValidationError([("headers", str(error))]) from None
    return replace(AccountSecret.from_fields(old.kind, left), headers=headers)


def merged_settings(
    kind: str, old: Mapping[str, str], change: Mapping[str, str | None]
) -> dict[str, str]:
    """Return settings with a change; null removes one.

    Raises:
        ValidationError: The kind lacks one of them, or one is not valid.
    """
    settings = {name: value for name, value in {**old, **change}.items() if value is not None}
    if problems := [*settings_problems(kind, settings)]:
        raise ValidationError([(f"settings.{name}", message) for name, message in problems])
    return settings


def is_set(row: Mapping[Any, Any]) -> bool:
    """Return whether the row of a credential, or of a model, has a secret, here or elsewhere."""
    return row["ciphertext"] is not None or row.get("reference") is not None


def secret_state(
    credentials: CredentialService, credential: Mapping[Any, Any]
) -> types.SecretState:
    """Return whether the secret of a credential can be decrypted, and its parts' names."""
    try:
        credentials.secret({**credential, "credential": credential})
        status = "readable"
    except UnreadableCredentialError:
        status = "unreadable"
    names = names_in_secret(credential)
    return {
        "is_set": is_set(credential),
        "status": status,
        "secrets": names["secrets"],
        "headers": names["headers"],
        "updated_at": str(rfc_3339(credential["secret_updated_at"])),
    }


def _hidden(parts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: Secret(value) if isinstance(value, str) else value for name, value in parts.items()
    }
