"""Schemas of responses, for the OpenAPI document, for tests and for schemas of the host app.

The responses themselves are dictionaries from ``db/representation.py`` and the services.
"""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, fields
from marshmallow.validate import OneOf

from ..providers.client import RESULTS
from .categories import CATEGORIES, CONFIG_TYPES
from .fields import Schema, about
from .limits import CREDENTIAL_KINDS
from .requests import ModelUpdate

_MAY_EDIT = about("Whether the grantee may change the model.")
_MAY_DELETE = about("Whether the grantee may delete the model.")
_REQUEST_FIELDS = ModelUpdate().fields


def _metadata(name: str) -> dict[str, Any]:
    """Return the metadata of the same field in a request."""
    return {**_REQUEST_FIELDS[name].metadata}


class ResponseSchema(Schema):
    """Base class of the schemas of responses. They may get more fields, which clients ignore."""

    class Meta(Schema.Meta):  # noqa: D106
        unknown = EXCLUDE


class Timestamp(fields.AwareDateTime):
    """A date and time in UTC; calls from Python return it as a string already."""

    def _serialize(self, value: Any, *args: Any, **options: Any) -> Any:
        return value if isinstance(value, str) else super()._serialize(value, *args, **options)


class ModelRepresentation(ResponseSchema):
    """The published response: a model as its reader sees it."""

    id = fields.Integer(required=True, metadata=about("The integer id, which URLs use."))
    model_id = fields.String(required=True, metadata=_metadata("model_id"))
    category = fields.String(
        required=True, validate=OneOf(CATEGORIES), metadata=_metadata("category")
    )
    model_provider = fields.String(required=True, metadata=_metadata("model_provider"))
    model_name = fields.String(required=True, metadata=_metadata("model_name"))
    base_url = fields.String(required=True, allow_none=True, metadata=_metadata("base_url"))
    temperature = fields.Float(required=True, allow_none=True, metadata=_metadata("temperature"))
    dimension = fields.Integer(required=True, allow_none=True, metadata=_metadata("dimension"))
    abilities = fields.List(
        fields.String(), required=True, allow_none=True, metadata=_metadata("abilities")
    )
    description = fields.String(required=True, allow_none=True, metadata=_metadata("description"))
    created_at = Timestamp(required=True, allow_none=True, metadata=about("In UTC (RFC 3339)."))
    updated_at = Timestamp(
        required=True,
        allow_none=True,
        metadata=about("In UTC (RFC 3339); null until the first change."),
    )
    is_active = fields.Boolean(required=True, metadata=_metadata("is_active"))
    is_owner = fields.Boolean(required=True, metadata=about("Whether you own the model."))
    can_edit = fields.Boolean(required=True, metadata=about("Whether you may change the model."))
    can_delete = fields.Boolean(required=True, metadata=about("Whether you may delete the model."))
    is_shared = fields.Boolean(required=True, metadata=about("Whether it is shared with everyone."))


def _counts() -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class Summary(ResponseSchema):
    """How many models there are."""

    total = fields.Integer(required=True)
    by_category = _counts()
    by_provider = _counts()
    by_ability = _counts()


class CredentialState(ResponseSchema):
    """The state of an API key."""

    is_set = fields.Boolean(required=True, metadata=about("Whether the model has an API key."))
    status = fields.String(
        required=True,
        validate=OneOf(["readable", "unreadable"]),
        metadata=about(
            "`readable` if the API key can be decrypted. If `unreadable`, set the API key again."
        ),
    )
    updated_at = Timestamp(
        required=True, allow_none=True, metadata=about("When the API key was last set or removed.")
    )
    credential = fields.Integer(
        required=True,
        allow_none=True,
        metadata=about("The credential that the model uses. Null unless you own the model."),
    )
    expires_at = Timestamp(
        required=True, allow_none=True, metadata=about("When the model's credential expires.")
    )


class CredentialRepresentation(ResponseSchema):
    """A credential, as its owner sees it."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    model_provider = fields.String(required=True)
    base_url = fields.String(required=True, allow_none=True)
    kind = fields.String(required=True, validate=OneOf(CREDENTIAL_KINDS))
    settings = fields.Dict(required=True, metadata=about("The settings that have a value."))
    secrets = fields.List(
        fields.String(), required=True, metadata=about("The names of the encrypted fields.")
    )
    headers = fields.List(
        fields.String(), required=True, metadata=about("The names of the secret headers.")
    )
    reference = fields.String(
        required=True,
        allow_none=True,
        metadata=about("The name of the secret, if the app keeps it elsewhere."),
    )
    expires_at = Timestamp(required=True, allow_none=True)
    created_at = Timestamp(required=True)
    updated_at = Timestamp(required=True, allow_none=True)
    secret_updated_at = Timestamp(required=True)


class AccountSecretState(ResponseSchema):
    """The state of a credential's secret."""

    is_set = fields.Boolean(required=True, metadata=about("Whether the credential has a secret."))
    status = fields.String(required=True, validate=OneOf(["readable", "unreadable"]))
    secrets = fields.List(fields.String(), required=True)
    headers = fields.List(fields.String(), required=True)
    updated_at = Timestamp(required=True)


class UserGrant(ResponseSchema):
    """A grant to a user."""

    user = fields.String(required=True, metadata=about("The user's primary key, as a string."))
    can_edit = fields.Boolean(required=True, metadata=_MAY_EDIT)
    can_delete = fields.Boolean(required=True, metadata=_MAY_DELETE)


class GroupGrant(ResponseSchema):
    """A grant to a group."""

    group = fields.String(required=True, metadata=about("The name of the group."))
    can_edit = fields.Boolean(required=True, metadata=_MAY_EDIT)
    can_delete = fields.Boolean(required=True, metadata=_MAY_DELETE)


class Grants(ResponseSchema):
    """The grants of a model to users and groups."""

    users = fields.List(fields.Nested(UserGrant), required=True)
    groups = fields.List(fields.Nested(GroupGrant), required=True)


class DefaultModel(ResponseSchema):
    """A default that applies."""

    config_type = fields.String(required=True, validate=OneOf([*CONFIG_TYPES]))
    source = fields.String(
        required=True,
        validate=OneOf(["user", "app"]),
        metadata=about("`user` for your own default, `app` for the default of all users."),
    )
    model = fields.Nested(ModelRepresentation, required=True)


class KindField(ResponseSchema):
    """A field of a secret, or a setting."""

    name = fields.String(required=True)
    required = fields.Boolean(required=True, metadata=about("Whether credentials need this field."))


class KindEntry(ResponseSchema):
    """A kind of secret that a provider accepts."""

    kind = fields.String(required=True, validate=OneOf(CREDENTIAL_KINDS))
    secret = fields.List(
        fields.Nested(KindField), required=True, metadata=about("The encrypted fields.")
    )
    settings = fields.List(
        fields.Nested(KindField),
        required=True,
        metadata=about("The fields that are not encrypted."),
    )


class ProviderEntry(ResponseSchema):
    """A known provider."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    aliases = fields.List(
        fields.String(),
        required=True,
        metadata=about("Other names that you may send. Models store the `id`."),
    )
    base_url = fields.String(
        required=True,
        allow_none=True,
        metadata=about("Where models without a `base_url` are called."),
    )
    needs_base_url = fields.Boolean(
        required=True, metadata=about("Whether a model must have a `base_url`.")
    )
    needs_key = fields.Boolean(
        required=True, metadata=about("Whether calls need an API key. If not, send any string.")
    )
    can_be_tested = fields.Boolean(
        required=True, metadata=about("Whether a connection test can list the provider's models.")
    )
    categories = fields.List(
        fields.String(), required=True, metadata=about("The categories of the provider's models.")
    )
    keys_url = fields.String(
        required=True, allow_none=True, metadata=about("The page where you get an API key.")
    )
    kinds = fields.List(
        fields.Nested(KindEntry),
        required=True,
        metadata=about(
            "The kinds of secrets of the provider's credentials, the most common first."
        ),
    )


class ProbeResult(ResponseSchema):
    """The result of a connection test."""

    result = fields.String(
        required=True,
        validate=OneOf(RESULTS),
        metadata=about("`ok`, or what went wrong. The HTTP status is 200 in both cases."),
    )
    latency_ms = fields.Integer(
        required=True, allow_none=True, metadata=about("Milliseconds, or null if the test failed.")
    )
    key_checked = fields.Boolean(
        required=True,
        allow_none=True,
        metadata=about("Whether the server checked the API key. Null if unknown."),
    )
    billed = fields.Boolean(
        required=True,
        metadata=about("Whether the model was called, which the provider may bill."),
    )


class ServedModels(ResponseSchema):
    """The names of the models that a provider serves."""

    models = fields.List(fields.String(), required=True)


class OpenAIModel(ResponseSchema):
    """A model in the format of OpenAI's list."""

    id = fields.String(required=True)
    object = fields.String(required=True, validate=OneOf(["model"]))
    created = fields.Integer(required=True)
    owned_by = fields.String(required=True, metadata=about("The provider."))
    category = fields.String(
        required=True, validate=OneOf(CATEGORIES), metadata=_metadata("category")
    )


class OpenAIModels(ResponseSchema):
    """A list in OpenAI's format."""

    object = fields.String(required=True, validate=OneOf(["list"]))
    data = fields.List(fields.Nested(OpenAIModel), required=True)


class OpenAPIDocument(ResponseSchema):
    """A description of this API."""

    openapi = fields.String(required=True)
    info = fields.Dict(required=True)
    paths = fields.Dict(required=True)


class FieldError(ResponseSchema):
    """A field and its problem."""

    field = fields.String(required=True)
    message = fields.String(required=True)


class OpenAIError(ResponseSchema):
    """What happened, in OpenAI's format."""

    message = fields.String(required=True)
    type = fields.String(required=True)
    param = fields.String(required=True, allow_none=True)
    code = fields.String(required=True, allow_none=True)


class Problem(ResponseSchema):
    """Problem details (RFC 9457)."""

    type = fields.String(
        required=True, metadata=about("A URN by which programs can identify the error.")
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(metadata=about("For people: what happened, and often how to fix it."))
    errors = fields.List(
        fields.Nested(FieldError), metadata=about("With 422: which fields are wrong.")
    )
    error = fields.Nested(
        OpenAIError, metadata=about("Under `/v1`: the same error in OpenAI's format.")
    )
    result = fields.String(
        validate=OneOf(RESULTS), metadata=about("With 502 and 504: why the provider sent no list.")
    )
