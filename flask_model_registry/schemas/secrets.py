"""Schemas of the secrets and settings of credentials."""

from __future__ import annotations

import json
import re
from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length, Regexp

from ..errors import MalformedRequestError
from ..providers.apis import DIALECTS
from ..secret import Hidden, Secret
from . import parse_json
from .fields import ABOUT_KEY, API_KEY, ONE_LINE, ApiKey, about
from .requests import StrictSchema

MAX_HEADERS = 16
# MariaDB's BLOB holds 64 KiB, and JSON and encryption make the headers longer.
MAX_HEADER_BYTES = 16_384
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?")
_REFUSED_HEADERS = frozenset(
    "authorization host cookie connection transfer-encoding te upgrade accept-encoding".split()
) | {dialect.header.lower() for dialect in DIALECTS.values()}
_REFUSED_PREFIXES = ("content-", "proxy-")
_HEADERS = (
    f"Must be an object of up to {MAX_HEADERS} header names and values in visible ASCII, of up to "
    f"{MAX_HEADER_BYTES} characters in total. Headers that carry API keys, or that say where a "
    "request goes or how it is read, are refused."
)
_SETTING = Regexp(r"[\x21-\x7e]{1,255}\Z", error="Must be 1 to 255 visible ASCII characters.")

_NO_ACCOUNT = "Must be the JSON key of a service account, as an object or a string."
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # not a password
_UNIVERSE = "googleapis.com"
_MAX_ACCOUNT_LENGTH = 16_384
_MEMBERS = {
    "client_email": re.compile(r"[A-Za-z0-9._%+-]{1,128}@[A-Za-z0-9.-]{1,128}"),
    "private_key_id": re.compile(r"[A-Za-z0-9_-]{1,128}"),
    "private_key": re.compile(
        r"-----BEGIN (RSA )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\r\n]{64,8192}"
        r"-----END (RSA )?PRIVATE KEY-----(\r?\n)?"
    ),
}


def is_header(name: str) -> bool:
    """Return whether a header may be sent in addition to the API key."""
    lower = name.lower().replace("_", "-")  # because WSGI servers treat _ and - alike
    is_refused = lower in _REFUSED_HEADERS or lower.startswith(_REFUSED_PREFIXES)
    return _TOKEN.fullmatch(name) is not None and not is_refused


class SecretHeaders(fields.Field):  # type: ignore[type-arg]  # Marshmallow 3 has no arguments
    """Headers by name, loaded with a :class:`Secret` for each value.

    All errors have the same message, because a name that is quoted could be an API key.

    Args:
        may_clear: Whether null, as a value, removes a header.
    """

    def __init__(self, *, may_clear: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._may_clear = may_clear

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> dict[str, Secret | None]:
        try:
            if not isinstance(value, dict) or len(value) > MAX_HEADERS:
                raise ValidationError(_HEADERS)
            headers = {name: self._hidden(name, each) for name, each in value.items()}
        finally:
            del value
        if len({name.lower() for name in headers}) < len(headers):  # even if one of them is null
            raise ValidationError(_HEADERS)
        check_headers({name: each for name, each in headers.items() if each is not None})
        return headers

    def _hidden(self, name: Any, value: Any) -> Secret | None:
        try:
            given = value.reveal() if isinstance(value, Hidden) else value
            if not isinstance(name, str) or not is_header(name):
                raise ValidationError(_HEADERS)
            if given is None and self._may_clear:
                return None
            if not isinstance(given, str) or not _VALUE.fullmatch(given):
                raise ValidationError(_HEADERS)
            return Secret(given)
        finally:
            del value, name
            given = None


def check_headers(headers: dict[str, Secret]) -> None:
    """Check the number and the size of headers.

    Raises:
        marshmallow.ValidationError: There are too many, or they are too long.
    """
    size = sum(len(name) + len(value.reveal()) for name, value in headers.items())
    if len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise ValidationError(_HEADERS)


class ServiceAccount(fields.Field):  # type: ignore[type-arg]  # Marshmallow 3 has no arguments
    """The key of a Google service account, loaded as a :class:`Secret` with its JSON text.

    The members that calls need are kept, and others dropped. No error quotes what was sent.
    """

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> Secret:
        try:
            given = value.reveal() if isinstance(value, Hidden) else value
            if isinstance(given, str):
                given = _parsed(given)
            if not isinstance(given, dict):
                raise ValidationError(_NO_ACCOUNT)
            if given.get("type") != "service_account":
                raise ValidationError(
                    "Must be the key of a service account, whose type is service_account."
                )
            if given.get("token_uri") != _TOKEN_URI:
                raise ValidationError(f"Its token_uri must be {_TOKEN_URI}.")
            if given.get("universe_domain", _UNIVERSE) != _UNIVERSE:
                raise ValidationError(f"Its universe_domain must be {_UNIVERSE}.")
            kept = {"type": "service_account", "token_uri": _TOKEN_URI}
            kept["universe_domain"] = _UNIVERSE
            for name, pattern in _MEMBERS.items():
                member = given.get(name)
                if not isinstance(member, str) or not pattern.fullmatch(member):
                    raise ValidationError(f"Its {name} is missing or not valid.")
                kept[name] = member
            return Secret(json.dumps(kept))
        finally:
            del value
            given = member = None
            kept = {}


def _parsed(text: str) -> Any:
    try:
        return parse_json(text.encode()) if len(text) <= _MAX_ACCOUNT_LENGTH else None
    except (MalformedRequestError, UnicodeEncodeError):
        pass  # such as the path of a file
    finally:
        del text
    raise ValidationError(_NO_ACCOUNT)


def _part(pattern: str, text: str, **options: Any) -> ApiKey:
    """Return the field for one part of an AWS access key."""
    validator = Regexp(rf"{pattern}\Z", error="Is not valid. Copy it from AWS.")
    return ApiKey(load_only=True, validate=validator, metadata=about(text), **options)


def _access_key_id() -> ApiKey:
    return _part("[A-Za-z0-9_]{16,128}", "Write-only: the id of an AWS access key.")


def _secret_access_key() -> ApiKey:
    return _part("[A-Za-z0-9/+=]{16,128}", "Write-only: the secret of an AWS access key.")


def _session_token(**options: Any) -> ApiKey:
    about_it = "Write-only: the session token of a temporary AWS access key."
    return _part("[A-Za-z0-9/+=]{16,8192}", about_it, **options)


def _service_account() -> ServiceAccount:
    return ServiceAccount(
        load_only=True,
        metadata=about(
            "Write-only: the JSON key of a Google service account, as an object or a string.",
            type=["object", "string"],
        ),
    )


class AccountSecretFields(StrictSchema):
    """The whole secret of a credential: the fields that its kind has."""

    api_key = ApiKey(load_only=True, validate=API_KEY, metadata=ABOUT_KEY)
    headers = SecretHeaders(
        load_only=True,
        metadata=about(
            "Write-only: sent with each request, in addition to the API key.", type="object"
        ),
    )
    access_key_id = _access_key_id()
    secret_access_key = _secret_access_key()
    session_token = _session_token()
    service_account = _service_account()


class Reference(fields.String):
    """The name of a secret that the host app keeps, as its ``secret_source`` knows it."""

    def __init__(self, description: str = "") -> None:
        what = "The name of a secret that the app keeps elsewhere, instead of the secret itself."
        metadata = about(f"{what} {description}".strip())
        super().__init__(validate=[Length(1, 255), ONE_LINE], metadata=metadata)


class NewSecret(AccountSecretFields):
    """The whole secret of a credential, or a reference to a secret that the app keeps."""

    reference = Reference()

    @validates_schema(skip_on_field_errors=True)
    def _check_one(self, secret: dict[str, Any], **_options: Any) -> None:
        check_reference_is_alone(secret)


def check_reference_is_alone(secret: dict[str, Any]) -> None:
    """Check that a reference isn't given together with parts of a secret.

    Raises:
        marshmallow.ValidationError: There are both.
    """
    if "reference" in secret and len(secret) > 1:
        raise ValidationError("Send either this or a secret.", "reference")


class AccountSecretChange(StrictSchema):
    """A change to a secret (RFC 7396): omitted fields stay, and null removes optional ones."""

    api_key = ApiKey(load_only=True, validate=API_KEY, metadata=ABOUT_KEY)
    headers = SecretHeaders(
        may_clear=True,
        allow_none=True,
        load_only=True,
        metadata=about(
            "Null removes all headers. Null as the value of a header removes that header.",
            type="object",
        ),
    )
    access_key_id = _access_key_id()
    secret_access_key = _secret_access_key()
    session_token = _session_token(allow_none=True)
    service_account = _service_account()
    reference = Reference()

    @validates_schema(skip_on_field_errors=True)
    def _check_one(self, change: dict[str, Any], **_options: Any) -> None:
        check_reference_is_alone(change)


class Settings(StrictSchema):
    """The settings of a credential, which are not encrypted. Null removes a setting."""

    organization = fields.String(
        validate=_SETTING, allow_none=True, metadata=about("OpenAI's organization.")
    )
    project = fields.String(
        validate=_SETTING, allow_none=True, metadata=about("The project at OpenAI or Google.")
    )
    api_version = fields.String(
        validate=_SETTING, allow_none=True, metadata=about("The version of Azure's API.")
    )
    region = fields.String(
        validate=_SETTING, allow_none=True, metadata=about("The AWS region, such as us-east-1.")
    )
    location = fields.String(
        validate=_SETTING,
        allow_none=True,
        metadata=about("Google's location, such as europe-west4 or global."),
    )
