"""Schemas of requests about credentials."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields, post_load, validates_schema
from marshmallow.validate import Length, OneOf

from ..providers.calls import CALLABLE_CATEGORIES
from ..providers.kinds import secret_problems, settings_problems
from .fields import (
    ABOUT_BASE_URL,
    ABOUT_KEY,
    ABOUT_NAME,
    ABOUT_PROVIDER,
    API_KEY,
    NO_KEY,
    ONE_LINE,
    PROVIDER,
    ApiKey,
    about,
)
from .limits import CREDENTIAL_KINDS
from .requests import NewModel, StrictSchema, billed_call_field
from .secrets import AccountSecretFields, Reference, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.IGNORECASE,  # RFC 3339 allows t and z
)
_MODELS_AT_ONCE = Length(1, 100)  # models to register at once


class Moment(fields.AwareDateTime):
    """A time with a zone. It is loaded as the tables store it: in UTC, without a zone."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> Any:
        moment = value if isinstance(value, datetime) else None
        if moment is None:
            # Marshmallow reads other formats too, which depend on its version and Python's.
            if isinstance(value, str):
                if not _RFC_3339.fullmatch(value):
                    raise ValidationError("Must be a time such as 2030-01-31T12:00:00Z.")
                value = value.upper()
            moment = super()._deserialize(value, *args, **options)
        if moment.utcoffset() is None:
            raise ValidationError("Must have a time zone, such as Z.")
        try:
            return moment.astimezone(timezone.utc).replace(tzinfo=None)
        except OverflowError:
            raise ValidationError("Must be a valid time.") from None


class CredentialChange(StrictSchema):
    """A change of a credential: omitted fields stay."""

    name = fields.String(
        required=True,
        validate=[Length(1, 100), ONE_LINE],
        metadata=about("Your name for the credential, unique among your credentials."),
    )
    model_provider = fields.String(required=True, validate=PROVIDER, metadata=ABOUT_PROVIDER)
    base_url = fields.String(
        load_default=None,
        allow_none=True,
        validate=[Length(1, 2048), ONE_LINE],
        metadata=ABOUT_BASE_URL,
    )
    secret = fields.Nested(
        AccountSecretFields,
        required=True,
        load_only=True,
        metadata=about("Required if you change the provider, or the scheme, host or port."),
    )
    reference = Reference("Required if you change the provider, or the scheme, host or port.")
    settings = fields.Nested(
        Settings,
        load_default=dict,
        metadata=about("Settings for calls, such as an organization or a region; not encrypted."),
    )
    expires_at = Moment(
        load_default=None,
        allow_none=True,
        metadata=about(
            "When the API key expires, for your app to show. Calls don't stop at that time."
        ),
    )

    @validates_schema(skip_on_field_errors=True)
    def _check_one_secret(self, credential: dict[str, Any], **_options: Any) -> None:
        if "secret" in credential and "reference" in credential:
            raise ValidationError("Send either this or secret.", "reference")


class NewCredential(CredentialChange):
    """A new credential, or with ``from_model`` one from a model's own API key."""

    model_provider = fields.String(validate=PROVIDER, metadata=ABOUT_PROVIDER)
    base_url = fields.String(
        allow_none=True, validate=[Length(1, 2048), ONE_LINE], metadata=ABOUT_BASE_URL
    )
    secret = fields.Nested(
        AccountSecretFields,
        load_only=True,
        metadata=about("The secret, unless `reference` or `from_model` is given."),
    )
    reference = Reference()
    kind = fields.String(
        load_default="key",
        validate=OneOf(CREDENTIAL_KINDS),
        metadata=about("The kind of secret, which decides the fields of `secret` and `settings`."),
    )
    from_model = fields.Integer(
        strict=True,
        metadata=about(
            "The id of one of your models, instead of a provider, `base_url` and secret. The "
            "model's API key moves to the credential, and the model then uses the credential."
        ),
    )

    @validates_schema(skip_on_field_errors=True)
    def _check_source(self, credential: dict[str, Any], **_options: Any) -> None:
        of_account = ("model_provider", "base_url", "secret", "reference")
        if "from_model" in credential:
            for name in of_account:
                if name in credential:
                    raise ValidationError("Send either this or from_model.", name)
            if credential["kind"] != "key":
                raise ValidationError("A model's own API key is of the kind key.", "kind")
            return
        missing = {}
        if "model_provider" not in credential:
            missing["model_provider"] = ["Required."]
        if not {"secret", "reference"} & credential.keys():
            missing["secret"] = ["Required."]
        if missing:
            raise ValidationError(missing)

    @validates_schema(skip_on_field_errors=True)
    def _check_kind(self, credential: dict[str, Any], **_options: Any) -> None:
        kind, problems = credential["kind"], dict[str, dict[str, list[str]]]()
        if "secret" in credential:
            problems["secret"] = _listed(secret_problems(kind, credential["secret"]))
        settings = {name: each for name, each in credential["settings"].items() if each is not None}
        problems["settings"] = _listed(settings_problems(kind, settings))
        if found := {name: each for name, each in problems.items() if each}:
            raise ValidationError(found)

    @post_load
    def _with_defaults(self, credential: dict[str, Any], **_options: Any) -> dict[str, Any]:
        return credential if "from_model" in credential else {"base_url": None, **credential}


def _listed(problems: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    return {name: [message] for name, message in problems}


class NewModelOfAccount(NewModel):
    """A model to register with a credential, without provider and API key."""

    class Meta(NewModel.Meta):  # noqa: D106
        exclude = ("api_key", "model_provider")

    base_url = fields.String(
        validate=[Length(1, 2048), ONE_LINE],
        metadata=about(
            "A URL with the credential's scheme, host and port. Default: the credential's own."
        ),
    )


class ModelList(fields.List):  # type: ignore[type-arg]  # Marshmallow 3 has no arguments
    """A list that checks its length before it loads each model."""

    def _deserialize(self, value: Any, *args: Any, **options: Any) -> Any:
        if isinstance(value, list):
            _MODELS_AT_ONCE(value)
        return super()._deserialize(value, *args, **options)


class NewModels(StrictSchema):
    """Models to register with a credential. If one fails, none is registered."""

    models = ModelList(
        fields.Nested(NewModelOfAccount),
        required=True,
        validate=_MODELS_AT_ONCE,
        metadata=about("The fields of `/register`, but without `model_provider` and `api_key`."),
    )

    @post_load
    def _check_ids(self, body: dict[str, Any], **_options: Any) -> dict[str, Any]:
        seen: set[str] = set()
        for number, each in enumerate(body["models"]):
            if each["model_id"] in seen:
                raise ValidationError({number: {"model_id": ["Is a duplicate."]}}, "models")
            seen.add(each["model_id"])
        return body


class TestedModel(StrictSchema):
    """The model that a credential is tested with."""

    model_name = fields.String(
        required=True, validate=[Length(1, 255), ONE_LINE], metadata=ABOUT_NAME
    )
    category = fields.String(
        load_default="llm",
        validate=OneOf(
            CALLABLE_CATEGORIES,
            error="Must be llm, embedding or rerank. Calls to others cost too much for a test.",
        ),
        metadata=about("What the model is for. This decides how a `billed_call` calls the model."),
    )
    billed_call = billed_call_field()


class Credential(StrictSchema):
    """A new API key for one model, or the credential to use instead."""

    api_key = ApiKey(load_only=True, validate=API_KEY, metadata=ABOUT_KEY)
    credential = fields.Integer(
        strict=True, metadata=about("The id of one of your credentials. You must own the model.")
    )

    @validates_schema(skip_on_field_errors=True)
    def _check_one(self, body: dict[str, Any], **_options: Any) -> None:
        if not body:
            raise ValidationError(NO_KEY["required"], "api_key")
        if len(body) > 1:
            raise ValidationError("Send either this or api_key.", "credential")
